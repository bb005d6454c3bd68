"""Sessions of browsers that have signed in.

The browser holds a random token in a cookie; the database holds its hash only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.session_sql import (
    SESSION_ADD,
    SESSION_END,
    SESSION_END_ALL,
    SESSION_FIND,
    SESSION_FORGET,
    SESSION_TAKE,
)
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects

__all__ = ["SIGN_IN_PREFIX", "SessionSpec", "WebSession", "WebSessionStore"]

SIGN_IN_PREFIX = "fgs_"
"""The beginning of the token of a link that signs in."""

_PERSON = "user"
_TOKEN_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """The identity of a new session.

    Attributes:
        actor: the name of the credential, ignored for a person.
        credential_hash: a digest of the credential; the session ends when the credential is replaced by another.
    """

    actor: str
    user_id: str | None = None
    organization_id: str | None = None
    roles: Sequence[str] = ()
    scopes: Sequence[str] = ()
    key_id: str | None = None
    credential_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class WebSession:
    """A session that has not ended."""

    spec: SessionSpec
    created_at: datetime
    expires_at: datetime


class WebSessionStore:
    """Opens, finds and ends sessions."""

    def __init__(self, database: Database, subjects: Subjects, lifetime_seconds: int) -> None:
        self._database = database
        self._subjects = subjects
        self._lifetime = timedelta(seconds=lifetime_seconds)

    async def open(self, session: AsyncSession, spec: SessionSpec) -> tuple[str, WebSession]:
        """Store a session; return its token, which no later answer contains. Sessions that have expired are deleted."""
        token = token_urlsafe(32)
        return token, await self._add(session, spec, token, self._lifetime)

    async def make_link(self, session: AsyncSession, spec: SessionSpec, lifetime: timedelta) -> tuple[str, datetime]:
        """Store a link that opens one session with this identity; return its token, which is no session's, and its expiry."""
        token = f"{SIGN_IN_PREFIX}{token_urlsafe(32)}"
        return token, (await self._add(session, spec, token, lifetime)).expires_at

    async def follow_link(self, session: AsyncSession, token: str) -> SessionSpec | None:
        """Use up a link and return its identity; None if it was used, or has expired."""
        if not _is_link(token):
            return None
        rows = await self._database.rows(session, SESSION_TAKE, token_hash=_digest(token))
        return _spec(rows[0]) if rows else None

    async def find(self, token: str) -> WebSession | None:
        """Return the session of a token; None if there is none, or it has ended. The token of a link is none."""
        return await self._found(token) if not _is_link(token) else None

    async def find_link(self, token: str) -> WebSession | None:
        """Return the identity of a link that has not been used; None if there is none."""
        return await self._found(token) if _is_link(token) else None

    async def _found(self, token: str) -> WebSession | None:
        if len(token) > _TOKEN_LENGTH_MAX:
            return None
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(session, SESSION_FIND, token_hash=_digest(token))
        if not rows:
            return None
        return WebSession(_spec(rows[0]), rows[0].created_at, rows[0].expires_at)

    async def end(self, session: AsyncSession, token: str) -> bool:
        """End one session; False if it had ended. Safe to repeat."""
        return bool(await self._database.rows(session, SESSION_END, token_hash=_digest(token)))

    async def end_all(self, session: AsyncSession, spec: SessionSpec) -> int:
        """End all sessions of the same person or credential; return how many there were."""
        rows = await self._database.rows(
            session,
            SESSION_END_ALL,
            actor=spec.actor if spec.user_id is None else _PERSON,
            subject_id=await self._number(session, spec.user_id),
        )
        return len(rows)

    async def _add(self, session: AsyncSession, spec: SessionSpec, token: str, lifetime: timedelta) -> WebSession:
        await self._database.rows(session, SESSION_FORGET)
        (row,) = await self._database.rows(
            session,
            SESSION_ADD,
            token_hash=_digest(token),
            actor=spec.actor if spec.user_id is None else _PERSON,
            subject_id=await self._number(session, spec.user_id),
            organization_id=spec.organization_id,
            roles=sorted(spec.roles),
            scopes=sorted(spec.scopes),
            key_id=spec.key_id,
            credential_hash=spec.credential_hash,
            lifetime=lifetime,
        )
        return WebSession(spec, row.created_at, row.expires_at)

    async def _number(self, session: AsyncSession, user_id: str | None) -> int | None:
        if user_id is None:
            return None
        return (await self._subjects.ensure(session, [user_id]))[user_id].subject_id


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _is_link(token: str) -> bool:
    return token.startswith(SIGN_IN_PREFIX)


def _spec(row: Any) -> SessionSpec:
    return SessionSpec(
        actor=row.actor,
        user_id=row.user_id,
        organization_id=row.organization_id,
        roles=tuple(row.roles),
        scopes=tuple(row.scopes),
        key_id=row.key_id,
        credential_hash=bytes(row.credential_hash) if row.credential_hash is not None else None,
    )
