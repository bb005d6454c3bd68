"""Search of feature logs, newest first.

Each combination of filters becomes a statement that one index answers.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.feature_log.repository import FIELDS, NAMES
from faregate.feature_log.routes import Routes
from faregate.feature_log.sealing import Sealer
from faregate.feature_log.values import LogFilter

__all__ = ["LogSearch"]

_MERGED_ROUTES = 64
"""Up to this number of routes, each is read along its index and the results are merged; more become a filter on the newest logs."""

_CONDITIONS = {
    "subject_id": "l.subject_id = :subject_id",
    "email": "l.email_index = any(cast(:email as bytea[]))",
    "usage_key": "l.usage_key = :usage_key",
    "failed": "l.failed = :failed",
    "code": "l.code = :code",
    "method": "l.method = :method",
    "since": "l.logged_at >= cast(:since as timestamptz)",
    "until": "l.logged_at < cast(:until as timestamptz)",
    "before_at": "l.logged_at <= cast(:before_at as timestamptz)",
    "before_id": "(l.logged_at, l.log_id) < (:before_at, cast(:before_id as uuid))",
    "body": """concat_ws(' ', convert_from(l.payload, 'UTF8'), convert_from(l.response, 'UTF8'),
      convert_from(l.params, 'UTF8'), convert_from(l.query, 'UTF8')) ilike :body and l.key_id is null""",
}

_NEWEST = "order by l.logged_at desc, l.log_id desc limit :limit"

_OF_USES = f"""
select {FIELDS} from (
  select l.* from unnest(cast(:keys as text[]), cast(:users as text[])) as wanted (usage_key, user_id)
  join faregate.subject u on u.external_id = wanted.user_id
  cross join lateral (
    select l.* from faregate.feature_log l
    where l.usage_key = wanted.usage_key and l.subject_id = u.subject_id and l.deleted_at is null {_NEWEST}
  ) l
) l {NAMES} order by l.logged_at desc, l.log_id desc
"""  # noqa: S608


class LogSearch:
    """Finds logs."""

    def __init__(self, database: Database, routes: Routes, sealer: Sealer) -> None:
        self._database = database
        self._routes = routes
        self._sealer = sealer

    async def find(
        self, session: AsyncSession, wanted: LogFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Any]:
        """Return rows without bodies, newest first.

        Raises:
            InvalidError: the filter searches bodies, but they are encrypted.
        """
        values = await self._values(session, wanted, before)
        if values is None:
            return ()
        routes = await self._matching(session, wanted, values)
        if routes is not None and not routes:
            return ()
        sql = _statement(values, routes, deleted=wanted.deleted)
        return await self._database.rows(session, sql, **values, **_route_parameters(routes), limit=limit)

    async def of_uses(self, session: AsyncSession, uses: Sequence[tuple[str, str]], *, limit: int) -> Sequence[Any]:
        """Return the newest `limit` rows of each of these uses (usage key, user), without bodies."""
        keys, users = [key for key, _ in uses], [user for _, user in uses]
        return await self._database.rows(session, _OF_USES, keys=keys, users=users, limit=limit)

    async def _matching(self, session: AsyncSession, wanted: LogFilter, values: dict[str, Any]) -> list[int] | None:
        """Return the routes of the filter; None for all. A text that is the name of a status becomes that filter."""
        text = wanted.text
        if text is not None and text.casefold() in {"success", "failed"}:
            found = await self._routes.matching(session, feature=wanted.feature, text=text)
            if not found:
                values["failed"] = text.casefold() == "failed"
                text = None
        if text is None and wanted.feature is None:
            return None
        return await self._routes.matching(session, feature=wanted.feature, text=text)

    async def _values(
        self, session: AsyncSession, wanted: LogFilter, before: tuple[datetime, UUID] | None
    ) -> dict[str, Any] | None:
        """Return the conditions of the filter, by name, with their values; None if no log can match."""
        values: dict[str, Any] = {
            "usage_key": wanted.usage_key,
            "code": wanted.code,
            "method": wanted.method,
            "since": wanted.since,
            "until": wanted.until,
            "failed": None if wanted.status is None else wanted.status == "failed",
            "email": self._sealer.indexes(wanted.user_email) if wanted.user_email else None,
            "body": self._body_pattern(wanted.body_text),
        }
        if before is not None:
            values |= {"before_at": before[0], "before_id": before[1]}
        if wanted.user_id is not None:
            sql = "select subject_id from faregate.subject where external_id = :user_id"
            rows = await self._database.rows(session, sql, user_id=wanted.user_id)
            if not rows:
                return None
            values["subject_id"] = rows[0].subject_id
        return {name: value for name, value in values.items() if value is not None}

    def _body_pattern(self, text: str | None) -> str | None:
        if text is None:
            return None
        if self._sealer.key_id is not None:
            raise InvalidError("body cannot be searched: bodies are encrypted; filter by something else", param="body")
        return "%" + text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"


def _route_parameters(routes: Sequence[int] | None) -> dict[str, Any]:
    if routes is None:
        return {}
    return {"route": routes[0]} if len(routes) == 1 else {"routes": routes}


def _statement(values: dict[str, Any], routes: Sequence[int] | None, *, deleted: bool) -> str:
    conditions = [_CONDITIONS[name] for name in values]
    conditions.append("l.deleted_at is not null" if deleted else "l.deleted_at is null")
    if routes is not None and len(routes) == 1:
        conditions.append("l.route_id = :route")
    if routes is None or len(routes) == 1:
        found = f"select l.* from faregate.feature_log l where {' and '.join(conditions)} {_NEWEST}"  # noqa: S608
    elif len(routes) <= _MERGED_ROUTES:
        found = f"""
        select l.* from unnest(cast(:routes as int[])) as wanted (route_id)
        cross join lateral (
          select l.* from faregate.feature_log l
          where l.route_id = wanted.route_id and {" and ".join(conditions)} {_NEWEST}
        ) l {_NEWEST}
        """  # noqa: S608
    else:
        conditions.append("l.route_id = any(cast(:routes as int[]))")
        found = f"select l.* from faregate.feature_log l where {' and '.join(conditions)} {_NEWEST}"  # noqa: S608
    return f"select {FIELDS} from ({found}) l {NAMES} order by l.logged_at desc, l.log_id desc"  # noqa: S608
