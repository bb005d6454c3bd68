"""Repository of usage events, the claims on their identities, and rejections."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.usage.events.claims import CLAIM_COLUMNS, claim_of
from faregate.usage.events.copy_format import copy_body
from faregate.usage.events.rows import COLUMNS

__all__ = ["COUNTED", "EventRepository"]

_CLAIM = """
insert into faregate.usage_event_key (key, event_key, subject_id, time)
select n.key, n.event_key, n.subject_id, n.time
from unnest(cast(:keys as uuid[]), cast(:event_keys as uuid[]), cast(:subject_ids as bigint[]),
  cast(:times as timestamptz[])) as n (key, event_key, subject_id, time)
on conflict (key) do nothing
returning key
"""

_REJECT = """
insert into faregate.usage_rejection (key, reason)
select n.key, n.reason from unnest(cast(:keys as uuid[]), cast(:reasons as text[])) as n (key, reason)
where not exists (select 1 from faregate.usage_event_key k where k.key = n.key)
order by n.key
on conflict (key) do update set reason = excluded.reason, rejected_at = now()
"""

_VERSIONS = """
select e.*, s.external_id as user_id, o.external_id as organization
from faregate.usage_event e
join faregate.subject s on s.subject_id = e.subject_id
left join faregate.subject o on o.subject_id = e.organization_id
where e.event_key = :key and e.sign = 1
  and (e.subject_id, e.time) in (
    select k.subject_id, k.time from faregate.usage_event_key k where k.key = :key
    union all select c.subject_id, c.time from faregate.usage_correction c where c.event_key = :key)
order by e.version
"""

_CORRECTIONS = "select * from faregate.usage_correction where event_key = :key order by version"

_REJECTION = "select reason, rejected_at from faregate.usage_rejection where key = :key"

_CLAIMED = "select event_key, subject_id, time, received_at from faregate.usage_event_key where key = :key"

COUNTED = frozenset({"quantity", "requests", "calls", "input_tokens", "output_tokens", "credits", "charged", "cost"})
"""The columns that are negated in a row that reverses an event."""

_TAKE_BACK = f"""
insert into faregate.usage_event (sign, {", ".join(COLUMNS)})
select -1, {", ".join(f"-{name}" if name in COUNTED else name for name in COLUMNS)}
from faregate.usage_event
where subject_id = :subject_id and time = :time and event_key = :key and version = :version and sign = 1
"""  # noqa: S608

_CORRECT = """
insert into faregate.usage_correction (event_key, version, replaced, meaning_hash, subject_id, time, reason, actor)
values (:key, :version, :replaced, :meaning, :subject_id, :time, cast(:reason as text), cast(:actor as text))
on conflict (event_key, version) do nothing
returning version
"""

_FORGET_KEYS = "delete from faregate.usage_event_key where received_at < :before"
_FORGET_REJECTIONS = "delete from faregate.usage_rejection where rejected_at < :before"


class EventRepository:
    """Reads and writes events in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_all(self, session: AsyncSession, claims: Sequence[bytes]) -> bool:
        """Store all claims (rows of `CLAIM_COLUMNS`) by COPY; if one of them is not new, store nothing and return False.

        The claims must be sorted and without repetitions, so that concurrent writers cannot deadlock.
        """
        driver = await self._database.driver(session)
        await driver.execute("savepoint claims")
        try:
            await self._copy(driver, "usage_event_key", CLAIM_COLUMNS, claims)
        except asyncpg.UniqueViolationError:
            await driver.execute("rollback to savepoint claims")
            return False
        return True

    async def claim_new(self, session: AsyncSession, claims: Sequence[bytes]) -> set[bytes]:
        """Store the claims that are new; return their keys."""
        found = [claim_of(row) for row in claims]
        rows = await self._database.rows(
            session,
            _CLAIM,
            keys=[claim.key for claim in found],
            event_keys=[claim.event_key for claim in found],
            subject_ids=[claim.subject_id for claim in found],
            times=[claim.time for claim in found],
        )
        return {row.key.bytes for row in rows}

    async def add(self, session: AsyncSession, rows: Iterable[bytes]) -> None:
        """Append rows (of `COLUMNS`) by COPY."""
        await self._copy(await self._database.driver(session), "usage_event", COLUMNS, rows)

    async def reject(self, session: AsyncSession, reasons: Mapping[UUID, str]) -> None:
        """Store why these events were not accepted."""
        await self._database.rows(session, _REJECT, keys=list(reasons), reasons=list(reasons.values()))

    async def claimed(self, session: AsyncSession, key: UUID) -> Any | None:
        """Return the claim of this key, with the event it belongs to, or None."""
        rows = await self._database.rows(session, _CLAIMED, key=key)
        return rows[0] if rows else None

    async def versions(self, session: AsyncSession, key: UUID) -> Sequence[Any]:
        """Return all versions of an event, the first one first."""
        return await self._database.rows(session, _VERSIONS, key=key)

    async def corrections(self, session: AsyncSession, key: UUID) -> Sequence[Any]:
        """Return the corrections of an event, in order."""
        return await self._database.rows(session, _CORRECTIONS, key=key)

    async def rejection(self, session: AsyncSession, key: UUID) -> Any | None:
        """Return why the event was last rejected, or None."""
        rows = await self._database.rows(session, _REJECTION, key=key)
        return rows[0] if rows else None

    async def correct(self, session: AsyncSession, **correction: Any) -> bool:
        """Store a correction; return False if that version was corrected before."""
        return bool(await self._database.rows(session, _CORRECT, **correction))

    async def take_back(
        self, session: AsyncSession, *, key: UUID, version: int, subject_id: int, time: datetime
    ) -> None:
        """Append the row that reverses one version of an event."""
        await self._database.rows(session, _TAKE_BACK, key=key, version=version, subject_id=subject_id, time=time)

    async def forget(self, session: AsyncSession, *, before: datetime) -> None:
        """Delete claims and rejections that arrived before a moment."""
        await self._database.rows(session, _FORGET_KEYS, before=before)
        await self._database.rows(session, _FORGET_REJECTIONS, before=before)

    async def _copy(self, driver: Any, table: str, columns: Sequence[str], rows: Iterable[bytes]) -> None:
        await driver.copy_to_table(
            table, schema_name=self._database.sql.schema, columns=columns, source=_body(rows), format="binary"
        )


async def _body(rows: Iterable[bytes]) -> AsyncIterator[bytes]:
    yield copy_body(rows)
