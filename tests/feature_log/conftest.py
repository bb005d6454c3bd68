"""Fixtures: feature logs in a host, and behind a gateway, on a separate database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from faregate.core.clock import FixedClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.settings import load_settings
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.service import FeatureLogService
from support.apps import Gateway, open_gateway, settings_for


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url)) as gateway:
        yield gateway


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.fixture
def container(database: Database, subjects: Subjects, clock: FixedClock) -> FeatureLogContainer:
    settings = load_settings(database_url=database.url)
    return FeatureLogContainer(settings=settings, database=database, subjects=subjects, clock=clock)


@pytest.fixture
def logs(container: FeatureLogContainer) -> FeatureLogService:
    return container.service()
