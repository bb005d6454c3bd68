"""Features, plans and prices in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.host.memory.database import MemoryDatabase
from faregate.usage.features.plans import Plan
from faregate.usage.features.repository import Definition, DefinitionRepository
from faregate.usage.price_book.repository import PriceRepository
from faregate.usage.pricing.overrides import Margins, Override, PriceList
from faregate.usage.pricing.rate_cards import card_of
from faregate.usage.values import Feature

__all__ = ["MemoryDefinitionRepository", "MemoryPriceRepository"]


class MemoryDefinitionRepository(DefinitionRepository):
    """Features and plans of a store, without their earlier versions."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self._store = database.store

    async def features(self, session: AsyncSession) -> tuple[list[Feature], list[Feature]]:
        return list(self._store.features.values()), list(self._store.retired.values())

    async def id_owner(self, session: AsyncSession, feature: Feature) -> str | None:
        others = (other for other in self._store.features.values() if other.key != feature.key)
        return next((other.key for other in others if other.feature_id == feature.feature_id), None)

    async def save_feature(self, session: AsyncSession, feature: Feature, *, actor: str | None) -> None:
        self._store.features[feature.key] = feature
        self._store.retired.pop(feature.key, None)

    async def retire_feature(self, session: AsyncSession, key: str, *, actor: str | None) -> bool:
        feature = self._store.features.pop(key, None)
        if feature is not None:
            self._store.retired[key] = feature
        return feature is not None

    async def plans(self, session: AsyncSession) -> list[Plan]:
        return list(self._store.plans.values())

    async def save_plan(self, session: AsyncSession, plan: Plan, *, actor: str | None) -> None:
        self._store.plans[plan.key] = plan

    async def delete_plan(self, session: AsyncSession, key: str, *, actor: str | None) -> bool:
        return self._store.plans.pop(key, None) is not None

    async def note(
        self, session: AsyncSession, kind: str, key: str, content: Mapping[str, Any] | None, *, actor: str | None
    ) -> None:
        """Keep no earlier version."""

    async def history(self, session: AsyncSession, kind: str, key: str, *, limit: int = 100) -> Sequence[Definition]:
        return []


class MemoryPriceRepository(PriceRepository):
    """Overrides and margins of a store, beside the prices that providers publish."""

    def __init__(self, database: MemoryDatabase, clock: IClock) -> None:
        super().__init__(database)
        self._store = database.store
        self._clock = clock

    async def price_list(self, session: AsyncSession) -> PriceList:
        return self._store.prices

    async def add_override(
        self,
        session: AsyncSession,
        model: str,
        *,
        provider: str | None,
        service_tier: str | None,
        effective_from: datetime | None,
        effective_to: datetime | None,
        prices: Mapping[str, Any],
        actor: str | None,
        note: str | None,
    ) -> Override:
        now, known = self._clock.now(), self._store.prices
        added = Override(
            len(known.overrides) + 1,
            model.lower(),
            provider.lower() if provider else None,
            service_tier.lower() if service_tier else None,
            effective_from or now,
            effective_to,
            prices,
            card_of(prices),
            actor=actor,
            note=note,
            created_at=now,
        )
        self._store.prices = PriceList((*known.overrides, added), known.margins)
        return added

    async def withdraw(self, session: AsyncSession, number: int) -> str | None:
        known, now = self._store.prices, self._clock.now()
        taken = next((o for o in known.overrides if o.number == number and o.withdrawn_at is None), None)
        if taken is None:
            return None
        kept = [replace(o, withdrawn_at=now) if o is taken else o for o in known.overrides]
        self._store.prices = PriceList(kept, known.margins)
        return taken.model

    async def set_margin(self, session: AsyncSession, scope: str, name: str, percent: Decimal | None) -> None:
        known = self._store.prices
        tables = {"model": dict(known.margins.models), "provider": dict(known.margins.providers)}
        tables[scope].pop(name.lower(), None)
        if percent is not None:
            tables[scope][name.lower()] = percent
        self._store.prices = PriceList(known.overrides, Margins(tables["model"], tables["provider"]))
