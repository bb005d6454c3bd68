"""Dead letters of a deployment, wherever they lie: in the broker, in the outbox, or in the one table that is both."""

from collections.abc import AsyncIterator, Sequence

from faregate.core.errors import NotFoundError
from faregate.core.interfaces import DeadMessage, ITransport
from faregate.core.message_table import PostgresTransport

__all__ = ["DeadLetterDesk", "UnknownDeadLetterError"]


class UnknownDeadLetterError(NotFoundError):
    """No dead letter has this id (any more)."""

    code = "unknown_dead_letter"

    def __init__(self, letter_id: str) -> None:
        super().__init__(f"No dead letter {letter_id!r}; it may have been replayed or dropped already", param="id")


class DeadLetterDesk:
    """Where people read, replay and drop what could not be handled."""

    def __init__(self, transport: ITransport, outbox: PostgresTransport) -> None:
        self._stores: Sequence[ITransport] = (
            [outbox] if isinstance(transport, PostgresTransport) else [transport, outbox]
        )

    async def read(self, *, queue: str | None = None, limit: int = 100) -> list[DeadMessage]:
        """Return the oldest dead letters, of one queue or of all; they stay."""
        found: list[DeadMessage] = []
        async for letter in self._all(queue):
            found.append(letter)
            if len(found) == limit:
                break
        return found

    async def get(self, letter_id: str) -> DeadMessage:
        """Return one dead letter, or raise `UnknownDeadLetterError`."""
        async for letter in self._all(None):
            if letter.id == letter_id:
                return letter
        raise UnknownDeadLetterError(letter_id)

    async def ids(self, queue: str | None) -> list[str]:
        """Return the ids of all dead letters of one queue, or of all."""
        return [letter.id async for letter in self._all(queue)]

    async def count(self) -> int:
        """Return how many dead letters there are."""
        return sum([await store.count_dead() for store in self._stores])

    async def replay(self, ids: Sequence[str]) -> int:
        """Put these back on their queues as new messages; return how many there were."""
        return sum([await store.replay(ids) for store in self._stores])

    async def drop(self, ids: Sequence[str]) -> int:
        """Forget these for ever; return how many there were."""
        return sum([await store.drop(ids) for store in self._stores])

    async def _all(self, queue: str | None) -> AsyncIterator[DeadMessage]:
        for store in self._stores:
            async for letter in store.dead_letters(queue=queue):
                yield letter
