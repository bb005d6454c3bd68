"""Personal data in messages, stored answers and webhook deliveries.

An erasure rewrites the copies that have still to be counted or charged, and those that keep a request from being executed twice;
it deletes the others. A message about several people keeps what is about the others.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.core.privacy.erased_keys import erased_key
from faregate.core.privacy.person_places import is_about, without_mentions, without_person
from faregate.core.privacy.person_words import GONE, key_erasure
from faregate.core.privacy.personal_data import Person
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE, USAGE_EVENTS_QUEUE

__all__ = ["CopiesPersonalData"]

_MAY_NAME = "exists (select from unnest(cast(:quoted as bytea[])) as q (name) where position(q.name in {column}) > 0)"
"""Finds candidates at low cost; whether they name the person is decided by the JSON member that holds the name."""

_GIVEN = """
credential in (
  select left(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 32) from unnest(cast(:actors as text[])) as a (name))
"""
"""Answers are stored under a digest of the caller."""

_COPIES = {
    "message": ("body", "queue, created_at, dead_at, dead_reason"),
    "idempotent_answer": ("body", "key, status, created_at"),
    "webhook_delivery": ("payload", "event_type, status, created_at"),
}
"""Table, the column with the JSON, and the columns shown with it."""

_COUNTED = {SETTLE_QUEUE, SETTLE_MULTIMODEL_QUEUE, USAGE_EVENTS_QUEUE}
"""Queues whose messages charge or count something: erasing a person does not change sums."""

_CHANGE_MESSAGE = "update faregate.message set body = :body where message_id = :id"
_CHANGE_ANSWER = """
update faregate.idempotent_answer set body = :body, key = :new_key where credential = :credential and key = :key
"""
_RENAME_ANSWERS = key_erasure("idempotent_answer", "key")
_CHANGE_DELIVERY = "update faregate.webhook_delivery set payload = :body where delivery_id = :id"
_DELETE_MESSAGE = "delete from faregate.message where message_id = :id"


class CopiesPersonalData:
    """`IPersonalData` of messages and deliveries that wait, and of stored answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def export(self, session: AsyncSession, person: Person) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        for table, (column, shown) in _COPIES.items():
            sql = f"""
            select {shown}, {column} as content from faregate.{table} where {_MAY_NAME.format(column=column)}
            order by created_at
            """  # noqa: S608
            for row in await self._database.rows(session, sql, quoted=person.parameters["quoted"]):
                record = dict(row)
                about = [item for item in _items(bytes(record["content"])) if is_about(item, person.names)]
                if about:
                    yield table, {**record, "content": about if _is_array(bytes(record["content"])) else about[0]}
        sql = f"select key, status, created_at from faregate.idempotent_answer where {_GIVEN} order by created_at"  # noqa: S608
        for row in await self._database.rows(session, sql, actors=person.parameters["actors"]):
            yield "idempotent_answer_of", dict(row)

    async def erase(self, session: AsyncSession, person: Person) -> Mapping[str, int]:
        changed = {
            "message": await self._erase_messages(session, person),
            "idempotent_answer": await self._erase_answers(session, person),
            "webhook_delivery": await self._erase_deliveries(session, person),
        }
        sql = f"delete from faregate.idempotent_answer where {_GIVEN} returning 1"  # noqa: S608
        given = await self._database.rows(session, sql, actors=person.parameters["actors"])
        return {**changed, "idempotent_answer_of": len(given)}

    async def _erase_messages(self, session: AsyncSession, person: Person) -> int:
        rows = await self._candidates(session, person, "message", "message_id as id, queue, body as content")
        changed = 0
        for row in rows:
            content = bytes(row.content)
            items = _items(content)
            kept = _left(items, person, counted=row.queue in _COUNTED)
            if kept == items:
                continue
            if kept:
                body = exact_json.dumps(kept if _is_array(content) else kept[0])
                await self._database.rows(session, _CHANGE_MESSAGE, id=row.id, body=body)
            else:
                await self._database.rows(session, _DELETE_MESSAGE, id=row.id)
            changed += 1
        return changed

    async def _erase_answers(self, session: AsyncSession, person: Person) -> int:
        """Erase answers about the person, and mentions in other answers.

        The rows stay, under a digest of the key if the key names the person, so that no call is executed twice.
        """
        rows = await self._candidates(session, person, "idempotent_answer", "credential, key, status, body as content")
        changed = 0
        for row in rows:
            content = bytes(row.content)
            items = _items(content)
            about = any(is_about(item, person.names) for item in items)
            body = _erased(row.status) if about else _without_mentions(content, items, person)
            named = about and any(name in row.key for name in person.names)
            if body == content and not named:
                continue
            new_key = erased_key(row.key) if named else row.key
            await self._database.rows(
                session, _CHANGE_ANSWER, credential=row.credential, key=row.key, new_key=new_key, body=body
            )
            changed += 1
        parameter = {"in_keys": person.parameters["in_keys"]}
        return changed + len(await self._database.rows(session, _RENAME_ANSWERS, **parameter))

    async def _erase_deliveries(self, session: AsyncSession, person: Person) -> int:
        rows = await self._candidates(session, person, "webhook_delivery", "delivery_id as id, payload as content")
        about: list[Any] = []
        changed = 0
        for row in rows:
            content = bytes(row.content)
            items = _items(content)
            body = _without_mentions(content, items, person)
            if any(is_about(item, person.names) for item in items):
                about.append(row.id)
            elif body != content:
                await self._database.rows(session, _CHANGE_DELIVERY, id=row.id, body=body)
                changed += 1
        sql = "delete from faregate.webhook_delivery where delivery_id = any(cast(:ids as uuid[]))"
        await self._database.rows(session, sql, ids=about)
        return len(about) + changed

    async def _candidates(self, session: AsyncSession, person: Person, table: str, columns: str) -> Sequence[Any]:
        named = _MAY_NAME.format(column=_COPIES[table][0])
        sql = f"select {columns} from faregate.{table} where {named} for update"  # noqa: S608
        return await self._database.rows(session, sql, quoted=_as_json(person))


def _left(items: Sequence[Any], person: Person, *, counted: bool) -> list[Any]:
    """Return the rest of a message: items about others without mentions, and those of the person's items that are counted."""
    kept: list[Any] = []
    for item in items:
        if not is_about(item, person.names):
            kept.append(without_mentions(item, person.certain, person.names, GONE))
        elif counted and isinstance(item, Mapping):
            kept.append(without_person(cast("Mapping[str, Any]", item), person.names, person.tombstone))
    return kept


def _without_mentions(content: bytes, items: Sequence[Any], person: Person) -> bytes:
    left = [without_mentions(item, person.certain, person.names, GONE) for item in items]
    return content if left == items else exact_json.dumps(left if _is_array(content) else left[0])


def _as_json(person: Person) -> list[bytes]:
    """Return the person's names in their JSON form, as whole values and, if they can be distinguished from words, within texts."""
    certain = [name for name in person.names if person.certain.fullmatch(name)]
    return [*person.parameters["quoted"], *(exact_json.dumps(name)[1:-1] for name in certain)]


def _erased(status: int) -> bytes:
    message = "Already executed; the person whom the answer was about has been erased since"
    return exact_json.dumps(
        {"success": status < 400, "status": status, "message": message, "data": {"message": message}}
    )


def _is_array(content: bytes) -> bool:
    return content.lstrip()[:1] == b"["


def _items(content: bytes) -> list[Any]:
    """Return the items of an array, or the single value; nothing if the content cannot be read."""
    try:
        value = exact_json.loads(content)
    except (FaregateError, ValueError):
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]
