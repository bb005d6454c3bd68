"""Organisation pools and the limits of their members (scenarios 35 and 36)."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.credit.errors import InsufficientCreditsError, SpendingLimitError
from faregate.credit.ledger.limits import EVERY_MEMBER, LimitPeriod, key_scope, member_scope
from faregate.usage.interfaces import IFeatureStrategy
from faregate.usage.values import (
    Accessible,
    ChargingPolicy,
    Feature,
    FeatureRef,
    Price,
    SettleRequest,
    StartRequest,
    Use,
)
from faregate.wire.credits import to_micros
from support.library import Library

FEATURE = FeatureRef(value="report")


class StatedCost:
    """A host's strategy: the cost stated by the use itself."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return parameters

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        return Price(Decimal(use.metadata.get("credits", 0)))


@pytest.fixture
def extra_strategies() -> dict[str, IFeatureStrategy]:
    return {"as_said": StatedCost()}


@pytest.fixture(autouse=True)
async def pool(library: Library) -> None:
    """The organisation acme pays for ann, ben and cyd."""
    await library.feature(Feature(key="report", name="Report", min_credits=Decimal(0), strategy="as_said"))
    members = library.usage.members()

    async def work(session: AsyncSession) -> None:
        for member in ("ann", "ben", "cyd"):
            await members.join(session, member, "acme")
        await members.set_policy(session, "acme", ChargingPolicy.POOLED)

    await library.database.run(work)


async def start(library: Library, user: str, credits: int, *, spender: str | None = None) -> Accessible:
    request = StartRequest(user_id=user, feature=FEATURE, estimated_credits=Decimal(credits), spender=spender)
    return await library.service.authorize(request)


async def settle(library: Library, user: str, key: str, credits: int) -> None:
    request = SettleRequest(usage_key=key, user_id=user, feature=FEATURE, metadata={"credits": credits})
    await library.service.settle(request)


async def limit_members(library: Library, member: str, hard: int) -> None:
    limits = library.credit.limits()

    async def work(session: AsyncSession) -> None:
        owners = await library.credit.service().ensure_wallets(session, ["org:acme", "ann", "ben"])
        organization = owners["org:acme"].subject_id
        scope = member_scope(organization, EVERY_MEMBER if member == EVERY_MEMBER else owners[member].subject_id)
        await limits.set(session, scope, LimitPeriod.MONTH, soft=None, hard=to_micros(hard))

    await library.database.run(work)


async def test_35_all_members_use_a_pool_until_it_is_empty(library: Library) -> None:
    await library.grant("org:acme", 500)
    await library.grant("org:acme", 500)
    first = await start(library, "ann", 300)
    await settle(library, "ann", first.usage_key, 300)
    after_first = await library.balance("org:acme")
    second = await start(library, "ben", 700)
    await settle(library, "ben", second.usage_key, 700)

    assert (after_first, await library.balance("org:acme")) == (700, 0)
    with pytest.raises(InsufficientCreditsError):
        await start(library, "cyd", 1)


async def test_36_member_at_the_limit_is_refused_and_others_are_not(library: Library) -> None:
    await library.grant("org:acme", 1000)
    await limit_members(library, "ann", 100)
    first = await start(library, "ann", 100)
    await settle(library, "ann", first.usage_key, 100)

    with pytest.raises(SpendingLimitError) as refused:
        await start(library, "ann", 1)
    assert (refused.value.code, refused.value.balance, refused.value.required) == ("member_limit", 0, 1)
    assert (await start(library, "ben", 200)).charging.value == "pooled"
    assert await library.free("org:acme") == 700


async def test_limit_for_every_member_counts_each_member_separately(library: Library) -> None:
    await library.grant("org:acme", 1000)
    await limit_members(library, EVERY_MEMBER, 50)
    await start(library, "ann", 40)
    await start(library, "ben", 40)

    with pytest.raises(SpendingLimitError):
        await start(library, "ann", 11)


async def test_concurrent_starts_of_one_member_stay_within_the_limit(library: Library) -> None:
    await library.grant("org:acme", 1000)
    await limit_members(library, "ann", 100)
    outcomes = await asyncio.gather(*(start(library, "ann", 30) for _ in range(12)), return_exceptions=True)

    assert sum(isinstance(outcome, Accessible) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, SpendingLimitError) for outcome in outcomes) == 9


async def test_api_key_spends_at_most_its_limit_for_any_user(library: Library) -> None:
    await library.grant("org:acme", 1000)
    limits = library.credit.limits()
    await library.database.run(
        lambda session: limits.set(session, key_scope("k1"), LimitPeriod.DAY, soft=None, hard=to_micros(50))
    )
    await start(library, "ann", 30, spender="k1")
    await start(library, "ben", 30, spender="k2")

    with pytest.raises(SpendingLimitError):
        await start(library, "ben", 30, spender="k1")


async def test_voided_hold_frees_the_limit(library: Library) -> None:
    await library.grant("org:acme", 1000)
    await limit_members(library, "ann", 100)
    held = await start(library, "ann", 100)
    await library.service.void(held.usage_key, user_id="ann")

    assert (await start(library, "ann", 100)).hold == 100
