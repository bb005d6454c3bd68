"""What a frozen and a closed wallet refuse, and what goes on: on the rules alone and through PostgreSQL."""

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
async def test_nothing_is_started_but_what_was_is_settled_and_all_goes_on_when_it_is_active_again(
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


async def test_what_was_used_without_a_start_is_charged_whatever_the_status(ledger: Ledger) -> None:
    """It happened: refusing it would lose what it cost."""
    await ledger.set_status(CLOSED)

    assert (await ledger.use(3)).charged == 3_000_000


async def test_a_frozen_wallet_takes_grants(ledger: Ledger) -> None:
    await ledger.set_status(FROZEN)
    await ledger.grant("more", 7)

    assert await ledger.balance() == 27


async def test_a_closed_wallet_takes_none_but_answers_for_those_that_it_took(ledger: Ledger) -> None:
    await ledger.set_status(CLOSED)
    with pytest.raises(WalletClosedError):
        await ledger.grant("more", 7)
    await ledger.grant("G", 20)
    closed = await ledger.balance()
    await ledger.set_status(ACTIVE)
    await ledger.grant("more", 7)

    assert (closed, await ledger.balance()) == (20, 27)


async def test_renewals_that_fall_due_while_it_is_closed_are_left_out(ledger: Ledger) -> None:
    await ledger.grant("daily", 10, every="day")
    await ledger.set_status(CLOSED)
    ledger.clock.advance(days=2)
    closed = (await ledger.left())["daily"]
    await ledger.set_status(ACTIVE)
    reopened = (await ledger.left())["daily"]
    ledger.clock.advance(days=1)

    assert (closed, reopened, (await ledger.left())["daily"]) == (0, 0, 10)


async def test_a_grant_that_would_begin_while_it_is_closed_is_void(ledger: Ledger) -> None:
    await ledger.grant("during", 10, effective_at=START + timedelta(days=1))
    await ledger.grant("after", 3, effective_at=START + timedelta(days=3))
    await ledger.set_status(CLOSED)
    ledger.clock.advance(days=2)
    await ledger.set_status(ACTIVE)
    ledger.clock.advance(days=2)
    left, grants = await ledger.left(), (await ledger.state())[1]

    assert left == {"G": 20, "during": 0, "after": 3}
    assert [grant.key for grant in grants if grant.voided] == ["during"]
