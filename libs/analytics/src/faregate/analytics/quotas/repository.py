"""Repository of quotas."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.levels import Thresholds
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import EVERYBODY, Quota, QuotaSpec
from faregate.core.db.database import Database
from faregate.wire.ids import new_uuid7

__all__ = ["QuotaRepository", "quota_of"]

COLUMNS = """
q.quota_id, q.subject_id, q.meter, q.period, q.limit_value, q.hard, q.timezone, q.thresholds, q.emails, q.active,
q.revision, q.created_at, q.updated_at, coalesce(s.external_id, '*') as owner_id
"""

_FROM = f"select {COLUMNS} from faregate.quota q left join faregate.subject s using (subject_id)"  # noqa: S608

_PUT = """
insert into faregate.quota as q (
  quota_id, subject_id, meter, period, limit_value, hard, timezone, thresholds, emails, active, revision, created_at,
  updated_at
) values (
  :quota_id, cast(:subject_id as bigint), :meter, :period, :limit_value, :hard, :timezone,
  cast(:thresholds as numeric[]), cast(:emails as text[]), :active, 1, :now, :now
)
on conflict on constraint quota_owner_key do update set
  revision = q.revision + (
    (q.limit_value, q.timezone, q.thresholds) is distinct from
    (excluded.limit_value, excluded.timezone, excluded.thresholds)
  )::int,
  limit_value = excluded.limit_value, hard = excluded.hard, timezone = excluded.timezone,
  thresholds = excluded.thresholds, emails = excluded.emails, active = excluded.active, updated_at = excluded.updated_at
returning quota_id
"""

_ONE = f"{_FROM} where q.quota_id = :quota_id"

_LIST = f"""
{_FROM}
where (cast(:owner_id as text) is null or coalesce(s.external_id, '*') = :owner_id)
  and (cast(:meter as text) is null or q.meter = :meter)
  and (cast(:after as uuid) is null or q.quota_id > :after)
order by q.quota_id limit :limit
"""

_ACTIVE = (
    f"{_FROM} where q.active and (cast(:after as uuid) is null or q.quota_id > :after) order by q.quota_id limit :limit"
)

_HARD = f"{_FROM} where q.active and q.hard"

_REMOVE = "delete from faregate.quota where quota_id = :quota_id returning quota_id"


class QuotaRepository:
    """Reads and writes quotas in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, session: AsyncSession, spec: QuotaSpec, *, subject_id: int | None, now: datetime) -> UUID:
        """Store `spec` as the quota of its owner, meter and period; return its id."""
        rows = await self._database.rows(
            session,
            _PUT,
            quota_id=new_uuid7(),
            subject_id=subject_id,
            meter=spec.meter,
            period=spec.period.value,
            limit_value=spec.limit,
            hard=spec.hard,
            timezone=spec.timezone,
            thresholds=[percent for _, percent in spec.thresholds.items()] if spec.thresholds else None,
            emails=list(spec.emails),
            active=spec.active,
            now=now,
        )
        return rows[0].quota_id  # type: ignore[no-any-return]

    async def find(self, session: AsyncSession, quota_id: UUID) -> Quota | None:
        """Return one quota."""
        rows = await self._database.rows(session, _ONE, quota_id=quota_id)
        return quota_of(rows[0]) if rows else None

    async def matching(
        self, session: AsyncSession, *, owner_id: str | None, meter: str | None, after: UUID | None, limit: int
    ) -> Sequence[Quota]:
        """Return quotas in the order of their creation, of one owner or of all, for one meter or for all."""
        rows = await self._database.rows(session, _LIST, owner_id=owner_id, meter=meter, after=after, limit=limit)
        return [quota_of(row) for row in rows]

    async def active(self, session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[Quota]:
        """Return the active quotas that follow `after`."""
        return [quota_of(row) for row in await self._database.rows(session, _ACTIVE, after=after, limit=limit)]

    async def hard(self, session: AsyncSession) -> Sequence[Quota]:
        """Return all active hard quotas."""
        return [quota_of(row) for row in await self._database.rows(session, _HARD)]

    async def remove(self, session: AsyncSession, quota_id: UUID) -> bool:
        """Delete one quota and its alerts; return whether it existed."""
        return bool(await self._database.rows(session, _REMOVE, quota_id=quota_id))


def quota_of(row: Any) -> Quota:
    """Return the quota of a row with the columns `COLUMNS`."""
    spec = QuotaSpec(
        owner_id=row.owner_id or EVERYBODY,
        meter=row.meter,
        period=QuotaPeriod(row.period),
        limit=row.limit_value,
        hard=row.hard,
        timezone=row.timezone,
        thresholds=Thresholds(*row.thresholds) if row.thresholds else None,
        emails=tuple(row.emails),
        active=row.active,
    )
    return Quota(row.quota_id, row.subject_id, row.revision, spec, row.created_at, row.updated_at)
