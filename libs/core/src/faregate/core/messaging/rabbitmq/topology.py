"""Declaration of the queues and exchanges.

A public queue may already exist with different arguments: then it is used as it is, and the differences are logged once. Nothing is
ever deleted or purged, and nothing that exists is changed.

Messages that wait for a further attempt are in one queue per delay, shared by all public queues: a fanout exchange keeps the
routing key, so that after the delay the message returns to the queue that its routing key names.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiormq
from aiormq.exceptions import AMQPChannelError, ChannelNotFoundEntity, ChannelPreconditionFailed

from faregate.core.logging import get_logger
from faregate.core.messaging.rabbitmq.connection import RPC_SECONDS, broker_errors
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.wire.queues import PUBLIC_QUEUES

__all__ = ["DEAD_QUEUE", "DELIVERY_LIMIT", "QueueSpec", "QueueType", "Topology", "retry_queue"]

log = get_logger(__name__)

QueueType = Literal["quorum", "classic"]

DEAD_QUEUE = "faregate.dead_letters"

DELIVERY_LIMIT = 200
"""Deliveries after which a quorum queue itself dead-letters a message.

Higher than the limit of the PostgreSQL queue, because up to RabbitMQ 4.2 every lost connection counts as a delivery of all messages
that were being sent to it.
"""

_UNLIMITED = 10**9
"""Dead letters are read without being removed, which some versions count as a delivery."""

_AT_LEAST_ONCE = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A durable queue as Faregate would declare it, with the exchange that feeds it in addition to the default one."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fanout: bool = False


class Topology:
    """Creates missing queues; remembers the differences that it has logged."""

    def __init__(self, queue_type: QueueType, retry_delays_seconds: Sequence[float], names: QueueNames) -> None:
        dead = names.on_broker(DEAD_QUEUE)
        self._public = frozenset(map(names.on_broker, PUBLIC_QUEUES))
        self._specs = [
            *(_public(name, queue_type, dead) for name in map(names.on_broker, PUBLIC_QUEUES)),
            *(_retry(names.on_broker(retry_queue(delay)), delay) for delay in retry_delays_seconds),
            QueueSpec(dead, {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-delivery-limit": _UNLIMITED}),
        ]
        self._compared: set[str] = set()

    async def establish(self, connection: aiormq.Connection) -> None:
        """Declare missing queues; compare existing ones, once per process.

        All at once: while the leader of a queue is cut off, its cluster takes a quarter of a second to answer for each.

        Raises:
            EngineUnavailableError: the broker became unavailable or does not allow it.
        """
        each = (self._establish(connection, spec) for spec in self._specs)
        for outcome in await asyncio.gather(*each, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _establish(self, connection: aiormq.Connection, spec: QueueSpec) -> None:
        async with broker_errors(f"checking queue {spec.name}"):
            if not await _exists(connection, spec.name):
                await _declare(connection, spec)
                log.info("queue_declared", queue=spec.name, arguments=dict(spec.arguments), **self._advice(spec))
            elif spec.name not in self._compared:
                await _compare(connection, spec)
            self._compared.add(spec.name)

    async def remove(self, connection: aiormq.Connection) -> None:
        """Delete all queues and exchanges with what is in them. Safe to repeat."""
        for spec in self._specs:
            async with broker_errors(f"deleting queue {spec.name}"):
                channel = await connection.channel(publisher_confirms=False, timeout=RPC_SECONDS)
                await channel.queue_delete(spec.name, timeout=RPC_SECONDS)
                if spec.fanout:
                    await channel.exchange_delete(spec.name, timeout=RPC_SECONDS)
                await channel.close()

    def _advice(self, spec: QueueSpec) -> dict[str, str]:
        """Return the advice for operators about a queue that clients publish to and might declare themselves."""
        if spec.name not in self._public or not spec.arguments:
            return {}
        return {
            "advice": "a client that declares it as a plain durable queue gets 406 PRECONDITION_FAILED from the broker; publish "
            "without declaring, or set FAREGATE_QUEUE_TYPE=classic"
        }


def retry_queue(delay_seconds: float) -> str:
    """Return the name of the queue (and exchange) where messages wait for this delay."""
    whole = float(delay_seconds).is_integer()
    return f"faregate.retry.{int(delay_seconds)}s" if whole else f"faregate.retry.{round(delay_seconds * 1000)}ms"


def _public(name: str, queue_type: QueueType, dead_queue: str) -> QueueSpec:
    if queue_type == "classic":
        return QueueSpec(name)  # the declaration of clients that assert a plain durable queue
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_queue}
    return QueueSpec(name, {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT, **dead, **_AT_LEAST_ONCE})


def _retry(name: str, delay_seconds: float) -> QueueSpec:
    waiting = {"x-message-ttl": round(delay_seconds * 1000), "x-dead-letter-exchange": ""}
    return QueueSpec(name, {"x-queue-type": "quorum", **waiting, **_AT_LEAST_ONCE}, fanout=True)


async def _exists(connection: aiormq.Connection, name: str) -> bool:
    channel = await connection.channel(publisher_confirms=False, timeout=RPC_SECONDS)
    try:
        await channel.queue_declare(name, passive=True, timeout=RPC_SECONDS)
    except ChannelNotFoundEntity:
        return False
    await channel.close()
    return True


async def _declare(connection: aiormq.Connection, spec: QueueSpec) -> None:
    channel = await connection.channel(publisher_confirms=False, timeout=RPC_SECONDS)
    try:
        await channel.queue_declare(spec.name, durable=True, arguments=dict(spec.arguments), timeout=RPC_SECONDS)
    except ChannelPreconditionFailed as error:  # another client was faster, with different arguments
        _log_difference(spec, error)
        return
    if spec.fanout:
        await channel.exchange_declare(spec.name, exchange_type="fanout", durable=True, timeout=RPC_SECONDS)
        await channel.queue_bind(spec.name, spec.name, timeout=RPC_SECONDS)
    await channel.close()


async def _compare(connection: aiormq.Connection, spec: QueueSpec) -> None:
    """Compare an existing queue with our declaration: an identical declaration changes nothing."""
    try:
        await _declare(connection, spec)
    except AMQPChannelError as error:  # declaring is not allowed, which is acceptable for an existing queue
        log.info("queue_not_compared", queue=spec.name, reason=str(error))


def _log_difference(spec: QueueSpec, error: Exception) -> None:
    log.warning(
        "queue_differs",
        queue=spec.name,
        reason=str(error),
        wanted=dict(spec.arguments),
        advice="used as it is; give it a dead-letter-exchange by policy if it has a delivery limit. Where clients declare "
        "plain durable queues, set FAREGATE_QUEUE_TYPE=classic",
    )
