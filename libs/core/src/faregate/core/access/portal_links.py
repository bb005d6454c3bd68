"""Short-lived links to the customers' page of one user or organisation."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_hex, token_urlsafe

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.access.portal_sql import LINK_ADD, LINK_FIND, LINK_FORGET, LINK_ORIGINS, LINK_REVOKE
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import NotFoundError

__all__ = ["PORTAL_PREFIX", "NewPortalLink", "PortalLink", "PortalLinks", "UnknownPortalLinkError"]

PORTAL_PREFIX = "fgp_"
_TOKEN = re.compile(r"fgp_([0-9a-f]{24})_([A-Za-z0-9_-]{43})")


class UnknownPortalLinkError(NotFoundError):
    """No link has this id, or it has expired."""

    code = "unknown_portal_link"

    def __init__(self, link_id: str) -> None:
        super().__init__(f"There is no link {link_id!r}, or it has expired", param="link_id")


@dataclass(frozen=True, slots=True)
class PortalLink:
    """A live link. `owner_id` is a user, or `org:<id>`."""

    link_id: str
    owner_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewPortalLink:
    """A link that was just made; no other answer ever contains its token."""

    link: PortalLink
    token: str
    origins: Sequence[str]


class PortalLinks:
    """Makes, checks and revokes links."""

    def __init__(self, database: Database, subjects: Subjects) -> None:
        self._database = database
        self._subjects = subjects

    async def create(
        self, session: AsyncSession, owner_id: str, *, lifetime: timedelta, origins: Sequence[str]
    ) -> NewPortalLink:
        """Make a link for an owner, who is added if unknown. `origins`: pages that may show it in a frame."""
        await self._database.rows(session, LINK_FORGET)
        subject = (await self._subjects.ensure(session, [owner_id]))[owner_id]
        link_id, secret = token_hex(12), token_urlsafe(32)
        (row,) = await self._database.rows(
            session,
            LINK_ADD,
            link_id=link_id,
            secret_hash=sha256(secret.encode()).digest(),
            subject_id=subject.subject_id,
            origins=list(origins),
            lifetime=lifetime,
        )
        link = PortalLink(link_id, owner_id, row.expires_at)
        return NewPortalLink(link, f"{PORTAL_PREFIX}{link_id}_{secret}", origins)

    async def check(self, token: str) -> PortalLink | None:
        """Return the live link of a token; None if it is unknown, revoked or expired."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(session, LINK_FIND, link_id=parts[1])
        stored = bytes(rows[0].secret_hash) if rows else bytes(32)
        if not hmac.compare_digest(sha256(parts[2].encode()).digest(), stored) or not rows:
            return None
        return PortalLink(rows[0].link_id, rows[0].owner_id, rows[0].expires_at)

    async def origins(self, link_id: str) -> Sequence[str]:
        """Return the origins whose pages may show this link in a frame; none for an unknown link."""
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(session, LINK_ORIGINS, link_id=link_id)
        return tuple(rows[0].origins) if rows else ()

    async def revoke(self, session: AsyncSession, link_id: str) -> None:
        """End a link, or raise `UnknownPortalLinkError`."""
        if not await self._database.rows(session, LINK_REVOKE, link_id=link_id):
            raise UnknownPortalLinkError(link_id)
