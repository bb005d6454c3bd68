"""Statements on feature logs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.feature_log.preparing import PreparedLog
from faregate.wire.ids import uuid7_span

__all__ = ["BODIES", "COLUMNS", "FIELDS", "NAMES", "LogRepository"]

COLUMNS = (
    *(
        "logged_at",
        "log_id",
        "subject_id",
        "route_id",
        "code",
        "failed",
        "method",
        "duration_ms",
        "usage_key",
        "endpoint",
    ),
    *("email_index", "key_id", "email", "payload", "response", "params", "query"),
)

_CLAIM = """
with taken as (
insert into faregate.feature_log_key (digest, log_id, expires_at)
select n.digest, n.log_id, n.expires_at
from unnest(cast(:digests as uuid[]), cast(:log_ids as uuid[]), cast(:expires as timestamptz[]))
  as n (digest, log_id, expires_at)
order by n.digest
on conflict (digest) do update set log_id = excluded.log_id, expires_at = excluded.expires_at
where feature_log_key.expires_at <= cast(:now as timestamptz)
returning 1
)
select count(*) as count from taken
"""

_CLAIMED = """
select k.digest, k.log_id from unnest(cast(:digests as uuid[])) as wanted (digest)
cross join lateral (select * from faregate.feature_log_key where digest = wanted.digest offset 0) k
"""

_FORGET_KEYS = """
delete from faregate.feature_log_key where digest = any(array(
  select digest from faregate.feature_log_key where expires_at <= cast(:now as timestamptz) limit :limit))
returning digest
"""

FIELDS = """
l.log_id, l.logged_at, s.external_id as user_id, r.feature_key, nullif(r.feature_id, '') as feature_id,
coalesce(l.endpoint, nullif(r.endpoint, '')) as endpoint, nullif(r.type, '') as type, l.code, l.failed, l.method,
l.duration_ms, l.usage_key, l.deleted_at, l.deleted_by, l.key_id, l.email
"""

BODIES = "l.payload, l.response, l.params, l.query"

NAMES = """
join faregate.subject s on s.subject_id = l.subject_id
join faregate.feature_log_route r on r.route_id = l.route_id
"""

_ONE = f"""
select {FIELDS}, {BODIES} from faregate.feature_log l {NAMES}
where l.log_id = :log_id and l.logged_at >= :since and l.logged_at < :until
"""  # noqa: S608

_SOFT_DELETE = """
update faregate.feature_log l set deleted_at = cast(:now as timestamptz), deleted_by = :actor
from unnest(cast(:ids as uuid[]), cast(:since as timestamptz[]), cast(:until as timestamptz[])) as d (id, since, until)
where l.log_id = d.id and l.logged_at >= d.since and l.logged_at < d.until and l.deleted_at is null
  and l.logged_at >= :first and l.logged_at < :last
returning l.log_id
"""

_DELETE = """
delete from faregate.feature_log l
using unnest(cast(:ids as uuid[]), cast(:since as timestamptz[]), cast(:until as timestamptz[])) as d (id, since, until)
where l.log_id = d.id and l.logged_at >= d.since and l.logged_at < d.until
  and l.logged_at >= :first and l.logged_at < :last
returning l.log_id
"""


class LogRepository:
    """Reads and writes `feature_log` and `feature_log_key`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, session: AsyncSession, logs: Sequence[PreparedLog], now: datetime) -> Mapping[UUID, UUID]:
        """Reserve the digests of new logs; return for each digest the log that has it: one of these, or an earlier one."""
        digests = [log.digest for log in logs]
        taken = await self._database.rows(
            session,
            _CLAIM,
            digests=digests,
            log_ids=[log.log_id for log in logs],
            expires=[log.digest_expires_at for log in logs],
            now=now,
        )
        owners = {log.digest: log.log_id for log in logs}
        if taken[0].count < len(logs):
            rows = await self._database.rows(session, _CLAIMED, digests=digests)
            owners |= {row.digest: row.log_id for row in rows}
        return owners

    async def add(self, session: AsyncSession, rows: Sequence[tuple[Any, ...]]) -> None:
        """Store rows of `COLUMNS` by COPY."""
        await self._database.copy(session, "feature_log", COLUMNS, rows)

    async def one(self, session: AsyncSession, log_id: UUID) -> Any | None:
        """Return one log with its bodies."""
        since, until = uuid7_span(log_id)
        rows = await self._database.rows(session, _ONE, log_id=log_id, since=since, until=until)
        return rows[0] if rows else None

    async def soft_delete(self, session: AsyncSession, ids: Sequence[UUID], *, actor: str, now: datetime) -> list[UUID]:
        """Hide logs; return the ids of those that existed and were not hidden."""
        rows = await self._database.rows(session, _SOFT_DELETE, actor=actor, now=now, **_spans(ids))
        return [row.log_id for row in rows]

    async def delete(self, session: AsyncSession, ids: Sequence[UUID]) -> list[UUID]:
        """Delete logs; return the ids of those that existed."""
        return [row.log_id for row in await self._database.rows(session, _DELETE, **_spans(ids))]

    async def forget_keys(self, session: AsyncSession, now: datetime, *, limit: int) -> int:
        """Delete expired digests; return how many."""
        return len(await self._database.rows(session, _FORGET_KEYS, now=now, limit=limit))


def _spans(ids: Sequence[UUID]) -> dict[str, Any]:
    spans = [uuid7_span(log_id) for log_id in ids]
    return {
        "ids": list(ids),
        "since": [since for since, _ in spans],
        "until": [until for _, until in spans],
        "first": min(since for since, _ in spans),
        "last": max(until for _, until in spans),
    }
