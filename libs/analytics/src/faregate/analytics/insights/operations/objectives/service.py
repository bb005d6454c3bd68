"""Objective service: declares, measures and watches objectives."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.insights.anomalies.quiet_hours import QuietHours
from faregate.analytics.insights.errors import UnknownObjectiveError
from faregate.analytics.insights.operations.objectives.burn import burn_rate, rules_for
from faregate.analytics.insights.operations.objectives.repository import ObjectiveRepository
from faregate.analytics.insights.operations.objectives.status import status_of
from faregate.analytics.insights.operations.objectives.values import (
    BurnRate,
    Counted,
    Indicator,
    Objective,
    ObjectiveScope,
    ObjectiveSpec,
    ObjectiveStatus,
)
from faregate.analytics.question.calendar import period_at
from faregate.analytics.question.filters import Question, TimeRange
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.rollups.percentiles import bin_of
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.core.values.time_zones import time_zone
from faregate.usage.features.catalog import FeatureCatalog

__all__ = ["ObjectiveService"]

_ALERTS_SHOWN = 10
_UTC = time_zone("UTC")


class ObjectiveService:
    """The use cases of objectives; each opens its own transactions.

    Args:
        channels: the names of the channels that report burn rates.
        quiet: when reports wait.
    """

    def __init__(
        self,
        database: Database,
        repository: ObjectiveRepository,
        facts: FactReader,
        models: KnownModels,
        catalog: FeatureCatalog,
        clock: IClock,
        *,
        channels: Sequence[str] = (),
        quiet: QuietHours | None = None,
    ) -> None:
        self._database = database
        self._repository = repository
        self._facts = facts
        self._models = models
        self._catalog = catalog
        self._clock = clock
        self._channels = channels
        self._quiet = quiet

    async def put(self, spec: ObjectiveSpec) -> ObjectiveStatus:
        """Declare an objective, or replace the one of the same name, and measure it. Safe to repeat.

        Raises:
            InvalidError: there is no such feature.
        """
        await self._check_feature(spec)

        async def work(session: AsyncSession) -> Objective:
            return await self._repository.put(session, spec, now=self._clock.now())

        objective = await self._database.run(work)
        if spec.active:
            await self._measure(objective)
        return await self.objective(spec.name)

    async def objective(self, name: str) -> ObjectiveStatus:
        """Return one objective with its last status, or raise `UnknownObjectiveError`."""
        found = await self.objectives(name)
        if not found:
            raise UnknownObjectiveError(name)
        return found[0]

    async def objectives(self, name: str | None = None) -> Sequence[ObjectiveStatus]:
        """Return the objectives by name, each with its last status and its newest alerts."""
        async with self._database.reading() as session:
            return await self._repository.statuses(session, name=name, alerts=_ALERTS_SHOWN)

    async def remove(self, name: str) -> None:
        """Delete an objective and its alerts, or raise `UnknownObjectiveError`."""

        async def work(session: AsyncSession) -> bool:
            return await self._repository.remove(session, name)

        if not await self._database.run(work):
            raise UnknownObjectiveError(name)

    async def check(self) -> int:
        """Measure the active objectives, and fire and end their alerts; return how many were fired.

        Safe to run in any process, any number of times: a rule that holds is reported once, until it no longer holds.
        """
        async with self._database.transaction(read_only=True) as session:
            active = await self._repository.statuses(session, active=True)
        return sum([await self._measure(each.objective) for each in active])

    async def _measure(self, objective: Objective) -> int:
        now = self._clock.now()
        whole, burns, question = await self._counted(objective.spec, now)
        result = status_of(objective.spec, question, whole, burns)

        async def work(session: AsyncSession) -> int:
            if not await self._repository.keep(session, objective, result, now=now):
                return 0  # it has changed meanwhile: the next check measures what it is now
            return await self._fire(session, objective, burns, now)

        return await self._database.run(work)

    async def _fire(self, session: AsyncSession, objective: Objective, burns: Sequence[BurnRate], now: datetime) -> int:
        """Report the most urgent rule that begins to hold, unless a more urgent one holds already; end those that do not."""
        name = objective.spec.name
        opened = await self._repository.open_rules(session, name)
        await self._repository.end(
            session, name, [burn.rule.name for burn in burns if burn.rule.name in opened and not burn.lasts], now=now
        )
        fired, urgent = 0, False
        for burn in burns:
            held = burn.rule.name in opened and burn.lasts
            alert_id = (
                await self._repository.fire(session, objective, burn, now=now) if burn.fires and not held else None
            )
            if alert_id is not None and not urgent:
                deliver_at = self._quiet.end_after(now) if self._quiet is not None else now
                await self._repository.queue.enqueue(session, [alert_id], self._channels, deliver_at=deliver_at)
                fired += 1
            urgent = urgent or held or alert_id is not None
        return fired

    async def _counted(self, spec: ObjectiveSpec, now: datetime) -> tuple[Counted, Sequence[BurnRate], Question]:
        """Return the requests of the window and the burn rates, all from one snapshot."""
        since = period_at(now, "day", _UTC) - timedelta(days=spec.window_days - 1)
        question = Question(TimeRange(since, now), spec.filters)
        async with self._database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            whole = await self._count(session, spec, question)
            burns = [
                burn_rate(
                    spec,
                    rule,
                    await self._count(session, spec, Question(TimeRange(now - rule.long, now), spec.filters)),
                    await self._count(session, spec, Question(TimeRange(now - rule.short, now), spec.filters)),
                )
                for rule in rules_for(spec)
            ]
        return whole, burns, question

    async def _count(self, session: AsyncSession, spec: ObjectiveSpec, question: Question) -> Counted:
        asked = await self._models.resolve(session, question)
        if spec.indicator is Indicator.AVAILABILITY:
            found = (await self._facts.measures(session, asked)).get(())
            return Counted(found.requests, found.errors) if found is not None else Counted(0, 0)
        bins = await self._facts.latency_bins(session, asked)
        longest = bin_of(spec.threshold_ms or 0)
        slow = sum(count for number, count in bins.items() if number > longest)
        return Counted(sum(bins.values()), slow)

    async def _check_feature(self, spec: ObjectiveSpec) -> None:
        if spec.scope is not ObjectiveScope.FEATURE:
            return
        if spec.value not in (await self._catalog.current()).features:
            raise InvalidError(f"there is no feature {spec.value!r}; GET /api/features lists them", param="value")
