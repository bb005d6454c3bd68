"""Export and erasure of personal data; interface for each library.

Facts refer to the subject's number, never to the user id, so that erasing the subject's row makes a person unidentifiable
everywhere. What remains are texts that may name the person; each library knows its own.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import NUMBERED, PERSON
from faregate.core.privacy.person_words import json_erasure, patterns, words_erasure
from faregate.wire import exact_json
from faregate.wire.ids import is_reserved

__all__ = [
    "CORE_ERASURES",
    "CORE_EXPORTS",
    "ERASURES_VERSION",
    "IPersonalData",
    "Person",
    "SqlPersonalData",
    "actor_erasure",
]

ERASURES_VERSION = "erasures"
"""Name of the version of cached answers that name people: each erasure raises it."""


@dataclass(frozen=True, slots=True)
class Person:
    """The person to export or erase; `tombstone` replaces the user id."""

    subject_id: int
    user_id: str
    email: str | None
    tombstone: str

    @property
    def names(self) -> frozenset[str]:
        """All names that refer to the person."""
        return frozenset({self.user_id, f"{PERSON}{self.user_id}", *([self.email] if self.email else [])})

    @property
    def certain(self) -> "re.Pattern[str]":
        """The pattern `certain` of `person_words`, for texts outside of statements."""
        return re.compile(patterns(self.user_id, self.email)["certain"], re.IGNORECASE)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters that statements may use.

        `:subject`, `:user_id`, `:email`, `:tombstone`, `:actors` (the person's names as an actor), `:signatures` (the same, with
        the number that replaces it in rows that are never changed), the patterns of `person_words` that find the person in
        others' texts, and `:quoted`, all names in their JSON form.
        """
        bare = (
            [] if is_reserved(self.user_id) else [self.user_id]
        )  # else it is the name of a credential or a reserved name
        actors = [*bare, f"{PERSON}{self.user_id}"]
        return {
            "subject": self.subject_id,
            "user_id": self.user_id,
            "email": self.email or self.user_id,
            "tombstone": self.tombstone,
            "actors": actors,
            "signatures": [*actors, f"{NUMBERED}{self.subject_id}"],
            "quoted": [exact_json.dumps(name) for name in sorted(self.names)],
            **patterns(self.user_id, self.email),
        }


@runtime_checkable
class IPersonalData(Protocol):
    """One library's part of the data about one person."""

    def export(self, session: AsyncSession, person: Person) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Read all data, as kind and record."""
        ...

    async def erase(self, session: AsyncSession, person: Person) -> Mapping[str, int]:
        """Erase what names the person, in the caller's transaction; sums and counts stay. Return rows changed by kind."""
        ...


class SqlPersonalData:
    """`IPersonalData` by statements: `exports` return one JSON text per row, `erasures` a row for each row they changed."""

    def __init__(self, database: Database, exports: Mapping[str, str], erasures: Mapping[str, str]) -> None:
        self._database = database
        self._exports = exports
        self._erasures = erasures

    async def export(self, session: AsyncSession, person: Person) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        for kind, sql in self._exports.items():
            for row in await self._database.rows(session, sql, **self._parameters(sql, person)):
                yield kind, exact_json.loads(row[0])

    async def erase(self, session: AsyncSession, person: Person) -> Mapping[str, int]:
        return {
            kind: len(await self._database.rows(session, sql, **self._parameters(sql, person)))
            for kind, sql in self._erasures.items()
        }

    def _parameters(self, sql: str, person: Person) -> dict[str, Any]:
        return {name: person.parameters[name] for name in self._database.sql.statement(sql).names}


CORE_EXPORTS = {
    "subject": """
    select to_json(t)::text from (
      select subject_id, external_id as user_id, email, created_at from faregate.subject where subject_id = :subject) t
    """,
    "audit_entry": """
    select to_json(t)::text from (
      select entry_id, action, target, status, host(address) as address, request_id, created_at,
        coalesce(actor_subject_id = :subject, false) as as_actor
      from faregate.audit_entry where subject_id = :subject or actor_subject_id = :subject order by entry_id) t
    """,
    "api_key": """
    select to_json(t)::text from (
      select key_id, client, name, scopes, created_by, created_at, expires_at, revoked_at
      from faregate.api_key where created_by = any(cast(:signatures as text[])) order by created_at) t
    """,
    "portal_link": """
    select to_json(t)::text from (
      select link_id, origins, created_at, expires_at from faregate.portal_link
      where subject_id = :subject order by created_at) t
    """,
    "web_session": """
    select to_json(t)::text from (
      select roles, organization_id, created_at, expires_at from faregate.web_session
      where subject_id = :subject order by created_at) t
    """,
    "webhook_endpoint": """
    select to_json(t)::text from (
      select endpoint_id, url, events, description, created_by, created_at, disabled_at
      from faregate.webhook_endpoint where created_by = any(cast(:signatures as text[])) order by created_at) t
    """,
}


def actor_erasure(table: str, column: str = "actor") -> str:
    """Return the statement that replaces the person in a column of actors."""
    return (
        f"update faregate.{table} set {column} = :tombstone where {column} = any(cast(:actors as text[])) returning 1"  # noqa: S608
    )


CORE_ERASURES = {
    "api_key_name": words_erasure("api_key", "name"),
    "webhook_description": words_erasure("webhook_endpoint", "description"),
    "webhook_disabled": words_erasure("webhook_endpoint", "disabled_reason"),
    "webhook_history": json_erasure("webhook_delivery", "history"),
    "message_headers": json_erasure("message", "headers"),
    "dead_reason": words_erasure("message", "dead_reason"),
    "job_error": words_erasure("scheduled_job", "last_error"),
    "portal_link": "delete from faregate.portal_link where subject_id = :subject returning 1",
    "web_session": "delete from faregate.web_session where subject_id = :subject returning 1",
    "api_key": actor_erasure("api_key", "created_by"),
    "webhook_endpoint": actor_erasure("webhook_endpoint", "created_by"),
    "subject": """
    update faregate.subject set external_id = :tombstone, email = null where subject_id = :subject returning 1
    """,
}
"""The subject must come last."""
