"""Audit log: who did what to whom, when and from where.

Entries are written in the transaction of the action and never changed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.sql import AUDIT_ADD, AUDIT_ADD_LOOKS, AUDIT_SEARCH
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subject, Subjects, person_of
from faregate.core.errors import InvalidError
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["AuditEntry", "AuditFilter", "AuditLog", "Deed", "fingerprint"]


_PLAIN = (str, bool, int, float, Decimal, datetime, UUID, Enum)
"""Types that JSON represents directly; other values are converted to text, so that an entry never fails."""


@dataclass(frozen=True, slots=True)
class Deed:
    """An action to record.

    Attributes:
        actor: the credential (`key:…`, `bootstrap`), or `user` for a person, who is named by `actor_user_id`.
        owner_id: the user or `org:…` whose data it concerns, if it concerns one.
        target: further ids of the objects it concerns.
        is_look: the action only read data; it adds no subject, so that an unknown owner is left out of the entry.
    """

    actor: str
    action: str
    status: int
    request_id: str
    actor_user_id: str | None = None
    owner_id: str | None = None
    target: Mapping[str, Any] = field(default_factory=dict[str, Any])
    before_hash: bytes | None = None
    after_hash: bytes | None = None
    address: str | None = None
    is_look: bool = False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A recorded action. People who were erased are None."""

    id: UUID
    actor: str
    actor_user_id: str | None
    action: str
    owner_id: str | None
    target: Mapping[str, Any]
    status: int
    before_hash: str | None
    after_hash: str | None
    address: str | None
    request_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The entries to return; `action` may end with `*`; `since` is inclusive, `until` is exclusive."""

    actor: str | None = None
    actor_user_id: str | None = None
    owner_id: str | None = None
    action: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditLog:
    """Reads and writes the table `audit_entry`."""

    def __init__(self, database: Database, subjects: Subjects) -> None:
        self._database = database
        self._subjects = subjects

    async def add(self, session: AsyncSession, deed: Deed) -> None:
        """Record an action in the caller's transaction."""
        actor, actor_user_id = await self._who(session, deed)
        people = await self._people(session, actor_user_id, deed)
        await self._database.rows(
            session,
            AUDIT_ADD,
            entry_id=new_uuid7(),
            actor=actor,
            actor_subject_id=_number(people, actor_user_id),
            action=deed.action,
            subject_id=_number(people, deed.owner_id),
            target=exact_json.dumps(dict(deed.target)).decode(),
            status=deed.status,
            before_hash=deed.before_hash,
            after_hash=deed.after_hash,
            address=deed.address,
            request_id=deed.request_id,
        )

    async def add_looks(self, session: AsyncSession, looks: Sequence[Deed]) -> None:
        """Record reads of one request, in the same number of statements however many they are.

        All have the caller, the target, the status and the request of the first one.
        """
        if not looks:
            return
        first = looks[0]
        actor, actor_user_id = await self._who(session, first)
        owners = await self._subjects.find(session, [look.owner_id for look in looks if look.owner_id is not None])
        acting = await self._subjects.ensure(session, [actor_user_id] if actor_user_id is not None else [])
        await self._database.rows(
            session,
            AUDIT_ADD_LOOKS,
            entry_ids=[new_uuid7() for _ in looks],
            actor=actor,
            actor_subject_id=_number(acting, actor_user_id),
            actions=[look.action for look in looks],
            subject_ids=[_number(owners, look.owner_id) for look in looks],
            target=exact_json.dumps(dict(first.target)).decode(),
            status=first.status,
            address=first.address,
            request_id=first.request_id,
        )

    async def _who(self, session: AsyncSession, deed: Deed) -> tuple[str, str | None]:
        """Return actor and person: an actor that is the name of a user is a person, too, and is recorded as one.

        A credential is never a person, even if a user has the same name.
        """
        person = person_of(deed.actor) if deed.actor_user_id is None else None
        if person is not None and await self._subjects.find(session, [person]):
            return "user", person
        return deed.actor, deed.actor_user_id

    async def _people(self, session: AsyncSession, actor_user_id: str | None, deed: Deed) -> Mapping[str, Subject]:
        acting, owner = [n for n in (actor_user_id,) if n], [n for n in (deed.owner_id,) if n]
        if not deed.is_look:
            return await self._subjects.ensure(session, acting + owner)
        return {**await self._subjects.find(session, owner), **await self._subjects.ensure(session, acting)}

    async def search(
        self, wanted: AuditFilter, *, before: UUID | None = None, limit: int = 100
    ) -> Sequence[AuditEntry]:
        """Return entries, newest first."""
        async with self._database.reading() as session:
            rows = await self._database.rows(
                session,
                AUDIT_SEARCH,
                actor=wanted.actor,
                actor_user_id=wanted.actor_user_id,
                owner_id=wanted.owner_id,
                action=_pattern(wanted.action),
                request_id=wanted.request_id,
                since=wanted.since,
                until=wanted.until,
                before=before,
                limit=limit,
            )
        return [_entry(row) for row in rows]

    async def all(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        """Read all entries, newest first."""
        before: UUID | None = None
        while page := await self.search(wanted, before=before, limit=500):
            for entry in page:
                yield entry
            before = page[-1].id


def fingerprint(value: Any) -> bytes:
    """Return the SHA-256 of a value, model or mapping, independent of the order of its fields: equal objects have equal hashes."""
    return sha256(exact_json.dumps(_sorted(value))).digest()


def _sorted(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        known = cast("Mapping[Any, Any]", value)
        return {str(key): _sorted(known[key]) for key in sorted(known, key=str)}
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in cast("set[Any]", value))
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in cast("list[Any]", value)]
    return value if value is None or isinstance(value, _PLAIN) else str(value)


def _number(people: Mapping[str, Subject], name: str | None) -> int | None:
    found = people.get(name) if name is not None else None
    return found.subject_id if found is not None else None


def _pattern(action: str | None) -> str | None:
    if action is None:
        return None
    if "\\" in action:
        raise InvalidError("action is a name such as wallets.add_grant, or wallets.*", param="action")
    literal = action.removesuffix("*").replace("%", "\\%").replace("_", "\\_")
    return literal + "%" if action.endswith("*") else literal


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        id=row.entry_id,
        actor=row.actor,
        actor_user_id=row.actor_user_id,
        action=row.action,
        owner_id=row.owner_id,
        target=exact_json.loads(row.target),
        status=row.status,
        before_hash=bytes(row.before_hash).hex() if row.before_hash is not None else None,
        after_hash=bytes(row.after_hash).hex() if row.after_hash is not None else None,
        address=row.address,
        request_id=row.request_id,
        created_at=row.created_at,
    )
