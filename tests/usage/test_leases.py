"""Leases on PostgreSQL: restricted grants, spending limits, a hold that changes while it is settled, and the proof."""

from decimal import Decimal

import pytest

from faregate.credit.errors import HoldClosedError, InsufficientCreditsError, WalletFrozenError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.limits import LimitPeriod, user_scope
from faregate.credit.ledger.settlement import PostingRequest
from faregate.credit.ledger.states import Flag, WalletStatus
from faregate.credit.services.credits import SettledCharge
from faregate.usage.leases.values import LeaseState, LeaseUse, ReportedUse
from faregate.usage.values import Feature, FeatureRef, StartRequest
from faregate.wire.credits import to_micros
from support.library import Library


@pytest.fixture(autouse=True)
async def _search(library: Library) -> None:
    await library.feature(Feature("search", "free"))


async def _take(library: Library, credits: int) -> LeaseState:
    request = StartRequest(
        "ada", FeatureRef(value="search"), "lease", estimated_credits=Decimal(credits), ttl_seconds=60
    )
    return await library.usage.leases().take(request)


async def _report(library: Library, **uses: object) -> list[ReportedUse]:
    reported = [LeaseUse(key, Decimal(str(credits))) for key, credits in uses.items()]
    return list((await library.usage.leases().report("lease", reported)).uses)


async def _wallet(library: Library) -> tuple[Decimal, Decimal, Decimal]:
    wallet, _ = await library.usage.wallets().get("ada")
    return wallet.balance, wallet.held, wallet.earmarked


async def _verified(library: Library) -> None:
    assert (await library.credit.verifier().verify()).drifts == ()


async def test_a_block_of_restricted_and_general_credits_is_drawn_topped_up_and_returned(library: Library) -> None:
    await library.grant("ada", 5)
    spec = GrantSpec(to_micros(Decimal(4)), GrantSource.BONUS, features=("search",))
    await library.usage.wallets().grant("ada", spec)

    lease = await _take(library, 6)
    assert (lease.credits, await _wallet(library)) == (6, (9, 6, 0))
    assert [use.flags for use in await _report(library, a=3, b="1.5")] == [Flag(0), Flag(0)]
    assert (await library.usage.leases().get("lease")).credits == Decimal("1.5")
    await _verified(library)
    topped = await library.usage.leases().renew("lease", ttl_seconds=60, credits=Decimal(100))
    assert (topped.credits, await library.free("ada")) == (Decimal("4.5"), 0)
    await _report(library, c=4)
    released = await library.usage.leases().release("lease")

    assert (released.status, released.credits) == ("voided", 0)
    assert await _wallet(library) == (Decimal("0.5"), 0, 0)
    await _verified(library)


async def test_a_top_up_stops_at_a_spending_limit_and_the_block_goes_on(library: Library) -> None:
    await library.grant("ada", 50)
    async with library.database.transaction() as session:
        subject = await library.credit.service().get_owner(session, "ada")
        scope = user_scope(subject.subject_id)
        await library.credit.limits().set(session, scope, LimitPeriod.DAY, soft=None, hard=to_micros(Decimal(6)))

    await _take(library, 4)
    await _report(library, a=3)
    renewed = await library.usage.leases().renew("lease", ttl_seconds=60, credits=Decimal(4))

    assert renewed.credits == 1
    assert [use.charged for use in await _report(library, b=1)] == [1]
    await _verified(library)


async def test_a_settlement_that_read_the_block_before_a_report_returns_what_is_left(library: Library) -> None:
    await library.grant("ada", 10)
    await _take(library, 8)
    async with library.database.transaction() as session:
        seen = (await library.credit.service().find_started(session, ["lease"]))["lease"].charge
        await _report(library, a=5)  # by another connection
        posting = PostingRequest(
            "lease", to_micros(Decimal(1)), to_micros(Decimal(1)), b"meaning", started_wallet_id=seen.wallet_id
        )
        (settled,) = await library.credit.service().post(session, [posting], seen={"lease": seen})

    assert isinstance(settled, SettledCharge)
    assert await _wallet(library) == (4, 0, 0)
    await _verified(library)


async def test_a_use_beyond_the_block_is_charged_and_flagged(library: Library) -> None:
    await library.grant("ada", 5)
    await _take(library, 3)

    (within, beyond) = await _report(library, a=2, b=4)

    assert (within.flags, beyond.charged, beyond.shortfall) == (Flag(0), 3, 1)
    assert beyond.flags == Flag.OVER_HOLD | Flag.SHORTFALL
    await _verified(library)


async def test_a_key_of_another_use_is_refused_and_the_others_are_charged(library: Library) -> None:
    await library.grant("ada", 9)
    await library.grant("eve", 9)
    await library.service.debit("eve", "search", Decimal(1), usage_key="hers")
    await library.service.debit("ada", "other", Decimal(1), usage_key="elsewhere")
    await _take(library, 5)

    hers, elsewhere, fine = await _report(library, hers=1, elsewhere=1, fine=1)

    assert [use.error.code if use.error else None for use in (hers, elsewhere, fine)] == [
        "hold_mismatch",
        "hold_mismatch",
        None,
    ]
    assert await _wallet(library) == (7, 4, 0)
    await _verified(library)


async def test_a_frozen_wallet_neither_renews_nor_takes_and_what_was_decided_is_charged(library: Library) -> None:
    await library.grant("ada", 9)
    await _take(library, 5)

    def freeze(wallet: object) -> None:
        wallet.status = WalletStatus.FROZEN  # type: ignore[attr-defined]

    async with library.database.transaction() as session:
        await library.credit.service().change_wallet(session, "ada", freeze)
    with pytest.raises(WalletFrozenError):
        await library.usage.leases().renew("lease", ttl_seconds=60)
    assert [use.charged for use in await _report(library, a=2)] == [2]


async def test_a_released_lease_is_not_renewed_and_releasing_it_again_changes_nothing(library: Library) -> None:
    await library.grant("ada", 9)
    await _take(library, 5)
    leases = library.usage.leases()
    first = await leases.release("lease")

    assert await leases.release("lease") == first
    with pytest.raises(HoldClosedError):
        await leases.renew("lease", ttl_seconds=60)
    assert [use.flags for use in await _report(library, a=2)] == [Flag.LATE]


async def test_a_block_is_given_whole_or_refused(library: Library) -> None:
    await library.grant("ada", 5)
    with pytest.raises(InsufficientCreditsError) as refusal:
        await _take(library, 6)
    assert (refusal.value.balance, await _wallet(library)) == (5, (5, 0, 0))


async def test_a_use_with_the_id_of_its_lease_is_refused_and_the_lease_goes_on(library: Library) -> None:
    """It would settle the block itself, and every later use would be late."""
    await library.grant("ada", 10)
    await _take(library, 6)
    same, other = await _report(library, lease=2, b=1)

    assert same.error is not None
    assert same.error.param == "usage_key"
    assert (other.charged, other.flags) == (1, Flag(0))
    lease = await library.usage.leases().get("lease")
    assert (lease.status, lease.credits) == ("open", 5)
    await _verified(library)
