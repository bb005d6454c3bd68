"""Working copies that name a person: messages, stored answers, deliveries to webhooks. An erasure deletes them;
of a message about several people it leaves what is about the others, who would lose their events otherwise.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core import exact_json
from faregate.core.database import Database
from faregate.core.errors import FaregateError
from faregate.core.personal_data import Person

__all__ = ["CopiesPersonalData"]

_NAMED = "exists (select from unnest(cast(:quoted as bytea[])) as q (name) where position(q.name in {column}) > 0)"

_GIVEN = """
credential in (
  select left(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 32) from unnest(cast(:actors as text[])) as a (name))
"""
"""Answers are kept under a digest of who asked."""

_COPIES = {
    "message": ("body", "queue, created_at, dead_at, dead_reason"),
    "idempotent_answer": ("body", "key, status, created_at"),
    "webhook_delivery": ("payload", "event_type, status, created_at"),
}
"""Table, the column with the JSON, and what is shown beside it."""


class CopiesPersonalData:
    """`IPersonalData` of what is on its way, or kept to be given again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def export(self, session: AsyncSession, person: Person) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        quoted = person.parameters["quoted"]
        for table, (column, shown) in _COPIES.items():
            named = _NAMED.format(column=column)
            sql = f"select {shown}, {column} as content from faregate.{table} where {named} order by created_at"  # noqa: S608
            for row in await self._database.rows(session, sql, quoted=quoted):
                record = dict(row)
                yield table, {**record, "content": _of_person(bytes(record["content"]), quoted)}
        sql = f"select key, status, created_at from faregate.idempotent_answer where {_GIVEN} order by created_at"  # noqa: S608
        for row in await self._database.rows(session, sql, actors=person.parameters["actors"]):
            yield "idempotent_answer_of", dict(row)

    async def erase(self, session: AsyncSession, person: Person) -> Mapping[str, int]:
        changed = {"message_items": await self._leave_to_others(session, person.parameters["quoted"])}
        for table, (column, _) in _COPIES.items():
            sql = f"delete from faregate.{table} where {_NAMED.format(column=column)} returning 1"  # noqa: S608
            changed[table] = len(await self._database.rows(session, sql, quoted=person.parameters["quoted"]))
        sql = f"delete from faregate.idempotent_answer where {_GIVEN} returning 1"  # noqa: S608
        given = await self._database.rows(session, sql, actors=person.parameters["actors"])
        return {**changed, "idempotent_answer_of": len(given)}

    async def _leave_to_others(self, session: AsyncSession, quoted: list[bytes]) -> int:
        """Take the person's items out of messages that are arrays; return of how many messages something is left."""
        sql = f"select message_id, body from faregate.message where {_NAMED.format(column='body')} for update"  # noqa: S608
        left = 0
        for row in await self._database.rows(session, sql, quoted=quoted):
            items = _items(bytes(row.body)) or []
            others = [item for item in items if not _names(item, quoted)]
            if others:
                sql = "update faregate.message set body = :body where message_id = :message_id"
                await self._database.rows(session, sql, body=exact_json.dumps(others), message_id=row.message_id)
                left += 1
        return left


def _of_person(content: bytes, quoted: list[bytes]) -> Any:
    """Return the content; of an array only the items that name the person: the others are about somebody else."""
    items = _items(content)
    if items is not None:
        return [item for item in items if _names(item, quoted)]
    return _json(content)


def _items(content: bytes) -> list[Any] | None:
    value = _json(content)
    return cast("list[Any]", value) if isinstance(value, list) else None


def _json(content: bytes) -> Any:
    """Return what cannot be read as nothing."""
    try:
        return exact_json.loads(content)
    except (FaregateError, ValueError):
        return None


def _names(item: Any, quoted: list[bytes]) -> bool:
    return any(name in exact_json.dumps(item) for name in quoted)
