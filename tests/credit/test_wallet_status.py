"""What a frozen and a closed wallet refuse and accept, on the rules alone and on PostgreSQL."""

from datetime import timedelta

import pytest

from faregate.core.errors import FaregateError
from faregate.credit.errors import WalletClosedError, WalletFrozenError
from faregate.credit.ledger.states import Flag, WalletStatus
from support.ledger import START, DatabaseLedger, Ledger, PureLedger

ACTIVE, FROZEN, CLOSED = WalletStatus


@pytest.fixture(params=["pure", "database"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "pure":
        return PureLedger()
    return DatabaseLedger(request.getfixturevalue("database"))


@pytest.fixture(autouse=True)
async def running(ledger: Ledger) -> None:
    """A wallet of 20, of which 5 are held."""
    await ledger.grant("G", 20)
    await ledger.hold("running", 5)


@pytest.mark.parametrize(("status", "refusal"), [(FROZEN, WalletFrozenError), (CLOSED, WalletClosedError)])
async def test_inactive_wallet_settles_started_uses_and_starts_none_until_active_again(
    ledger: Ledger, status: WalletStatus, refusal: type[FaregateError]
) -> None:
    await ledger.set_status(status)
    with pytest.raises(refusal):
        await ledger.hold("new", 1)
    with pytest.raises(refusal):
        await ledger.settle("direct", 1, in_full=True)
    settled = await ledger.settle("running", 4)
    await ledger.set_status(ACTIVE)
    await ledger.hold("new", 1)
    await ledger.settle("direct", 1, in_full=True)

    assert (settled.flags, await ledger.balance(), await ledger.free()) == (Flag(0), 15, 14)


async def test_unstarted_use_is_charged_in_any_status(ledger: Ledger) -> None:
    """The use has already happened: a refusal would lose its cost."""
    await ledger.set_status(CLOSED)

    assert (await ledger.use(3)).charged == 3_000_000


async def test_frozen_wallet_takes_grants(ledger: Ledger) -> None:
    await ledger.set_status(FROZEN)
    await ledger.grant("more", 7)

    assert await ledger.balance() == 27


async def test_closed_wallet_takes_no_new_grants_but_answers_replays(ledger: Ledger) -> None:
    await ledger.set_status(CLOSED)
    with pytest.raises(WalletClosedError):
        await ledger.grant("more", 7)
    await ledger.grant("G", 20)
    closed = await ledger.balance()
    await ledger.set_status(ACTIVE)
    await ledger.grant("more", 7)

    assert (closed, await ledger.balance()) == (20, 27)


async def test_renewals_due_while_closed_are_skipped(ledger: Ledger) -> None:
    await ledger.grant("daily", 10, every="day")
    await ledger.set_status(CLOSED)
    ledger.clock.advance(days=2)
    closed = (await ledger.left())["daily"]
    await ledger.set_status(ACTIVE)
    reopened = (await ledger.left())["daily"]
    ledger.clock.advance(days=1)

    assert (closed, reopened, (await ledger.left())["daily"]) == (0, 0, 10)


async def test_scheduled_grant_due_while_closed_is_voided(ledger: Ledger) -> None:
    await ledger.grant("during", 10, effective_at=START + timedelta(days=1))
    await ledger.grant("after", 3, effective_at=START + timedelta(days=3))
    await ledger.set_status(CLOSED)
    ledger.clock.advance(days=2)
    await ledger.set_status(ACTIVE)
    ledger.clock.advance(days=2)
    left, grants = await ledger.left(), (await ledger.state())[1]

    assert left == {"G": 20, "during": 0, "after": 3}
    assert [grant.key for grant in grants if grant.voided] == ["during"]
