"""Sessions of browsers that have signed in.

The browser holds a random token in a cookie; the database holds its hash only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.session_sql import SESSION_ADD, SESSION_END, SESSION_END_ALL, SESSION_FIND, SESSION_FORGET
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects

__all__ = ["SessionSpec", "WebSession", "WebSessionStore"]

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
            lifetime=self._lifetime,
        )
        return token, WebSession(spec, row.created_at, row.expires_at)

    async def find(self, token: str) -> WebSession | None:
        """Return the session of a token; None if there is none, or it has ended."""
        if len(token) > _TOKEN_LENGTH_MAX:
            return None
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(session, SESSION_FIND, token_hash=_digest(token))
        if not rows:
            return None
        row = rows[0]
        spec = SessionSpec(
            actor=row.actor,
            user_id=row.user_id,
            organization_id=row.organization_id,
            roles=tuple(row.roles),
            scopes=tuple(row.scopes),
            key_id=row.key_id,
            credential_hash=bytes(row.credential_hash) if row.credential_hash is not None else None,
        )
        return WebSession(spec, row.created_at, row.expires_at)

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

    async def _number(self, session: AsyncSession, user_id: str | None) -> int | None:
        if user_id is None:
            return None
        return (await self._subjects.ensure(session, [user_id]))[user_id].subject_id


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
