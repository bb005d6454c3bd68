"""Stored answers to requests with an `Idempotency-Key`.

An answer is stored in the transaction of its request, and kept for at least 35 days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.sql import ANSWER_FIND, ANSWER_FORGET, ANSWER_KEEP
from faregate.core.db.database import Database
from faregate.core.errors import KeyConflictError
from faregate.core.privacy.erased_keys import erased_key

__all__ = ["KEPT_FOR", "IdempotencyStore", "StoredAnswer"]

KEPT_FOR = timedelta(days=36)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was sent, and the hash of its request."""

    request_hash: bytes
    status: int
    body: bytes


class IdempotencyStore:
    """Reads and writes the table `idempotent_answer`; keys of different credentials are independent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, credential: str, key: str, request_hash: bytes) -> StoredAnswer | None:
        """Return the stored answer, if there is one.

        Raises:
            KeyConflictError: the key was used with another request.
        """
        async with self._database.transaction(read_only=True) as session:
            rows: Sequence[StoredAnswer] = await self._database.rows(
                session, ANSWER_FIND, credential=credential, key=key, erased=erased_key(key)
            )
        if not rows:
            return None
        stored = StoredAnswer(bytes(rows[0].request_hash), rows[0].status, bytes(rows[0].body))
        if stored.request_hash != request_hash:
            raise KeyConflictError(
                f"The Idempotency-Key {key!r} was used with another request; use a new key for a new request",
                param="Idempotency-Key",
            )
        return stored

    async def keep(self, session: AsyncSession, credential: str, key: str, answer: StoredAnswer) -> bool:
        """Store an answer in `session`; False if a concurrent request stored one first, and `session` must be rolled back.

        Waits for a concurrent transaction with the same key to end.
        """
        rows = await self._database.rows(
            session,
            ANSWER_KEEP,
            credential=credential,
            key=key,
            erased=erased_key(key),
            request_hash=answer.request_hash,
            status=answer.status,
            body=answer.body,
        )
        return bool(rows)

    async def forget_old(self, *, limit: int = 5000) -> int:
        """Delete answers older than the retention period; return how many (at most `limit`)."""
        async with self._database.transaction() as session:
            return len(await self._database.rows(session, ANSWER_FORGET, kept=KEPT_FOR, limit=limit))
