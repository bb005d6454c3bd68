"""Publisher with confirms, on a connection of its own.

Messages are persistent and mandatory. A broker in a resource alarm stops reading from connections that publish; acknowledgements
must not be blocked by that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiormq.exceptions import DeliveryError, PublishError

from faregate.core.errors import BrokerUnavailableError, EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.messaging.rabbitmq.confirmed_batch import publish_batch
from faregate.core.messaging.rabbitmq.connection import RPC_SECONDS, Link
from faregate.core.messaging.rabbitmq.envelope import Envelope
from faregate.core.messaging.rabbitmq.topology import Topology
from faregate.core.runtime.failpoints import failpoint

__all__ = ["Publisher"]

log = get_logger(__name__)

_WINDOW = 256
"""Maximum number of unconfirmed publishes."""

_PIECE_BYTES = 1024 * 1024
"""Size of the bodies from which on the rest is another piece: a piece is copied twice."""

_PAUSES_SECONDS = (0.1, 1.0)
"""Delays before each retry."""


class Publisher:
    """Publishes for any number of tasks; connects when there is something to publish."""

    def __init__(
        self, connect: Callable[[], Awaitable[Link]], topology: Topology, *, confirm_seconds: float = RPC_SECONDS
    ) -> None:
        """`confirm_seconds`: how long a message may stay unconfirmed until the connection is given up."""
        self._connect = connect
        self._topology = topology
        self._confirm_seconds = confirm_seconds
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._window = asyncio.Semaphore(_WINDOW)

    async def open(self) -> None:
        """Connect now. Safe to repeat."""
        await self._linked()

    async def close(self) -> None:
        """Close the connection. Safe to repeat."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Return once all messages are stored.

        Messages whose outcome is unknown after a lost connection are published again. So are those that the broker refused (a
        quorum queue briefly has no leader) or could not route, after the queues have been checked. What is refused twice is tried
        on a new connection: a channel may go on asking a node that led the queue and died (RabbitMQ 3.10).

        Raises:
            EngineUnavailableError: not all are known to be stored.
        """
        failed = await self._publish(envelopes)
        for pause in _PAUSES_SECONDS:
            if not failed or not all(_worth_repeating(error) for _, error in failed):
                break
            await asyncio.sleep(pause)
            failed = await self._publish([envelope for envelope, _ in failed], again=True)
        if failed:
            envelope, error = failed[0]
            raise self._unavailable(envelope, error, len(failed)) from error

    async def _publish(
        self, envelopes: Sequence[Envelope], *, again: bool = False
    ) -> list[tuple[Envelope, BaseException]]:
        link = await self._linked()
        failpoint("publishing")
        outcomes = await self._send(link, envelopes)
        failpoint("published")
        failed = [(e, outcome) for e, outcome in zip(envelopes, outcomes, strict=True) if outcome is not None]
        if any(isinstance(error, PublishError) for _, error in failed):
            await self._topology.establish(link.connection)
        if any(_needs_connection(error, again=again) for _, error in failed):
            await self._drop(link, silent=any(isinstance(error, TimeoutError) for _, error in failed))
        return failed

    async def _send(self, link: Link, envelopes: Sequence[Envelope]) -> list[BaseException | None]:
        """Publish in pieces, as large as the window has room; once the broker is too late with one, the rest is not sent."""
        outcomes = list[BaseException | None]()
        while len(outcomes) < len(envelopes) and not any(isinstance(outcome, TimeoutError) for outcome in outcomes):
            waiting = envelopes[len(outcomes) :]
            places = await self._places(_piece(waiting))
            try:
                piece = waiting[: len(places)]
                outcomes += await publish_batch(
                    link.channel, piece, timeout_seconds=self._confirm_seconds, settled=places
                )
            finally:
                for place in places:
                    place()
        return outcomes + [TimeoutError() for _ in envelopes[len(outcomes) :]]

    async def _places(self, wanted: int) -> list["_Place"]:
        """Wait for one place in the window, and take those that are free as well, one for each message."""
        await self._window.acquire()
        places = [_Place(self._window)]
        while len(places) < wanted and not self._window.locked():
            await self._window.acquire()
            places.append(_Place(self._window))
        return places

    async def _linked(self) -> Link:
        async with self._connecting:
            if self._link is not None and not self._link.lost:
                return self._link
            if self._link is not None:
                await self._drop(self._link)
            link = await self._connect()
            try:
                await self._topology.establish(link.connection)
            except BaseException:
                await link.close()
                raise
            self._link = link
            return link

    async def _drop(self, link: Link, *, silent: bool = False) -> None:
        if self._link is link:
            self._link = None
        await (link.abort() if silent else link.close())

    def _unavailable(self, envelope: Envelope, error: BaseException, count: int) -> EngineUnavailableError:
        where = f"publishing {count} message(s) to {envelope.routing_key}"
        if isinstance(error, PublishError):
            return BrokerUnavailableError(f"RabbitMQ: {where}: there is no such queue")
        if isinstance(error, DeliveryError):
            return BrokerUnavailableError(f"RabbitMQ: {where}: the broker refused (is the queue full?)")
        if isinstance(error, TimeoutError):
            return BrokerUnavailableError(f"RabbitMQ: {where}: not confirmed within {self._confirm_seconds} s")
        return BrokerUnavailableError(f"RabbitMQ: {where}: {str(error) or 'the connection was lost'}")


class _Place:
    """One place in the window; it is given back by the first call."""

    def __init__(self, window: asyncio.Semaphore) -> None:
        self._window: asyncio.Semaphore | None = window

    def __call__(self, _: object = None) -> None:
        window, self._window = self._window, None
        if window is not None:
            window.release()


def _piece(envelopes: Sequence[Envelope]) -> int:
    """Return how many messages, from the first on, are written in one piece: one at least."""
    size = 0
    for count, envelope in enumerate(envelopes):
        size += len(envelope.body)
        if count == _WINDOW or (count and size > _PIECE_BYTES):
            return count
    return len(envelopes)


def _worth_repeating(error: BaseException) -> bool:
    """Return whether a retry is likely to succeed: not if the broker does not answer at all."""
    return not isinstance(error, TimeoutError)


def _needs_connection(error: BaseException, *, again: bool) -> bool:
    """Return whether to go on with a new connection: not for what could not be routed, since others are using this one."""
    return not isinstance(error, DeliveryError) or (again and not isinstance(error, PublishError))
