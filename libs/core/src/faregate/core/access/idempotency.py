"""What was answered for an `Idempotency-Key`: kept in the transaction that it protects, for 35 days and more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import KeyConflictError
from faregate.core.privacy.erased_keys import erased_key

__all__ = ["KEPT_FOR", "IdempotencyStore", "StoredAnswer"]

KEPT_FOR = timedelta(days=36)

_FIND = """
select request_hash, status, body from faregate.idempotent_answer
where credential = :credential and key = any(array[cast(:key as text), cast(:erased as text)])
"""

_KEEP = """
insert into faregate.idempotent_answer (credential, key, request_hash, status, body)
select :credential, cast(:key as text), :request_hash, :status, :body
where not exists (select from faregate.idempotent_answer where credential = :credential and key = cast(:erased as text))
on conflict (credential, key) do nothing
returning key
"""

_FORGET = """
delete from faregate.idempotent_answer
where ctid in (
  select ctid from faregate.idempotent_answer
  where created_at < clock_timestamp() - cast(:kept as interval) limit :limit
)
returning 1
"""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it went out, and the hash of what it answered."""

    request_hash: bytes
    status: int
    body: bytes


class IdempotencyStore:
    """Reads and writes the table `idempotent_answer`; keys of different credentials never meet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, credential: str, key: str, request_hash: bytes) -> StoredAnswer | None:
        """Return what was answered before.

        Raises:
            KeyConflictError: the key was used with another request.
        """
        async with self._database.transaction(read_only=True) as session:
            rows: Sequence[StoredAnswer] = await self._database.rows(
                session, _FIND, credential=credential, key=key, erased=erased_key(key)
            )
        if not rows:
            return None
        stored = StoredAnswer(bytes(rows[0].request_hash), rows[0].status, bytes(rows[0].body))
        if stored.request_hash != request_hash:
            raise KeyConflictError(
                f"The Idempotency-Key {key!r} was used with another request; take a new key for a new request",
                param="Idempotency-Key",
            )
        return stored

    async def keep(self, session: AsyncSession, credential: str, key: str, answer: StoredAnswer) -> bool:
        """Store an answer in `session`; False if somebody else's came first, and `session` must be rolled back.

        Waits for a concurrent transaction with the same key to end.
        """
        rows = await self._database.rows(
            session,
            _KEEP,
            credential=credential,
            key=key,
            erased=erased_key(key),
            request_hash=answer.request_hash,
            status=answer.status,
            body=answer.body,
        )
        return bool(rows)

    async def forget_old(self, *, limit: int = 5000) -> int:
        """Delete answers that nobody asks for any more; return how many (at most `limit`)."""
        async with self._database.transaction() as session:
            return len(await self._database.rows(session, _FORGET, kept=KEPT_FOR, limit=limit))
