"""Subjects: internal numbers for user ids and organisations.

Every other table refers to people and organisations by these numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING

from faregate.core.db.sql import SUBJECT_ADD, SUBJECT_FIND, SUBJECT_NAME, SUBJECT_NUMBERS, SUBJECT_SET_EMAIL
from faregate.core.errors import InvalidError
from faregate.core.runtime.bounded_memory import BoundedCache
from faregate.wire.ids import ORGANIZATION_PREFIX, check_not_reserved, is_reserved, reserved_error

if TYPE_CHECKING:  # the command line reads `Subject` without loading SQLAlchemy
    from sqlalchemy.ext.asyncio import AsyncSession

    from faregate.core.db.database import Database

__all__ = ["NUMBERED", "PERSON", "Subject", "Subjects", "person_of"]

PERSON = "user:"
"""Prefix of an actor that is a person authenticated by a token; the user id follows."""

NUMBERED = "subject:"
"""Prefix of an actor that is a person, in rows that are never changed; the subject's number follows."""


_EMAILS_REMEMBERED = 100_000
_EMAILS_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """A user (`external_id` as the caller gives it) or an organisation (`org:<id>`)."""

    subject_id: int
    external_id: str
    email: str | None


def person_of(actor: str) -> str | None:
    """Return the user id that an actor may be: the part after `user:`, or a name that is no other kind of actor."""
    if actor.startswith(PERSON):
        return actor.removeprefix(PERSON)
    return None if is_reserved(actor) else actor


class Subjects:
    """Finds and adds subjects, in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._emails: BoundedCache[int, str] = BoundedCache(
            limit_bytes=_EMAILS_BYTES, entries=_EMAILS_REMEMBERED, size_of=getsizeof
        )

    async def find(self, session: AsyncSession, external_ids: Iterable[str]) -> Mapping[str, Subject]:
        """Return those of `external_ids` that are known."""
        ids = sorted(set(external_ids))
        if not ids:
            return {}
        rows = await self._database.rows(session, SUBJECT_FIND, ids=ids)
        return {row.external_id: Subject(row.subject_id, row.external_id, row.email) for row in rows}

    async def ensure(self, session: AsyncSession, external_ids: Iterable[str]) -> Mapping[str, Subject]:
        """Return all of `external_ids`, adding the unknown ones in a fixed order (concurrent callers cannot deadlock).

        Raises:
            InvalidError: an unknown one is reserved; those that were added before this rule remain valid.
        """
        ids = sorted(set(external_ids))
        found = dict(await self.find(session, ids))
        missing = [external_id for external_id in ids if external_id not in found]
        if missing:
            for external_id in missing:
                check_not_reserved(external_id, param=_param(external_id))
            await self._database.rows(session, SUBJECT_ADD, ids=missing)
            found |= await self.find(session, missing)
        return found

    async def refused(self, session: AsyncSession, external_ids: Iterable[str]) -> Mapping[str, InvalidError]:
        """Return why `ensure` would refuse some of `external_ids`, so that the others can be added without them."""
        reserved = [external_id for external_id in set(external_ids) if is_reserved(external_id)]
        known = await self.find(session, reserved)
        return {new: reserved_error(new, param=_param(new)) for new in reserved if new not in known}

    async def numbers(self, session: AsyncSession, external_ids: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of all of `external_ids`, adding the unknown ones; `ensure` for many ids at once."""
        ids = sorted(set(external_ids))
        (row,) = await self._database.rows(session, SUBJECT_NUMBERS, ids=ids)
        found: dict[str, int] = dict(zip(ids, row.numbers, strict=True))
        missing = [name for name, number in found.items() if number is None]  # pyright: ignore[reportUnnecessaryComparison]
        if missing:
            added = await self.ensure(session, missing)
            found.update((name, subject.subject_id) for name, subject in added.items())
        return found

    async def named(self, session: AsyncSession, subject_ids: Iterable[int]) -> Mapping[int, Subject]:
        """Return the subjects with these numbers."""
        rows = await self._database.rows(session, SUBJECT_NAME, ids=sorted(set(subject_ids)))
        return {row.subject_id: Subject(row.subject_id, row.external_id, row.email) for row in rows}

    async def append_only_actor(self, session: AsyncSession, actor: str) -> str:
        """Return how an actor is written in rows that are never changed: for a person the number, as `subject:7`, so that an
        erasure reaches it; any other actor unchanged.
        """
        user_id = person_of(actor)
        if user_id is None:
            return actor
        known = await (self.find if user_id == actor else self.ensure)(session, [user_id])
        return f"{NUMBERED}{known[user_id].subject_id}" if user_id in known else actor

    async def remember_email(self, session: AsyncSession, subject_id: int, email: str) -> None:
        """Store the e-mail address of one subject, unless this process has just stored it."""
        if self._emails.get(subject_id) == email:
            return
        await self._database.rows(session, SUBJECT_SET_EMAIL, subject_id=subject_id, email=email)
        self._emails[subject_id] = email


def _param(external_id: str) -> str:
    return "organization_id" if external_id.startswith(ORGANIZATION_PREFIX) else "user_id"
