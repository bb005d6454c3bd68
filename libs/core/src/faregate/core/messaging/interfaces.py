"""The seam between messages and what carries them: PostgreSQL or RabbitMQ."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

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
    """A body to publish; `headers` travel beside it."""

    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it reached a consumer.

    Attributes:
        message_id: names the message on its transport; absent when a RabbitMQ publisher gave none.
        attempt: 1 at the first delivery.
        redelivered: an earlier delivery may have taken effect without being acknowledged.
        published_at: when it was published, where the transport knows.
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
    """Done with; forget it."""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Deliver it again after a while; past the last delay it is dead-lettered with `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Keep it aside for a person, with the reason."""

    reason: str


Decision = Ack | RetryLater | DeadLetter


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one queue; `oldest_at` is None when nothing does or the transport cannot tell."""

    depth: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A dead letter, for a person to read, replay or drop."""

    id: str
    queue: str
    reason: str
    attempts: int
    body: bytes
    dead_at: datetime

    @property
    def place(self) -> "DeadLetterCursor":
        """Where it lies."""
        return DeadLetterCursor(self.id, self.dead_at)


@dataclass(frozen=True, slots=True)
class DeadLetterCursor:
    """The place of a dead letter among the others, also when it has been taken away."""

    id: str
    dead_at: datetime


@runtime_checkable
class IConsumer(Protocol):
    """Takes messages of one queue, and says what became of them."""

    async def take(self, limit: int, *, wait_seconds: float) -> Sequence[Delivery]:
        """Return up to `limit` messages; waits for the first one, and returns none after `wait_seconds`.

        Whatever was taken and not decided comes again, to this consumer or another one.
        """
        ...

    async def decide(self, decisions: Sequence[tuple[Delivery, Decision]]) -> None:
        """Carry out what was decided about all messages of one `take`.

        A crash before or within this call makes them come again, so that effects must be safe to repeat.
        """
        ...

    async def close(self) -> None:
        """Stop taking; what was taken and not decided is free for others."""
        ...


@runtime_checkable
class ITransport(Protocol):
    """Carries messages between processes, durably, each at least once."""

    async def open(self) -> None:
        """Connect and see to it that the public queues exist. Safe to repeat."""
        ...

    async def close(self) -> None:
        """Let go of all connections. Safe to repeat."""
        ...

    async def publish(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Return once all messages are stored durably.

        Raises:
            EngineUnavailableError: not all of them are known to be stored; publish again, effects are safe to repeat.
        """
        ...

    async def consume(self, queue: str) -> IConsumer:
        """Begin to consume `queue`."""
        ...

    async def backlog(self, queue: str) -> Backlog:
        """Return what waits in `queue`."""
        ...

    def dead_letters(
        self, *, queue: str | None = None, after: DeadLetterCursor | None = None
    ) -> AsyncIterator[DeadMessage]:
        """Read the dead letters, oldest first, from behind `after`; they stay.

        Where the letter at `after` is gone, some that were read before may come again; none is left out.
        """
        ...

    async def count_dead(self) -> int:
        """Return how many dead letters there are."""
        ...

    async def replay(self, ids: Sequence[str]) -> int:
        """Put these dead letters back on their queues as new messages; return how many there were."""
        ...

    async def drop(self, ids: Sequence[str]) -> int:
        """Forget these dead letters for ever; return how many there were."""
        ...


@runtime_checkable
class IOutbox(Protocol):
    """Writes messages in the transaction that they tell about; the worker relays them."""

    async def add(self, session: AsyncSession, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Store `messages` so that they exist exactly if the transaction commits."""
        ...
