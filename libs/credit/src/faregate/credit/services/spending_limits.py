"""Spending limits of members, users and API keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import raise_version
from faregate.core.errors import InvalidError
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.limits import LimitPeriod, LimitState, period_end, period_start
from faregate.credit.services.ledger_session import LIMITS_VERSION, LedgerSession
from faregate.credit.storage.repository import LedgerRepository
from faregate.wire.credits import to_credits

__all__ = ["LimitService", "SpendingLimit"]


@dataclass(frozen=True, slots=True)
class SpendingLimit:
    """A limit and its use, in credits. `scope` is made by `limits.member_scope`, `user_scope` or `key_scope`."""

    scope: str
    period: str
    soft: Decimal | None
    hard: Decimal | None
    spent: Decimal
    held: Decimal
    since: datetime

    @property
    def until(self) -> datetime | None:
        """When the period ends; None for a limit on the total."""
        return period_end(LimitPeriod(self.period), self.since)


class LimitService:
    """Sets and reads spending limits. Works in the caller's transaction and never commits."""

    def __init__(self, database: Database, repository: LedgerRepository, ledger_session: LedgerSession) -> None:
        self._database = database
        self._ledger = repository
        self._ledger_session = ledger_session

    async def set(
        self, session: AsyncSession, scope: str, period: LimitPeriod, *, soft: int | None, hard: int | None
    ) -> SpendingLimit:
        """Set both bounds (in micro-credits; None for no such bound). What is already spent and held still counts.

        Raises:
            InvalidError: both bounds are missing, one is negative, or the soft one is above the hard one.
        """
        _check(soft, hard)
        now = await self._now(session)
        book = Book(now)
        await self._ledger.lock_limits(session, book, [scope])
        limit = book.limits.get((scope, period))
        if limit is None:
            limit = LimitState(scope, period, soft, hard, period_start(period, now))
        limit.soft, limit.hard = soft, hard
        limit.held = await self._ledger.held_by(session, scope)
        book.changed_limits[scope, period] = limit
        await self._ledger.write(session, book)
        await raise_version(self._database, session, LIMITS_VERSION)
        self._ledger_session.limit_kinds.forget()
        return _view(limit)

    async def set_all(
        self, session: AsyncSession, scope: str, bounds: Iterable[tuple[LimitPeriod, int | None, int | None]]
    ) -> None:
        """Set the limits of these periods; a period with neither bound loses its limit."""
        for period, soft, hard in bounds:
            if soft is None and hard is None:
                await self.drop(session, scope, period)
            else:
                await self.set(session, scope, period, soft=soft, hard=hard)

    async def drop(self, session: AsyncSession, scope: str, period: LimitPeriod) -> bool:
        """Remove a limit; return whether it existed."""
        return await self._ledger.drop_limit(session, scope, period)

    async def list(
        self, session: AsyncSession, *, scopes: Iterable[str] = (), prefix: str | None = None
    ) -> list[SpendingLimit]:
        """Return the limits of these scopes, and those whose scope starts with `prefix` (at most 1,000)."""
        now = await self._now(session)
        limits = await self._ledger.limits(session, scopes=scopes, prefix=prefix)
        for limit in limits:
            limit.roll(now)
        return [_view(limit) for limit in limits]

    async def _now(self, session: AsyncSession) -> datetime:
        given = self._ledger_session.now()
        if given is not None:
            return given
        ((moment,),) = await self._database.rows(session, "select clock_timestamp()")
        return cast("datetime", moment)


def _check(soft: int | None, hard: int | None) -> None:
    if soft is None and hard is None:
        raise InvalidError("give soft, hard or both; to have no limit, remove it", param="hard")
    if (soft or 0) < 0 or (hard or 0) < 0:
        raise InvalidError("a limit cannot be negative; give 0 or more", param="hard" if (hard or 0) < 0 else "soft")
    if soft is not None and hard is not None and soft > hard:
        raise InvalidError("soft must not be above hard", param="soft")


def _view(limit: LimitState) -> SpendingLimit:
    return SpendingLimit(
        scope=limit.scope,
        period=limit.period.value,
        soft=to_credits(limit.soft) if limit.soft is not None else None,
        hard=to_credits(limit.hard) if limit.hard is not None else None,
        spent=to_credits(limit.spent),
        held=to_credits(limit.held),
        since=limit.started_at,
    )
