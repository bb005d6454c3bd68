"""Insights with their own database and a clock that the test sets."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from dependency_injector import providers

from faregate.analytics.container import AnalyticsContainer
from faregate.analytics.insights.container import InsightsContainer
from faregate.analytics.insights.operations.container import OperationsContainer
from faregate.analytics.quotas.container import QuotasContainer
from faregate.core.clock import FixedClock
from faregate.core.container import CoreContainer, engines
from faregate.core.db.database import Database
from faregate.core.redaction.records import Redactor
from faregate.core.settings import Settings, load_settings
from faregate.credit.container import CreditContainer
from faregate.usage.container import UsageContainer
from faregate.usage.values import Feature
from support.library import Library
from support.quotas import Inbox

NOW = datetime(2026, 6, 1, 10, 20, tzinfo=UTC)
"""A Monday."""


@dataclass
class Mood:
    """A sentiment model that likes texts with `good`; fails while `broken`."""

    name: str = "mood-1"
    broken: bool = False
    seen: list[str] = field(default_factory=list[str])

    async def rate(self, texts: Sequence[str]) -> Sequence[Decimal | None]:
        if self.broken:
            raise RuntimeError("no model")
        self.seen += texts
        return [Decimal("0.9") if "good" in text else None for text in texts]


@dataclass(frozen=True)
class Study:
    """The objects that tests of insights use."""

    database: Database
    library: Library
    analytics: AnalyticsContainer
    insights: InsightsContainer
    operations: OperationsContainer
    clock: FixedClock
    inbox: Inbox
    mood: Mood

    async def record(self, facts: Sequence[dict[str, Any]]) -> None:
        for at in range(0, len(facts), 5000):
            report = await self.library.usage.recorder().record(facts[at : at + 5000])
            assert report.rejected == ()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return load_settings(database_url=database_url, late_event_days=3650)


@pytest.fixture
async def study(settings: Settings) -> AsyncIterator[Study]:
    clock, inbox, mood = FixedClock(NOW), Inbox(), Mood()
    core = CoreContainer(settings=settings, clock=clock)
    credit = CreditContainer(
        settings=settings, database=core.database, subjects=core.subjects, outbox=core.outbox, progress=core.heartbeats
    )
    usage = UsageContainer(
        settings=settings, database=core.database, subjects=core.subjects, credit=credit.service, clock=clock
    )
    analytics = AnalyticsContainer(settings=settings, database=core.database, subjects=core.subjects, clock=clock)
    insights = InsightsContainer(
        settings=settings,
        database=core.database,
        subjects=core.subjects,
        clock=clock,
        facts=analytics.facts,
        models=analytics.known_models,
        archived=analytics.archived,
        analytics=analytics.service,
        quotas=QuotasContainer(settings=settings, database=core.database, subjects=core.subjects, clock=clock).service,
        catalog=usage.catalog,
        prices=usage.price_service,
        redactor=providers.Singleton(Redactor),
        sentiment=providers.Object(mood),
        channels=[inbox],
    )
    operations = OperationsContainer(
        settings=settings,
        database=core.database,
        clock=clock,
        facts=analytics.facts,
        models=analytics.known_models,
        catalog=usage.catalog,
        corrections=credit.corrections,
        keeper=insights.keeper,
        reader=insights.reader,
        repository=insights.repository,
        channels=[inbox],
    )
    async with engines(core.database(), core.transport()):
        for key in ("chat", "essay"):
            await usage.catalog().save(Feature(key=key, name=key, min_credits=Decimal(1), strategy="token_priced"))
        yield Study(core.database(), Library(core, credit, usage), analytics, insights, operations, clock, inbox, mood)
