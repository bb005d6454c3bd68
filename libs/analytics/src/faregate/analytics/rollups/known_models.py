"""Unification of model and provider spellings."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.question.filters import Question, SpelledFilters
from faregate.analytics.rollups.repository import RollupRepository
from faregate.analytics.values import Measures
from faregate.core.runtime.bounded_memory import BoundedCache
from faregate.wire.model_names import canonical_model, canonical_provider
from faregate.wire.published_prices import MODELS_REMEMBERED, PriceSchedule, PriceSnapshot

__all__ = ["KnownModels", "united_providers"]

_MEMORY_BYTES = 4 * 1024 * 1024
_ANY_TIME = datetime(2025, 1, 1, tzinfo=UTC)
"""The vendor of a model does not change with time; only its prices do."""

ModelSums = dict[tuple[str, str | None], Measures]


class KnownModels:
    """Unites the spellings of one model in events; the events themselves stay unchanged."""

    def __init__(self, rollups: RollupRepository) -> None:
        self._rollups = rollups
        memory: BoundedCache[tuple[str, str | None, str | None], PriceSchedule | None]
        memory = BoundedCache(limit_bytes=_MEMORY_BYTES, entries=MODELS_REMEMBERED + 1)
        self._published = PriceSnapshot(memory)

    async def resolve(self, session: AsyncSession, question: Question) -> Question:
        """Return the question with all spellings of the model and the provider that it filters by."""
        filters = question.filters
        if filters.model is None and filters.provider is None:
            return question
        models, providers = await self._rollups.models(session)
        wanted, owner = filters.model and canonical_model(filters.model)[0], filters.provider
        found = SpelledFilters(
            **filters.given,
            models=tuple(sorted(name for name in models if wanted and canonical_model(name)[0] == wanted)),
            providers=tuple(
                sorted(n for n in providers if owner and canonical_provider(n) == canonical_provider(owner))
            ),
        )
        return replace(question, filters=found)

    def united(self, found: Mapping[tuple[Any, ...], Measures]) -> ModelSums:
        """Unite sums by reported model and provider to the sums of each model. A missing provider is the one in the model's
        name, else the vendor, else the only provider of the model in the sums.
        """
        sums: ModelSums = {}
        for (model, provider), measures in found.items():
            key = self._canonical(model, provider)
            sums[key] = sums.get(key, Measures()) + measures
        for model, provider in [key for key in sums if key[1] is None]:
            owners = [owner for name, owner in sums if name == model and owner is not None]
            if len(owners) == 1:
                sums[model, owners[0]] += sums.pop((model, provider))
        return sums

    def _canonical(self, model: str, provider: str | None) -> tuple[str, str | None]:
        name, owner = canonical_model(model, provider)
        if owner is None:
            published = self._published.find(model, provider=None, service_tier=None, at=_ANY_TIME)
            owner = published.provider if published is not None else None
        return name, owner


def united_providers(found: Mapping[tuple[Any, ...], Measures]) -> dict[tuple[Any, ...], Measures]:
    """Unite sums by reported provider to the sums of each provider."""
    sums: dict[tuple[Any, ...], Measures] = {}
    for (provider,), measures in found.items():
        key = (canonical_provider(provider) if provider is not None else None,)
        sums[key] = sums.get(key, Measures()) + measures
    return sums
