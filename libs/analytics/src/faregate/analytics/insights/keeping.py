"""Kept results: computed once, dated, and read again until they are old."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.numeric import require_extra
from faregate.analytics.insights.repository import InsightRepository
from faregate.analytics.insights.values import Ask, Insight, InsightResult
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.read_scope import fresh_reads
from faregate.core.errors import ReadOnlyServerError

__all__ = ["KEPT_DAYS", "InsightKeeper"]

KEPT_DAYS = 400
"""How long results are kept, so that a forecast can be compared with what came."""

_WITHOUT_DATA = timedelta(minutes=1)
"""How long "there is not enough data" is believed: data may arrive at any time."""


class InsightKeeper:
    """Reads the newest result of an ask, or has it computed. Opens its own transactions; computations run outside them."""

    def __init__(self, database: Database, repository: InsightRepository, clock: IClock) -> None:
        self._database = database
        self._repository = repository
        self._clock = clock
        self._made_since: datetime | None = None

    def refuse_older(self) -> None:
        """From now on compute each result again that was made before this moment, once."""
        self._made_since = self._clock.now()

    async def current(
        self,
        ask: Ask,
        compute: Callable[[], Awaitable[InsightResult]],
        *,
        made_since: datetime,
        people: int = 0,
        user_id: str | None = None,
    ) -> Insight:
        """Return the newest result, computed now if none was made since `made_since`, or if it lacked data a minute ago.

        Args:
            people: how many people the result lists at most.
            user_id: list only this one.

        Raises:
            MissingExtraError: it must be computed, but the extra `insights` is not installed.
        """
        async with self._database.transaction(read_only=True) as session:
            found = await self._repository.newest(session, ask, people=people, user_id=user_id)
        if found is not None and self._is_current(found, made_since):
            return found
        require_extra()
        result, now = await self._computed(compute)
        try:
            await self._keep(ask, result, now)
        except ReadOnlyServerError:  # a standby: the result is as good, and computed again the next time
            async with self._database.transaction(read_only=True) as session:
                return await self._repository.unkept(session, ask, result, people=people, user_id=user_id, now=now)
        async with self._database.transaction(read_only=True) as session:
            made = await self._repository.newest(session, ask, people=people, user_id=user_id)
        assert made is not None  # noqa: S101  it was just kept
        return made

    def _is_current(self, found: Insight, made_since: datetime) -> bool:
        since = max(made_since, self._made_since or made_since)
        if not found.result.enough:
            since = max(since, self._clock.now() - _WITHOUT_DATA)
        return found.made_at >= since

    async def renew(self, ask: Ask, compute: Callable[[], Awaitable[InsightResult]]) -> Insight:
        """Compute the result now, and keep it."""
        require_extra()
        return await self._keep(ask, *await self._computed(compute))

    async def _computed(self, compute: Callable[[], Awaitable[InsightResult]]) -> tuple[InsightResult, datetime]:
        with fresh_reads():
            return await compute(), self._clock.now()

    async def _keep(self, ask: Ask, result: InsightResult, now: datetime) -> Insight:
        async def work(session: AsyncSession) -> Insight:
            return await self._repository.add(session, ask, result, now=now)

        return await self._database.run(work)

    async def earlier(self, ask: Ask, *, days: int, limit: int) -> Sequence[Insight]:
        """Return the results of `ask` that were made in the last `days`, the newest first."""
        async with self._database.transaction(read_only=True) as session:
            since = self._clock.now() - timedelta(days=days)
            return await self._repository.since(session, ask, since, limit=limit)

    async def forget(self) -> int:
        """Delete results that are older than `KEPT_DAYS`; return how many."""

        async def work(session: AsyncSession) -> int:
            return await self._repository.forget(session, self._clock.now() - timedelta(days=KEPT_DAYS))

        return await self._database.run(work)
