"""One gateway for each test, with its own database."""

from collections.abc import AsyncIterator

import pytest

from support.apps import Gateway, open_gateway, settings_for


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url)) as gateway:
        yield gateway
