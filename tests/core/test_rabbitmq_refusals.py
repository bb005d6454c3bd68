"""A broker that is there and will not talk is an engine that is away, nothing worse."""

import asyncio

import pytest

from faregate.core.errors import EngineUnavailableError
from faregate.core.messaging.rabbitmq.connection import Link, broker_errors, open_link


async def test_a_broker_that_hangs_up_before_we_introduce_ourselves_is_away() -> None:
    """As one does that is starting or dying; aiormq's connect ends with `StopAsyncIteration` then."""
    with pytest.raises(EngineUnavailableError, match="connecting: StopAsyncIteration"):
        async with broker_errors("connecting"):
            raise StopAsyncIteration


async def test_a_connection_that_ends_without_a_reason_is_lost_like_any_other(broker_url: str) -> None:
    """aiormq gives whoever still waits on it a bare `Exception` then, which has ended whole workers."""
    link = await open_link(broker_url, "a test", confirms=False)
    asked = asyncio.create_task(_ask(link))
    await asyncio.sleep(0)
    await link.connection.close(None)
    with pytest.raises(EngineUnavailableError, match="asking: the connection was lost"):
        await asked
    await link.close()


async def test_an_error_of_our_own_is_no_lost_connection() -> None:
    with pytest.raises(KeyError, match="ours"):
        async with broker_errors("asking"):
            raise KeyError("ours")


async def _ask(link: Link) -> None:
    async with broker_errors("asking"):
        await link.channel.queue_declare("none.such", passive=True)
