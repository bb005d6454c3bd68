"""Dead letters of a deployment: listing, replay and removal.

They are stored in the broker and in the outbox, or in the one PostgreSQL table that serves as both.
"""

from base64 import b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from faregate.core.errors import MalformedError, NotFoundError
from faregate.core.messaging.interfaces import DeadLetterCursor, DeadMessage, ITransport
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.wire import exact_json

__all__ = ["DeadLetterPage", "DeadLetterService", "DeskPlace", "UnknownDeadLetterError", "shown_body"]

DeskPlace = tuple[int, DeadLetterCursor]
"""Position of a letter: the number of its store, and its place in that store."""

_SHOWN_DEPTH = 24
"""Bodies nested deeper are shown as text: within an answer they must not exceed what JSON parsers accept."""

Encoding = Literal["json", "text", "base64"]


class UnknownDeadLetterError(NotFoundError):
    """No dead letter has this id, or it has been replayed or dropped."""

    code = "unknown_dead_letter"

    def __init__(self, letter_id: str) -> None:
        super().__init__(f"No dead letter {letter_id!r}; it may have been replayed or dropped already", param="id")


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Some dead letters, and the cursor after which the next ones follow; None on the last page."""

    letters: list[DeadMessage]
    next: DeskPlace | None


def shown_body(body: bytes) -> tuple[Any, Encoding]:
    """Return a body in readable form: its JSON, else its text, else its bytes in base64."""
    try:
        return exact_json.loads(body, depth_limit=_SHOWN_DEPTH), "json"
    except MalformedError:
        pass
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return b64encode(body).decode(), "base64"
    return (b64encode(body).decode(), "base64") if "\0" in text else (text, "text")


class DeadLetterService:
    """Lists, replays and drops messages that could not be handled."""

    def __init__(self, transport: ITransport, outbox: PostgresTransport) -> None:
        self._stores: Sequence[ITransport] = (
            [outbox] if isinstance(transport, PostgresTransport) else [transport, outbox]
        )

    async def read(
        self, *, queue: str | None = None, limit: int = 100, after: DeskPlace | None = None
    ) -> "DeadLetterPage":
        """Return the oldest dead letters after `after`, of one queue or of all, without removing them."""
        found: list[DeadMessage] = []
        place = after
        async with aclosing(self._all(queue, after)) as letters:
            async for number, letter in letters:
                if len(found) == limit:
                    return DeadLetterPage(found, place)
                found.append(letter)
                place = (number, letter.place)
        return DeadLetterPage(found, None)

    async def get(self, letter_id: str) -> DeadMessage:
        """Return one dead letter, or raise `UnknownDeadLetterError`."""
        async with aclosing(self._all(None)) as letters:
            async for _, letter in letters:
                if letter.id == letter_id:
                    return letter
        raise UnknownDeadLetterError(letter_id)

    async def ids(self, queue: str | None) -> list[str]:
        """Return the ids of all dead letters of one queue, or of all."""
        async with aclosing(self._all(queue)) as letters:
            return [letter.id async for _, letter in letters]

    async def count(self) -> int:
        """Return how many dead letters there are."""
        return sum([await store.count_dead() for store in self._stores])

    async def replay(self, ids: Sequence[str]) -> int:
        """Return these to their queues as new messages; return how many there were."""
        return sum([await store.replay(ids) for store in self._stores])

    async def drop(self, ids: Sequence[str]) -> int:
        """Delete these permanently; return how many there were."""
        return sum([await store.drop(ids) for store in self._stores])

    async def _all(self, queue: str | None, after: DeskPlace | None = None) -> AsyncGenerator[tuple[int, DeadMessage]]:
        first, place = after or (0, None)
        for number, store in enumerate(self._stores):
            if number >= first:
                async for letter in store.dead_letters(queue=queue, after=place if number == first else None):
                    yield number, letter
