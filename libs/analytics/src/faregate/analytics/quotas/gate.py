"""Hard quotas: refusal of starts once a quota is used up."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.interfaces import IUsageTotals
from faregate.analytics.quotas.periods import Window, window_at
from faregate.analytics.quotas.repository import QuotaRepository
from faregate.analytics.quotas.service import HARD_QUOTAS, question
from faregate.analytics.quotas.values import EVERYBODY, Quota
from faregate.core.clock import Deadline, IClock
from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.core.errors import FaregateError
from faregate.usage.errors import quota_exceeded
from faregate.usage.interfaces import QuotaUse
from faregate.wire.ids import organization_owner_id

__all__ = ["QuotaGate"]

_REMEMBER_SHARED_SECONDS = 2.0
_REMEMBERED = 10_000


class QuotaGate:
    """The `IQuotaGate` of hard quotas. Without hard quotas it makes no queries.

    Recorded use counts: uses that have begun and are not settled yet are not included, so that concurrent uses can exceed a
    limit together. The use of a user is added up at every check; that of an organisation or of everybody, which may be
    many facts, at most every two seconds.
    """

    def __init__(self, database: Database, repository: QuotaRepository, totals: IUsageTotals, clock: IClock) -> None:
        self._quotas: VersionedCache[Mapping[str, Sequence[Quota]]] = VersionedCache(database, HARD_QUOTAS, self._load)
        self._repository = repository
        self._totals = totals
        self._clock = clock
        self._shared: dict[tuple[UUID, datetime], tuple[Decimal, Deadline]] = {}

    async def check(self, session: AsyncSession, uses: Sequence[QuotaUse]) -> Sequence[FaregateError | None]:
        """Return None for each use that may begin, or the error why it may not."""
        hard = await self._quotas.get()
        if not hard:
            return [None] * len(uses)
        wanted = [[quota for owner in _owners(use) for quota in hard.get(owner, ())] for use in uses]
        found = {quota.id: quota for quotas in wanted for quota in quotas}
        refusals = await self._refusals(session, list(found.values()))
        return [next((refusals[q.id] for q in quotas if q.id in refusals), None) for quotas in wanted]

    async def _refusals(self, session: AsyncSession, quotas: Sequence[Quota]) -> Mapping[UUID, FaregateError]:
        now = self._clock.now()
        windows = [window_at(quota.spec.period, now, quota.spec.timezone) for quota in quotas]
        used = await self._used(session, quotas, windows)
        return {
            quota.id: _refusal(quota, total, window)
            for quota, total, window in zip(quotas, used, windows, strict=True)
            if total >= quota.spec.limit
        }

    async def _used(
        self, session: AsyncSession, quotas: Sequence[Quota], windows: Sequence[Window]
    ) -> Sequence[Decimal]:
        pairs = list(zip(quotas, windows, strict=True))
        unknown = [(quota, window) for quota, window in pairs if self._remembered(quota, window) is None]
        asked = [question(quota, window) for quota, window in unknown]
        answers = await self._totals.totals(session, asked) if asked else ()
        fresh = {quota.id: total for (quota, _), total in zip(unknown, answers, strict=True)}
        self._remember(unknown, answers)
        return [
            fresh[quota.id] if quota.id in fresh else self._remembered(quota, window) or Decimal(0)
            for quota, window in pairs
        ]

    def _remembered(self, quota: Quota, window: Window) -> Decimal | None:
        known = self._shared.get((quota.id, window.start))
        return known[0] if known is not None and not known[1].passed else None

    def _remember(self, asked: Sequence[tuple[Quota, Window]], answers: Sequence[Decimal]) -> None:
        if len(self._shared) > _REMEMBERED:
            self._shared.clear()
        for (quota, window), total in zip(asked, answers, strict=True):
            if quota.subject_id is None or question(quota, window).organization:
                self._shared[quota.id, window.start] = (total, Deadline(_REMEMBER_SHARED_SECONDS))

    async def _load(self, session: AsyncSession) -> Mapping[str, Sequence[Quota]]:
        found: dict[str, list[Quota]] = {}
        for quota in await self._repository.hard(session):
            found.setdefault(quota.spec.owner_id, []).append(quota)
        return found


def _owners(use: QuotaUse) -> Sequence[str]:
    shared = [organization_owner_id(use.organization_id)] if use.organization_id else []
    return [use.user_id, *shared, EVERYBODY]


def _refusal(quota: Quota, used: Decimal, window: Window) -> FaregateError:
    name = f"{quota.spec.owner_id} {quota.spec.meter} per {quota.spec.period}"
    return quota_exceeded(name, used=used, limit=quota.spec.limit, resets_at=window.end.isoformat())
