"""Interfaces of message transports: PostgreSQL or RabbitMQ."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

__all__ = [
    "Ack",
    "Backlog",
    "DeadLetter",
    "DeadLetterCursor",
    "DeadMessage",
    "Decision",
    "Delivery",
    "IConsumer",
    "IOutbox",
    "ITransport",
    "OutgoingMessage",
    "RetryLater",
]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to publish: its body and its headers."""

    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Delivery(NamedTuple):
    """One message as it was received by a consumer.

    Attributes:
        message_id: identifies the message on its transport; absent if a RabbitMQ publisher gave none.
        attempt: 1 at the first delivery.
        redelivered: an earlier delivery may have taken effect without being acknowledged.
        published_at: when it was published, if the transport knows.
        token: what the transport needs to acknowledge it; opaque.
    """

    queue: str
    body: bytes
    message_id: str | None
    attempt: int
    redelivered: bool
    published_at: datetime | None
    headers: Mapping[str, Any]
    token: Any


@dataclass(frozen=True, slots=True)
class Ack:
    """The message was handled; remove it."""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Deliver it again after a delay; after the last delay it is dead-lettered with `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Move it to the dead letters, with the reason."""

    reason: str


Decision = Ack | RetryLater | DeadLetter


@dataclass(frozen=True, slots=True)
class Backlog:
    """The messages waiting in one queue; `oldest_at` is None if there are none or the transport does not know."""

    depth: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A dead letter, to be read, replayed or dropped by an operator."""

    id: str
    queue: str
    reason: str
    attempts: int
    body: bytes
    dead_at: datetime

    @property
    def place(self) -> "DeadLetterCursor":
        """Its position."""
        return DeadLetterCursor(self.id, self.dead_at)


@dataclass(frozen=True, slots=True)
class DeadLetterCursor:
    """The position of a dead letter among the others, valid even after it has been removed."""

    id: str
    dead_at: datetime


@runtime_checkable
class IConsumer(Protocol):
    """Receives the messages of one queue, and reports the outcome of each."""

    async def take(self, limit: int, *, wait_seconds: float) -> Sequence[Delivery]:
        """Return up to `limit` messages; waits for the first one, and returns none after `wait_seconds`.

        Messages that were taken and not decided are delivered again, to this consumer or another one.
        """
        ...

    async def decide(self, decisions: Sequence[tuple[Delivery, Decision]]) -> None:
        """Carry out the decisions about all messages of one `take`.

        After a crash before or within this call they are delivered again, so effects must be safe to repeat.
        """
        ...

    async def close(self) -> None:
        """Stop receiving; messages that were taken and not decided become available to others."""
        ...


@runtime_checkable
class ITransport(Protocol):
    """Carries messages between processes, durably, each at least once."""

    async def open(self) -> None:
        """Connect and create missing public queues. Safe to repeat."""
        ...

    async def close(self) -> None:
        """Close all connections. Safe to repeat."""
        ...

    async def publish(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Return once all messages are stored durably.

        Raises:
            EngineUnavailableError: not all of them are known to be stored; publish again, effects are safe to repeat.
        """
        ...

    async def consume(self, queue: str) -> IConsumer:
        """Start consuming `queue`."""
        ...

    async def backlog(self, queue: str) -> Backlog:
        """Return the backlog of `queue`."""
        ...

    def dead_letters(
        self, *, queue: str | None = None, after: DeadLetterCursor | None = None
    ) -> AsyncIterator[DeadMessage]:
        """Read the dead letters, oldest first, starting after `after`, without removing them.

        If the letter at `after` no longer exists, some that were read before may be returned again; none is left out.
        """
        ...

    async def count_dead(self) -> int:
        """Return how many dead letters there are."""
        ...

    async def replay(self, ids: Sequence[str]) -> int:
        """Return these dead letters to their queues as new messages; return how many there were."""
        ...

    async def drop(self, ids: Sequence[str]) -> int:
        """Delete these dead letters permanently; return how many there were."""
        ...


@runtime_checkable
class IOutbox(Protocol):
    """Writes messages in the transaction whose change they report; the worker relays them."""

    async def add(self, session: AsyncSession, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Store `messages` so that they exist exactly if the transaction commits."""
        ...
