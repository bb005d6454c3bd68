"""Fixtures: the stub of the providers, and credits."""

import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from client.provider import running_provider
from integrations.provider import Runs, serving_runs


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """The URL of the stub of the providers."""
    with running_provider() as url:
        yield url


@pytest.fixture(scope="session")
async def runs() -> AsyncIterator[Runs]:
    """A model that counts its runs."""
    async with serving_runs() as runs:
        yield runs


@pytest.fixture(scope="session")
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
