"""Export and erasure of one person's data in all libraries.

An erasure does not change sums and counts.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.audit import AuditLog, Deed
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.db.versioned_cache import raise_version
from faregate.core.errors import NotFoundError
from faregate.core.privacy.personal_data import ERASURES_VERSION, IPersonalData, Person
from faregate.wire.ids import check_user_id, new_uuid7

__all__ = ["Erased", "PrivacyService", "UnknownPersonError"]

ERASED_PREFIX = "erased:"


class UnknownPersonError(NotFoundError):
    """There are no data about this user."""

    def __init__(self, user_id: str) -> None:
        super().__init__(f"There are no data about a user {user_id!r}", param="user_id")


@dataclass(frozen=True, slots=True)
class Erased:
    """Result of an erasure: the number whose person is now unknown, and how many rows changed, by kind."""

    subject_id: int
    rows: Mapping[str, int]

    @property
    def target(self) -> Mapping[str, int]:
        """The entry's target in the audit log."""
        return {"subject_id": self.subject_id, "rows": sum(self.rows.values())}


class PrivacyService:
    """Calls every library for its part (`parts`, the subject's own row last)."""

    def __init__(self, database: Database, subjects: Subjects, audit: AuditLog, parts: Sequence[IPersonalData]) -> None:
        self._database = database
        self._subjects = subjects
        self._audit = audit
        self._parts = parts

    async def export(self, user_id: str) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Read all data about a user, as kind and record, from one snapshot.

        Raises:
            UnknownPersonError: there are none.
        """
        async with self._database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            person = await self._person(session, user_id)
            await self._without_time_outs(session)
            for part in self._parts:
                async for kind, record in part.export(session, person):
                    yield kind, record

    async def erase(self, user_id: str, *, actor: str | None = None) -> Erased:
        """Erase what names a user, in one transaction, and record that `actor` did it (None: the caller records it).

        Wallet, transfers and counts remain under a number whose person is unknown. A log that is still queued creates a new,
        unrelated user: stop the user's traffic first.

        Raises:
            UnknownPersonError: there are no data about this user.
        """

        async def work(session: AsyncSession) -> Erased:
            person = await self._person(session, user_id)
            await self._without_time_outs(session)
            changed: dict[str, int] = {}
            for part in self._parts:
                changed |= await part.erase(session, person)
            await raise_version(self._database, session, ERASURES_VERSION)
            erased = Erased(person.subject_id, changed)
            if actor is not None:
                await self._audit.add(session, Deed(actor, "privacy.erase", 200, request_id="", target=erased.target))
            return erased

        return await self._database.run(work)

    async def _without_time_outs(self, session: AsyncSession) -> None:
        """Lift the time-outs of the transaction while archives are unpacked."""
        await self._database.rows(session, "set local statement_timeout = 0")
        await self._database.rows(session, "set local idle_in_transaction_session_timeout = 0")

    async def _person(self, session: AsyncSession, user_id: str) -> Person:
        found = await self._subjects.find(session, [check_user_id(user_id)])
        if user_id not in found or user_id.startswith(ERASED_PREFIX):
            raise UnknownPersonError(user_id)
        subject = found[user_id]
        return Person(subject.subject_id, user_id, subject.email, f"{ERASED_PREFIX}{new_uuid7()}")
