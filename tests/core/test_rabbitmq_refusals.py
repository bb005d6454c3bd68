"""A broker that is there and will not talk is an engine that is away, nothing worse."""

import pytest

from faregate.core.errors import EngineUnavailableError
from faregate.core.rabbitmq.connection import broker_errors


async def test_a_broker_that_hangs_up_before_we_introduce_ourselves_is_away() -> None:
    """As one does that is starting or dying; aiormq's connect ends with `StopAsyncIteration` then."""
    with pytest.raises(EngineUnavailableError, match="connecting: StopAsyncIteration"):
        async with broker_errors("connecting"):
            raise StopAsyncIteration
