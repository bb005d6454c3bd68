"""Personal data in feature logs: rows and archived months."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.archive.archives import Archives
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month
from faregate.core.errors import FaregateError
from faregate.core.privacy.key_ring import SealedError
from faregate.core.privacy.person_places import is_about, without_mentions
from faregate.core.privacy.person_words import GONE
from faregate.core.privacy.personal_data import Person
from faregate.feature_log.errors import LogSealedError
from faregate.feature_log.repository import BODIES, FIELDS, NAMES
from faregate.feature_log.sealing import Sealer
from faregate.feature_log.values import BODY_COLUMNS
from faregate.wire import exact_json
from faregate.wire.queues import FEATURE_LOG_QUEUE

__all__ = ["LogPersonalData"]

_PAGE = 200

_EXPORT = f"""
select {FIELDS}, {BODIES} from faregate.feature_log l {NAMES}
where l.subject_id = :subject and (l.logged_at, l.log_id) > (cast(:after_at as timestamptz), cast(:after_id as uuid))
order by l.logged_at, l.log_id limit {_PAGE}
"""  # noqa: S608

_EXPORT_ARCHIVED = f"""
select {FIELDS}, {BODIES} from {{rows}} l {NAMES} where l.subject_id = :subject order by l.logged_at, l.log_id
"""  # noqa: S608

_HIDDEN = """
select log_id as id, logged_at, deleted_at from faregate.feature_log
where deleted_by = any(cast(:signatures as text[])) order by logged_at
"""

_EMPTY = """
set payload = null, response = null, params = null, query = null, email = null, email_index = null, endpoint = null,
  key_id = null
"""

_ERASE = f"update faregate.feature_log {_EMPTY} where subject_id = :subject returning 1"

_ERASE_ENDPOINTS = f"""
update faregate.feature_log set endpoint = regexp_replace(endpoint, :in_keys, '{GONE}', 'gi')
where endpoint ~* :in_keys returning 1
"""  # noqa: S608

_OWN_CELLS = ("payload", "response", "params", "query", "email", "email_index", "key_id")

_ERASE_ARCHIVED = f"""
update {{rows}} set
  {", ".join(f"{cell} = case when subject_id is distinct from :subject then {cell} end" for cell in _OWN_CELLS)},
  endpoint = case when subject_id is distinct from :subject then regexp_replace(endpoint, :in_keys, '{GONE}', 'gi') end
where subject_id = :subject or endpoint ~* :in_keys returning 1
"""  # noqa: S608

_ERASE_ROUTES = f"""
update faregate.feature_log_route set
  endpoint = regexp_replace(endpoint, :in_keys, '{GONE}-' || route_id, 'gi'),
  type = regexp_replace(type, :in_keys, '{GONE}-' || route_id, 'gi')
where endpoint ~* :in_keys or type ~* :in_keys returning 1
"""  # noqa: S608
"""Routes are unique: the number keeps two routes distinct that differed in the name only."""


_WAITING = """
select message_id, body from faregate.message
where queue = :queue and starts_with(encode(substring(body for 30), 'escape'), '{"faregate_sealed"') for update
"""
_CHANGE_WAITING = "update faregate.message set body = :body where message_id = :id"
_DELETE_WAITING = "delete from faregate.message where message_id = :id"


class LogPersonalData:
    """`IPersonalData` of `feature_log`: that something was done stays, its contents and who did it are erased."""

    def __init__(self, database: Database, sealer: Sealer, archives: Archives | None) -> None:
        self._database = database
        self._sealer = sealer
        self._archives = archives

    async def export(self, session: AsyncSession, person: Person) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        after: dict[str, Any] = {"after_at": Month(1970, 1).start, "after_id": "00000000-0000-0000-0000-000000000000"}
        while rows := await self._database.rows(session, _EXPORT, subject=person.subject_id, **after):
            for row in rows:
                yield "feature_log", self._record(row)
            after = {"after_at": rows[-1].logged_at, "after_id": rows[-1].log_id}
        for row in await self._database.rows(session, _HIDDEN, signatures=person.parameters["signatures"]):
            yield "feature_log_hidden", dict(row)
        if self._archives is not None:
            async for row in self._archives.select_all(_EXPORT_ARCHIVED, subject=person.subject_id):
                yield "feature_log", self._record(row)

    async def erase(self, session: AsyncSession, person: Person) -> Mapping[str, int]:
        if self._archives is not None:
            await self._archives.hold(session)
        in_keys = person.parameters["in_keys"]
        erased = {
            "feature_log": len(await self._database.rows(session, _ERASE, subject=person.subject_id)),
            "feature_log_endpoint": len(await self._database.rows(session, _ERASE_ENDPOINTS, in_keys=in_keys)),
            "feature_log_route": len(await self._database.rows(session, _ERASE_ROUTES, in_keys=in_keys)),
            "feature_log_waiting": await self._erase_waiting(session, person),
        }
        if self._archives is None:
            return erased
        archived = await self._archives.amend_all(_ERASE_ARCHIVED, subject=person.subject_id, in_keys=in_keys)
        return {**erased, "feature_log_archived": archived}

    async def _erase_waiting(self, session: AsyncSession, person: Person) -> int:
        """Remove the person's logs from encrypted messages that wait; plain ones are erased by the core.

        Raises:
            LogSealedError: a message cannot be decrypted, so that it is unknown whom it is about; nothing was erased.
        """
        changed = 0
        for row in await self._database.rows(session, _WAITING, queue=FEATURE_LOG_QUEUE):
            body = self._opened(bytes(row.body))
            left = _without(body, person)
            if left == body:
                continue
            if left is None:
                await self._database.rows(session, _DELETE_WAITING, id=row.message_id)
            else:
                sealed = self._sealer.ring.seal_message(FEATURE_LOG_QUEUE, left)
                await self._database.rows(session, _CHANGE_WAITING, id=row.message_id, body=sealed)
            changed += 1
        return changed

    def _opened(self, body: bytes) -> bytes:
        try:
            return self._sealer.ring.open_message(FEATURE_LOG_QUEUE, body)
        except SealedError as error:
            raise LogSealedError(f"{error.detail}; or drop the dead letters of {FEATURE_LOG_QUEUE}") from error

    def _record(self, row: Any) -> Mapping[str, Any]:
        def opened(column: str) -> bytes | None:
            return self._sealer.open(column, row.log_id, row.key_id, getattr(row, column))

        email = opened("email")
        bodies = {column: opened(column) for column in BODY_COLUMNS}
        return {
            "id": row.log_id,
            "logged_at": row.logged_at,
            "feature": row.feature_key,
            "endpoint": row.endpoint,
            "method": row.method,
            "code": row.code,
            "usage_key": row.usage_key,
            "duration_ms": row.duration_ms,
            "user_email": email.decode() if email else None,
            **{column: None if text is None else json.loads(text) for column, text in bodies.items()},
        }


def _without(body: bytes, person: Person) -> bytes | None:
    """Return a message of logs without those of the person and without mentions; None if nothing is left."""
    try:
        value = exact_json.loads(body)
    except (FaregateError, ValueError):
        return None if person.certain.search(body.decode(errors="replace")) else body
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    others = [item for item in items if not is_about(item, person.names)]
    kept = [without_mentions(item, person.certain, person.names, GONE) for item in others]
    if kept == items:
        return body
    return exact_json.dumps(kept if isinstance(value, list) else kept[0]) if kept else None
