"""The analytics and usage libraries with their own database."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.container import AnalyticsContainer
from faregate.core.container import CoreContainer, engines
from faregate.core.db.database import Database
from faregate.core.settings import Settings, load_settings
from faregate.credit.container import CreditContainer
from faregate.usage.container import UsageContainer
from faregate.usage.events.recorder import UsageRecorder
from support.library import Library


@dataclass(frozen=True)
class Lab:
    """The objects that tests of analytics use."""

    database: Database
    library: Library
    analytics: AnalyticsContainer

    @property
    def recorder(self) -> UsageRecorder:
        return self.library.usage.recorder()

    @property
    def service(self) -> AnalyticsService:
        return self.analytics.service()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return load_settings(database_url=database_url)


@pytest.fixture
async def lab(settings: Settings) -> AsyncIterator[Lab]:
    async with lab_of(settings) as lab:
        yield lab


@asynccontextmanager
async def lab_of(settings: Settings) -> AsyncGenerator[Lab]:
    """Open the libraries with these settings."""
    core = CoreContainer(settings=settings)
    credit = CreditContainer(
        settings=settings, database=core.database, subjects=core.subjects, outbox=core.outbox, progress=core.heartbeats
    )
    usage = UsageContainer(
        settings=settings, database=core.database, subjects=core.subjects, credit=credit.service, clock=core.clock
    )
    analytics = AnalyticsContainer(settings=settings, database=core.database, subjects=core.subjects, clock=core.clock)
    async with engines(core.database(), core.transport()):
        yield Lab(core.database(), Library(core, credit, usage), analytics)
