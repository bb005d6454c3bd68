"""Nodes of a RabbitMQ cluster, tried in turn."""

import random
from functools import partial

from faregate.core.clock import IClock
from faregate.core.errors import BrokerUnavailableError
from faregate.core.messaging.rabbitmq.connection import RPC_SECONDS, Link, open_link
from faregate.wire.broker_addresses import broker_addresses

__all__ = ["Nodes"]

_CONNECT_SECONDS_OF_SEVERAL = 4
"""A node that does not answer must not use up the time of the next one."""

_CONFIRM_SECONDS = RPC_SECONDS
_CONFIRM_SECONDS_OF_SEVERAL = 5
"""A message that is not confirmed by then is better published through another node: this one may be cut off from the leader of the
queue, and a channel learns of the next leader late or never (RabbitMQ 3.10).
"""

_DOUBT_SECONDS = 15.0
"""For how long a node that failed, or whose connection ended, is tried after the others."""


class Nodes:
    """The nodes that `urls` name; connections are spread over them at random."""

    def __init__(self, urls: str, clock: IClock) -> None:
        self._urls = broker_addresses(urls)
        self._clock = clock
        self._failed_at: dict[str, float] = {}
        several = len(self._urls) > 1
        self._connect_seconds = _CONNECT_SECONDS_OF_SEVERAL if several else RPC_SECONDS
        self.confirm_seconds = _CONFIRM_SECONDS_OF_SEVERAL if several else _CONFIRM_SECONDS
        """For how long a publisher waits for a confirm."""

    async def open_link(self, name: str, *, confirms: bool) -> Link:
        """Connect to one of the nodes; `name` identifies the connection to the broker's operator.

        Raises:
            BrokerUnavailableError: no node can be used; the text says why for each.
        """
        reasons: list[str] = []
        for url in self._in_turn():
            try:
                link = await open_link(url, name, confirms=confirms, timeout_seconds=self._connect_seconds)
            except BrokerUnavailableError as error:
                self._doubt(url)
                reasons.append(error.detail)
            else:
                link.on_lost(partial(self._doubt, url))
                return link
        raise BrokerUnavailableError("; ".join(reasons))

    def _in_turn(self) -> list[str]:
        """Return the URLs in random order, those in doubt at the end."""
        since = self._clock.monotonic() - _DOUBT_SECONDS
        urls = random.sample(self._urls, len(self._urls))
        return sorted(urls, key=lambda url: self._failed_at.get(url, since) > since)

    def _doubt(self, url: str) -> None:
        self._failed_at[url] = self._clock.monotonic()
