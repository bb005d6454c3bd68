"""Negative control of RabbitMQ: a publisher without confirms, whose losses the judge must find."""

from faregate.core.messaging.rabbitmq.publisher import Publisher
from faregate.core.messaging.rabbitmq.transport import RabbitTransport

__all__ = ["without_confirms"]


def without_confirms(url: str) -> RabbitTransport:
    """Return a transport that takes for stored what it has written to its socket."""
    transport = RabbitTransport(url)
    nodes, topology = transport._nodes, transport._topology  # pyright: ignore[reportPrivateUsage]
    transport._publisher = Publisher(  # pyright: ignore[reportPrivateUsage]
        lambda: nodes.open_link("faregate without confirms", confirms=False), topology
    )
    return transport
