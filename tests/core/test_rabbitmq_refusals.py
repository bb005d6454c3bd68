"""Connection failures of RabbitMQ become `EngineUnavailableError`."""

import asyncio

import pytest

from faregate.core.errors import EngineUnavailableError
from faregate.core.messaging.rabbitmq.connection import Link, broker_errors, open_link


async def test_a_broker_that_closes_before_the_handshake_is_unavailable() -> None:
    """As during start-up or shutdown of the broker; aiormq's connect then raises `StopAsyncIteration`."""
    with pytest.raises(EngineUnavailableError, match="connecting: StopAsyncIteration"):
        async with broker_errors("connecting"):
            raise StopAsyncIteration


async def test_a_connection_that_ends_without_a_reason_is_reported_as_lost(broker_url: str) -> None:
    """aiormq then raises a bare `Exception` in waiting tasks, which has ended whole workers."""
    link = await open_link(broker_url, "a test", confirms=False)
    asked = asyncio.create_task(_ask(link))
    await asyncio.sleep(0)
    await link.connection.close(None)
    with pytest.raises(EngineUnavailableError, match="asking: the connection was lost"):
        await asked
    await link.close()


async def test_an_error_of_the_callers_own_is_not_a_lost_connection() -> None:
    with pytest.raises(KeyError, match="ours"):
        async with broker_errors("asking"):
            raise KeyError("ours")


async def _ask(link: Link) -> None:
    async with broker_errors("asking"):
        await link.channel.queue_declare("none.such", passive=True)
