"""Negative control of RabbitMQ: a publisher without confirms, whose losses the judge must find."""

import asyncio
from collections.abc import Sequence

from faregate.core.messaging.rabbitmq.connection import Link
from faregate.core.messaging.rabbitmq.envelope import Envelope
from faregate.core.messaging.rabbitmq.publisher import Publisher
from faregate.core.messaging.rabbitmq.transport import RabbitTransport

__all__ = ["without_confirms"]


class _HastyPublisher(Publisher):
    async def _send(self, link: Link, envelopes: Sequence[Envelope]) -> list[BaseException | None]:
        sending = (
            link.channel.basic_publish(
                envelope.body, routing_key=envelope.routing_key, properties=envelope.properties(), timeout=5
            )
            for envelope in envelopes
        )
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        return [outcome if isinstance(outcome, BaseException) else None for outcome in outcomes]


def without_confirms(url: str) -> RabbitTransport:
    """Return a transport that takes for stored what it has written to its socket."""
    transport = RabbitTransport(url)
    nodes, topology = transport._nodes, transport._topology  # pyright: ignore[reportPrivateUsage]
    transport._publisher = _HastyPublisher(  # pyright: ignore[reportPrivateUsage]
        lambda: nodes.open_link("faregate without confirms", confirms=False), topology
    )
    return transport
