"""Budget service: settings, status with outlook, alerts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.answers.trends import amount_of
from faregate.analytics.insights.budgets.burn import burn_rate, elapsed_share, outlook_of
from faregate.analytics.insights.budgets.evidence import budget_evidence
from faregate.analytics.insights.budgets.repository import BudgetRepository
from faregate.analytics.insights.budgets.values import Budget, BudgetOutlook, BudgetScope, BudgetSpec, BudgetStatus
from faregate.analytics.insights.errors import UnknownBudgetError
from faregate.analytics.insights.forecasting.service import HORIZONS, ForecastAmount, ForecastService
from faregate.analytics.insights.forecasting.values import ForecastPoint, ForecastUnit
from faregate.analytics.insights.numeric import is_installed
from faregate.analytics.insights.series import Series, SeriesReader
from faregate.analytics.question.calendar import period_at, periods_of
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.quotas.levels import Level, Thresholds, levels_reached, percent_used
from faregate.analytics.quotas.periods import QuotaPeriod, Window, check_timezone, window_at
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import CREDENTIAL, is_credential
from faregate.core.values.time_zones import time_zone
from faregate.usage.features.catalog import FeatureCatalog
from faregate.wire.ids import check_external_id, organization_owner_id

__all__ = ["BudgetService"]

_LEAST_PERCENT_PREDICTED = 25


class BudgetService:
    """The use cases of budgets; each opens its own transactions. Budgets refuse nothing: quotas do.

    `channels` are the names of the channels that deliver alerts.
    """

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        repository: BudgetRepository,
        reader: SeriesReader,
        forecasts: ForecastService,
        catalog: FeatureCatalog,
        clock: IClock,
        *,
        thresholds: Thresholds,
        channels: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._repository = repository
        self._reader = reader
        self._forecasts = forecasts
        self._catalog = catalog
        self._clock = clock
        self._thresholds = thresholds
        self._channels = channels

    async def put(self, spec: BudgetSpec) -> Budget:
        """Declare a budget, or change the one of this name. The same again changes nothing.

        If what it counts, its amount or its thresholds change, its alerts may fire again in this period.

        Raises:
            InvalidError: a field is invalid; `param` names it.
        """
        check_spec(spec)
        if spec.scope is BudgetScope.FEATURE and spec.value not in (await self._catalog.current()).features:
            raise InvalidError(f"value {spec.value!r} is no feature; GET /api/features lists them", param="value")

        async def work(session: AsyncSession) -> Budget:
            subject_id = None
            if spec.scope is BudgetScope.ORGANIZATION:
                owner = organization_owner_id(spec.value or "")
                subject_id = (await self._subjects.ensure(session, [owner]))[owner].subject_id
            await self._repository.put(session, spec, subject_id=subject_id, now=self._clock.now())
            return (await self._repository.budgets(session, name=spec.name))[0]

        return await self._database.run(work)

    async def remove(self, name: str) -> None:
        """Delete a budget and its alerts, or raise `UnknownBudgetError`."""
        async with self._database.transaction() as session:
            if not await self._repository.remove(session, name):
                raise UnknownBudgetError(name)

    async def status(self, name: str) -> BudgetStatus:
        """Return the status of one budget, or raise `UnknownBudgetError`."""
        found = await self.statuses(name=name)
        if not found:
            raise UnknownBudgetError(name)
        return found[0]

    async def statuses(self, *, name: str | None = None, active: bool = False) -> Sequence[BudgetStatus]:
        """Return the status of each budget by name. Fires no alert.

        An outlook is made once a day; the use so far is always that of all committed facts.
        """
        now = self._clock.now()
        async with self._database.transaction(read_only=True) as session:
            budgets = await self._repository.budgets(session, name=name, active=active)
            alerts = await self._repository.alerts(session, [each.spec.name for each in budgets], now=now)
        return [replace(await self._status(each, now), alerts=alerts.get(each.spec.name, ())) for each in budgets]

    async def check(self) -> int:
        """Check every active budget and fire the alerts that it has reached; return how many are to be delivered.

        Each level fires once per budget, revision and period; safe to run in any process, any number of times.
        """
        statuses = await self.statuses(active=True)
        reached = [(status, level) for status in statuses for level in self._levels(status)]
        if not reached:
            return 0
        now = self._clock.now()

        async def work(session: AsyncSession) -> int:
            return await self._repository.fire(session, reached, now=now, channels=self._channels)

        return await self._database.run(work)

    def _levels(self, status: BudgetStatus) -> tuple[Level, ...]:
        spec = status.budget.spec
        reached = levels_reached(status.used, spec.amount, spec.thresholds or self._thresholds)
        if reached or status.outlook is None or status.outlook.expected <= spec.amount:
            return reached
        early = status.percent is None or status.percent < _LEAST_PERCENT_PREDICTED
        return () if early else (Level.PREDICTED,)

    async def _status(self, budget: Budget, now: datetime) -> BudgetStatus:
        spec = budget.spec
        window = window_at(spec.period, now, spec.timezone)
        asked = Question(TimeRange(window.start, window.end, spec.timezone), _filters(spec))
        amount: ForecastAmount = "credits" if spec.unit == "credits" else "cost"
        days = await self._reader.series(asked, "day")
        used = sum((amount_of(sums, amount) for sums in days.measures), Decimal(0))
        outlook, said = await self._outlook(spec, asked, window, days, amount, now)
        elapsed, facts = elapsed_share(window, now), sum(sums.facts for sums in days.measures)
        reached = levels_reached(used, spec.amount, spec.thresholds or self._thresholds)
        return BudgetStatus(
            budget=budget,
            at=now,
            window=window,
            used=used,
            percent=percent_used(used, spec.amount),
            elapsed=elapsed,
            burn=burn_rate(used, spec.amount, elapsed),
            level=reached[-1] if reached else None,
            outlook=outlook,
            evidence=budget_evidence(
                asked, spec.period, amount=amount, facts=facts, outlook=outlook is not None, limits=said
            ),
        )

    async def _outlook(
        self, spec: BudgetSpec, asked: Question, window: Window, days: Series, amount: ForecastAmount, now: datetime
    ) -> tuple[BudgetOutlook | None, Sequence[str]]:
        if not is_installed():
            return None, ['no forecast: the extra is not installed; pip install "faregate[insights]"']
        unit, running, horizon = _ahead(asked, now)
        made = (await self._forecasts.forecast(asked, of=amount, unit=unit, horizon=horizon)).result
        if not made.enough:
            return None, made.evidence.limits
        used = [(day, amount_of(sums, amount)) for day, sums in zip(days.periods, days.measures, strict=True)]
        found = outlook_of(
            [_point(point) for point in made.answer["points"]],
            window,
            spec.amount,
            complete=sum((each for day, each in used if day < running), Decimal(0)),
            running=sum((each for day, each in used if day >= running), Decimal(0)),
        )
        return found, [f"the forecast is made once a {unit}: {made.evidence.method}", *made.evidence.limits]


def _ahead(asked: Question, now: datetime) -> tuple[ForecastUnit, datetime, int]:
    """Return the unit of the forecast, the start of its running period, and how many periods are left from that on."""
    units: tuple[ForecastUnit, ...] = ("day", "month")
    for unit in units:
        running = period_at(now, unit, time_zone(asked.range.timezone))
        left = len(periods_of(replace(asked.range, start=running), unit))
        if left <= HORIZONS[unit][1]:
            return unit, running, left
    raise AssertionError("no period of a budget has more than twelve months")


def check_spec(spec: BudgetSpec) -> None:
    """Raise `InvalidError` unless `spec` is valid."""
    if is_credential(check_external_id(spec.name, param="name")):
        raise InvalidError(f"name {CREDENTIAL}", param="name")
    if (spec.value is None) != (spec.scope is BudgetScope.BUSINESS):
        problem = "must be left out for the whole business" if spec.value else f"must name the {spec.scope}"
        raise InvalidError(f"value {problem}", param="value")
    if spec.scope is not BudgetScope.MODEL and spec.value is not None:
        check_external_id(spec.value, param="value")
    if not spec.amount.is_finite() or not 0 < spec.amount < 10**15:
        raise InvalidError("amount must be above 0 and below 10^15", param="amount")
    if spec.period is QuotaPeriod.HOUR:
        raise InvalidError("period must be day, week, month, quarter or year", param="period")
    check_timezone(spec.timezone)
    for address in spec.emails:
        if "@" not in address or any(character.isspace() for character in address):
            raise InvalidError("emails must be addresses such as ops@example.com", param="emails")


def _filters(spec: BudgetSpec) -> Filters:
    if spec.scope is BudgetScope.FEATURE:
        return Filters(feature=spec.value)
    if spec.scope is BudgetScope.MODEL:
        return Filters(model=spec.value)
    return Filters(organization_id=spec.value)


def _point(point: dict[str, object]) -> ForecastPoint:
    period, *amounts = (str(point[name]) for name in ("period", "expected", "low80", "high80", "low95", "high95"))
    return ForecastPoint(datetime.fromisoformat(period), *map(Decimal, amounts))
