"""The usage library, configured as in a host, with a database of its own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from faregate.core.container import CoreContainer, engines
from faregate.core.settings import Settings, load_settings
from faregate.credit.container import CreditContainer
from faregate.usage.container import UsageContainer
from faregate.usage.interfaces import IFeatureStrategy
from support.library import Library


@pytest.fixture
def settings(database_url: str) -> Settings:
    return load_settings(database_url=database_url)


@pytest.fixture
def extra_strategies() -> dict[str, IFeatureStrategy]:
    """The strategies that the host registers; tests override it."""
    return {}


@pytest.fixture
def seams() -> dict[str, Any]:
    """Further providers of the container that the host overrides; tests override it."""
    return {}


@pytest.fixture
async def library(
    settings: Settings, extra_strategies: dict[str, IFeatureStrategy], seams: dict[str, Any]
) -> AsyncIterator[Library]:
    core = CoreContainer(settings=settings)
    credit = CreditContainer(
        settings=settings, database=core.database, subjects=core.subjects, outbox=core.outbox, progress=core.heartbeats
    )
    usage = UsageContainer(
        settings=settings,
        database=core.database,
        subjects=core.subjects,
        credit=credit.service,
        clock=core.clock,
        extra_strategies=extra_strategies,
        **seams,
    )
    async with engines(core.database(), core.transport()):
        yield Library(core, credit, usage)
