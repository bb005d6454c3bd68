"""Hard quotas: checked before a use begins, never at its settlement."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest
from dependency_injector import providers
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.errors import FaregateError
from faregate.usage.errors import QuotaExceededError, quota_exceeded
from faregate.usage.interfaces import QuotaUse
from faregate.usage.values import FeatureRef, SettleRequest, StartRequest
from support.library import Library

PAPER = "GENERATE_QUESTION_PAPER"


class FakeQuotas:
    """Allows only users in `allowed`, and records the uses it was asked about."""

    def __init__(self) -> None:
        self.allowed = {"ada"}
        self.asked: list[QuotaUse] = []

    async def check(self, session: AsyncSession, uses: Sequence[QuotaUse]) -> Sequence[FaregateError | None]:
        self.asked += uses
        full = quota_exceeded("daily papers", used=Decimal(3), limit=Decimal(3), resets_at="2026-11-22T00:00:00Z")
        return [None if use.user_id in self.allowed else full for use in uses]


@pytest.fixture
async def quotas(library: Library) -> AsyncIterator[FakeQuotas]:
    quotas = FakeQuotas()
    with library.usage.quotas.override(providers.Object(quotas)):
        yield quotas


async def test_start_above_a_hard_quota_is_refused_and_holds_nothing(library: Library, quotas: FakeQuotas) -> None:
    await library.grant("eve", 20)
    with pytest.raises(QuotaExceededError, match="'daily papers' is used up: 3 of 3; it resets at 2026-11-22"):
        await library.service.authorize(StartRequest("eve", FeatureRef(value=PAPER)))
    await library.grant("ada", 20)
    await library.service.authorize(StartRequest("ada", FeatureRef(value=PAPER)))

    assert await library.free("eve") == 20
    assert [(use.user_id, use.feature_key, use.credits) for use in quotas.asked] == [
        ("eve", PAPER, 5),
        ("ada", PAPER, 5),
    ]


async def test_direct_use_above_a_hard_quota_is_refused_but_a_settlement_is_not(
    library: Library, quotas: FakeQuotas
) -> None:
    await library.grant("ada", 20)
    started = await library.service.authorize(StartRequest("ada", FeatureRef(value=PAPER)))
    quotas.allowed.clear()
    with pytest.raises(QuotaExceededError):
        await library.service.record_usage(PAPER, "ada")
    settled = await library.service.settle(SettleRequest(started.usage_key, "ada", FeatureRef(value=PAPER)))

    assert settled.charged == 5
    assert await library.balance("ada") == 15
