"""Connections to a broker that all tenants of a process share.

A tenant has channels instead of connections of its own. Nothing else is shared: each channel publishes to and consumes from the
queues of one tenant, and is closed without the others noticing.
"""

import asyncio

from faregate.core.messaging.rabbitmq.connection import Link
from faregate.core.messaging.rabbitmq.nodes import Nodes

__all__ = ["SharedConnections"]

_CHANNELS_MAX = 400
"""Channels on one connection; brokers allow 2,047 by default. All of them wait for the same socket."""


class SharedConnections:
    """Opens channels on few connections to the nodes of a broker.

    Connections that publish are apart: a broker in a resource alarm stops reading from them, and acknowledgements must not wait
    for that.
    """

    def __init__(self, nodes: Nodes, *, channels_max: int = _CHANNELS_MAX) -> None:
        self._nodes = nodes
        self._channels_max = channels_max
        self._connections: dict[bool, list[Link]] = {True: [], False: []}
        self._opening = {True: asyncio.Lock(), False: asyncio.Lock()}

    @property
    def confirm_seconds(self) -> float:
        """How long a publisher waits for a confirmation."""
        return self._nodes.confirm_seconds

    @property
    def count(self) -> int:
        """The number of open connections."""
        return sum(not link.lost for links in self._connections.values() for link in links)

    async def open_link(self, name: str, *, confirms: bool) -> Link:  # noqa: ARG002  it names a connection of its own
        """Open a channel, as `Nodes.open_link` opens a connection.

        Raises:
            BrokerUnavailableError: no node can be used, or the connection was lost.
        """
        async with self._opening[confirms]:
            connection = await self._with_room(publishes=confirms)
            return await connection.another(confirms=confirms)

    async def close(self) -> None:
        """Close all connections, with the channels that are still open. Safe to repeat."""
        links = [link for kept in self._connections.values() for link in kept]
        for kept in self._connections.values():
            kept.clear()
        await asyncio.gather(*(link.close() for link in links))

    async def _with_room(self, *, publishes: bool) -> Link:
        """Return a connection that takes one more channel."""
        kept = self._connections[publishes]
        for link in [each for each in kept if each.lost]:
            kept.remove(link)
            await link.close()
        for link in kept:
            if len(link.connection.channels) < self._channels_max:
                return link
        name = "faregate publisher of tenants" if publishes else "faregate consumer of tenants"
        kept.append(await self._nodes.open_link(name, confirms=False))
        return kept[-1]
