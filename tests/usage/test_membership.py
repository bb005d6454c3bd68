"""An organisation named in a call counts only for its members, before anything is held or charged."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.settings import Settings, load_settings
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.errors import NotAMemberError, UnknownOrganizationError
from faregate.usage.features.plans import Plan
from faregate.usage.values import (
    ChargingPolicy,
    Feature,
    FeatureKey,
    FeatureRef,
    ModelUsage,
    Rule,
    SettleRequest,
    StartRequest,
)
from support.library import Library

PAPER = FeatureKey.GENERATE_QUESTION_PAPER.value
FEATURE = FeatureRef(value=PAPER)

Call = Callable[[Library, str, str], Awaitable[object]]


def _start(library: Library, user: str, organization: str) -> Awaitable[object]:
    return library.service.authorize(StartRequest(user, FEATURE, organization_id=organization))


def _settle(library: Library, user: str, organization: str) -> Awaitable[object]:
    return library.service.settle(SettleRequest(f"{user}-use", user, FEATURE, organization_id=organization))


def _record(library: Library, user: str, organization: str) -> Awaitable[object]:
    return library.service.record_usage(PAPER, user, organization_id=organization)


def _debit(library: Library, user: str, organization: str) -> Awaitable[object]:
    return library.service.debit(user, "support", Decimal(5), organization_id=organization)


CALLS = [_start, _settle, _record, _debit]


@pytest.fixture(autouse=True)
async def organizations(library: Library) -> None:
    """Kim belongs to acme, lee to another pool, ada to none. Only the pools have credits."""
    for organization, member in (("acme", "kim"), ("other", "lee")):
        await library.usage.organizations().change(organization, policy=ChargingPolicy.POOLED, join=[member])
        await library.grant(f"org:{organization}", 100)


async def _untouched(library: Library) -> bool:
    wallets = [(await library.usage.wallets().get(f"org:{name}"))[0] for name in ("acme", "other")]
    async with library.database.transaction(read_only=True) as session:
        rows = await library.database.rows(session, "select 1 from faregate.charge")
    return not rows and [(wallet.balance, wallet.held) for wallet in wallets] == [(100, 0), (100, 0)]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("user", ["ada", "kim", "never-seen"])
async def test_unknown_organisation_is_refused(library: Library, call: Call, user: str) -> None:
    with pytest.raises(UnknownOrganizationError, match=r"'typo'.*PUT /api/organizations/typo"):
        await call(library, user, "typo")
    assert await _untouched(library)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("user", ["ada", "lee", "never-seen"])
async def test_pool_of_another_organisation_is_not_charged(library: Library, call: Call, user: str) -> None:
    with pytest.raises(NotAMemberError, match="leave organization_id out"):
        await call(library, user, "acme")
    assert await _untouched(library)


@pytest.mark.parametrize("call", CALLS)
async def test_a_member_may_name_its_own_organisation(library: Library, call: Call) -> None:
    await call(library, "kim", "acme")
    assert await library.free("org:acme") == 95


async def test_refused_item_does_not_affect_its_batch(library: Library) -> None:
    batch = [
        SettleRequest("a", "ada", FEATURE, organization_id="acme"),
        SettleRequest("b", "kim", FEATURE, organization_id="acme"),
        SettleRequest("c", "kim", FEATURE, organization_id="typo"),
    ]
    outcomes = await library.service.settle_batch(batch)

    assert [type(outcome).__name__ for outcome in outcomes] == [
        "NotAMemberError",
        "Settled",
        "UnknownOrganizationError",
    ]
    assert await library.balance("org:acme") == 95


@pytest.mark.parametrize("named", [None, "acme", "other", "typo"])
async def test_started_use_is_settled_for_the_organisation_of_its_charge(library: Library, named: str | None) -> None:
    """Even if the user has left the organisation meanwhile, and also for the terms of the organisation's plan."""
    await library.feature(Feature("report", "token_priced", min_credits=Decimal(1)))
    await library.usage.catalog().save_plan(Plan("team", margin_percent=Decimal(100)))
    await library.usage.wallets().change("org:acme", WalletChange({"plan": "team"}))
    report = FeatureRef(value="report")
    started = await library.service.authorize(StartRequest("kim", report))
    await library.usage.organizations().change("acme", leave=["kim"])
    line = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})
    settled = await library.service.settle(
        SettleRequest(started.usage_key, "kim", report, (line,), organization_id=named)
    )

    assert (started.charging, settled.charged) == (Rule.POOLED, Decimal("0.7"))
    assert [await library.balance(f"org:{name}") for name in ("acme", "other")] == [Decimal("99.3"), 100]


async def test_a_change_of_membership_counts_from_the_next_start(library: Library) -> None:
    await _start(library, "kim", "acme")
    await library.usage.organizations().change("other", join=["kim"])
    with pytest.raises(NotAMemberError):
        await _start(library, "kim", "acme")
    await _start(library, "kim", "other")
    await library.usage.organizations().change("acme", join=["ada"])
    await _start(library, "ada", "acme")

    assert [await library.free(f"org:{name}") for name in ("acme", "other")] == [90, 95]


class TestTrusted:
    """With `FAREGATE_ORGANIZATION_CLAIM=trusted` the caller vouches for the user, but the organisation must exist."""

    @pytest.fixture
    def settings(self, database_url: str) -> Settings:
        return load_settings(database_url=database_url, organization_claim="trusted")

    @pytest.mark.parametrize("call", CALLS)
    async def test_existing_organisation_pays_for_any_named_user(self, library: Library, call: Call) -> None:
        await call(library, "ada", "acme")
        assert await library.free("org:acme") == 95

    @pytest.mark.parametrize("call", CALLS)
    async def test_unknown_organisation_pays_for_nobody(self, library: Library, call: Call) -> None:
        with pytest.raises(UnknownOrganizationError):
            await call(library, "ada", "typo")
        assert await _untouched(library)


async def test_membership_added_in_the_same_transaction_counts(library: Library) -> None:
    async def work(session: AsyncSession) -> None:
        await library.usage.members().join(session, "ada", "acme")
        await library.service.record_usage(PAPER, "ada", organization_id="acme", session=session)

    await library.database.run(work)
    assert await library.balance("org:acme") == 95
