"""Controller of `/api/analytics`: totals, breakdowns, series and patterns of usage."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.answers.trends import Patterns, counted_as
from faregate.analytics.answers.user_periods import UserPeriods
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError
from faregate.gateway.http.operation import Audit, Call, Controller, Reply, operation
from faregate.gateway.schemas import analytics as shapes
from faregate.gateway.schemas.analytics import (
    DashboardAnswer,
    MetricsAnswer,
    ModelAnswer,
    OwnUsageAnswer,
    PartAnswer,
    PeakAnswer,
    PointAnswer,
    ReturnAnswer,
    ServiceAnswer,
    StatsAnswer,
    TopUserAnswer,
    TrendAnswer,
    UserPeriodAnswer,
)
from faregate.gateway.schemas.analytics_query import (
    AnalyticsQuery,
    DistributionQuery,
    MeterQuery,
    MetricsQuery,
    PeaksQuery,
    SeriesQuery,
    TopUsersQuery,
    TrendsQuery,
    UserPeriodsQuery,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownMeterError

__all__ = ["AnalyticsController"]

_READ = Scope.ANALYTICS_READ
_METER = (InvalidError, UnknownMeterError)
_KEPT = "analytics"
"""The cache for answers that depend on the facts alone; readings of meters also depend on the declarations of the meters."""


class AnalyticsController(Controller):
    """Totals, breakdowns, series, rankings and patterns over HTTP."""

    def __init__(
        self,
        analytics: AnalyticsService,
        patterns: Patterns,
        user_periods: UserPeriods,
        clock: IClock,
        credit_price_usd: Decimal,
    ) -> None:
        self._analytics = analytics
        self._user_periods = user_periods
        self._patterns = patterns
        self._clock = clock
        self._credit_price_usd = credit_price_usd

    async def version(self, arguments: Mapping[str, Any], user_id: str | None) -> str | None:  # noqa: ARG002
        """Return the version of all facts; None for quantities of meters, which also depend on their declarations."""
        query = arguments.get("query")
        if isinstance(query, SeriesQuery | DistributionQuery) and _reads_meters(query):
            return None
        return await self._analytics.version()

    @operation("GET", "/api/analytics/metrics", scope=_READ, answer=MetricsAnswer, errors=_METER, kept=_KEPT)
    async def metrics(self, query: MetricsQuery) -> MetricsAnswer:
        """Return the totals."""
        question = query.question(now=self._clock.now())
        metrics = await self._analytics.metrics(question, exact=query.exact)
        return shapes.metrics_answer(metrics, self._credit_price_usd)

    @operation("GET", "/api/analytics/services", scope=_READ, answer=list[ServiceAnswer], errors=_METER, kept=_KEPT)
    async def services(self, query: AnalyticsQuery) -> Reply:
        """Return usage by service, in descending order of credits."""
        parts = await self._analytics.breakdown(query.question(now=self._clock.now()), "service")
        return Reply([shapes.service_answer(part).model_dump() for part in parts])

    @operation("GET", "/api/analytics/models", scope=_READ, answer=list[ModelAnswer], errors=_METER, kept=_KEPT)
    async def models(self, query: AnalyticsQuery) -> Reply:
        """Return usage by model and provider, in descending order of credits."""
        parts = await self._analytics.breakdown(query.question(now=self._clock.now()), "model")
        return Reply([shapes.model_answer(part, self._credit_price_usd).model_dump() for part in parts])

    @operation("GET", "/api/analytics/timeseries", scope=_READ, answer=list[PointAnswer], errors=_METER, kept=_KEPT)
    async def timeseries(self, query: SeriesQuery) -> Reply:
        """Return usage by hour, day, week or month of the time zone in the query, including empty periods. With a `meter`, also
        its quantity in each period, read as the meter is declared.
        """
        question = query.question(now=self._clock.now())
        if query.meter is not None:
            found = await self._patterns.amounts(question, unit=query.groupBy)
            return Reply([shapes.point_answer(each.point, each.amount).model_dump() for each in found])
        points = await self._analytics.series(question, query.groupBy)
        return Reply([shapes.point_answer(point).model_dump() for point in points])

    @operation(
        "GET",
        "/api/analytics/users/top",
        scope=_READ,
        answer=list[TopUserAnswer],
        errors=_METER,
        kept=_KEPT,
        audit=Audit.PERSONAL,
    )
    async def top_users(self, query: TopUsersQuery) -> Reply:
        """Return the users with the most credits, requests, tokens or cost."""
        question = query.question(now=self._clock.now())
        users = await self._analytics.top_users(question, by=query.by, limit=query.limit)
        return Reply([shapes.top_user_answer(user).model_dump() for user in users])

    @operation(
        "GET",
        "/api/analytics/users/periods",
        scope=_READ,
        answer=list[UserPeriodAnswer],
        errors=_METER,
        kept=_KEPT,
        audit=Audit.PERSONAL,
    )
    async def user_periods(self, query: UserPeriodsQuery) -> Reply:
        """Return the usage of each user in each day, week or month; at most 100 periods at once."""
        question = query.question(now=self._clock.now())
        found = await self._user_periods.users(question, query.groupBy, by=query.by, limit=query.limit)
        return Reply([shapes.user_period_answer(item).model_dump() for item in found])

    @operation(
        "GET",
        "/api/analytics/dashboard",
        scope=_READ,
        answer=DashboardAnswer,
        errors=_METER,
        kept=_KEPT,
        audit=Audit.PERSONAL,
    )
    async def dashboard(self, query: SeriesQuery) -> DashboardAnswer:
        """Return totals, services, models, series and top users from one snapshot."""
        return await self._dashboard(query, None)

    @operation("GET", "/api/analytics/my-usage", scope=None, own="me", answer=OwnUsageAnswer, errors=_METER, kept=_KEPT)
    async def my_usage(self, call: Call, query: SeriesQuery) -> OwnUsageAnswer:
        """Return only the caller's own usage, without the seller's costs and margins."""
        return shapes.own_usage_answer(await self._dashboard(query, call.principal.user_id))

    @operation("GET", "/api/analytics/stats", scope=_READ, answer=StatsAnswer, errors=_METER, kept=_KEPT)
    async def stats(self, query: MeterQuery) -> StatsAnswer:
        """Return count, sum, average, median, p95 and p99 of a meter, exactly."""
        question, amount = counted_as(query.meter, query.question(now=self._clock.now()))
        return shapes.stats_answer(query.meter, await self._patterns.stats(question, amount=amount))

    @operation("GET", "/api/analytics/trends", scope=_READ, answer=list[TrendAnswer], errors=_METER)
    async def trends(self, query: TrendsQuery) -> Reply:
        """Return each day compared with the day before and the same day of the week before."""
        trends = await self._patterns.trends(query.question(now=self._clock.now()), amount=query.of)
        return Reply([shapes.trend_answer(trend).model_dump() for trend in trends])

    @operation("GET", "/api/analytics/peaks", scope=_READ, answer=list[PeakAnswer], errors=_METER)
    async def peaks(self, query: PeaksQuery) -> Reply:
        """Return the periods with the highest amounts, the highest first."""
        question = query.question(now=self._clock.now())
        peaks = await self._patterns.peaks(question, unit=query.groupBy, amount=query.of, limit=query.limit)
        return Reply([shapes.peak_answer(peak).model_dump() for peak in peaks])

    @operation("GET", "/api/analytics/distribution", scope=_READ, answer=list[PartAnswer], errors=_METER, kept=_KEPT)
    async def distribution(self, query: DistributionQuery) -> Reply:
        """Return usage by country, device, hour of the day or another dimension; with quantities only for one meter."""
        question = query.question(now=self._clock.now())
        parts = await self._patterns.distribution(question, query.by)
        return Reply([shapes.part_answer(part).model_dump() for part in parts])

    @operation("GET", "/api/analytics/profitability", scope=_READ, answer=list[ReturnAnswer], errors=_METER, kept=_KEPT)
    async def profitability(self, query: AnalyticsQuery) -> Reply:
        """Return the charges of each feature less the costs of its providers."""
        found = await self._patterns.profitability(query.question(now=self._clock.now()))
        return Reply([shapes.return_answer(item).model_dump() for item in found])

    async def _dashboard(self, query: SeriesQuery, user_id: str | None) -> DashboardAnswer:
        question = query.question(now=self._clock.now(), user_id=user_id)
        found = await self._analytics.dashboard(question, unit=query.groupBy)
        price = self._credit_price_usd
        return DashboardAnswer(
            overview=shapes.metrics_answer(found.metrics, price),
            services=[shapes.service_answer(part) for part in found.services],
            models=[shapes.model_answer(part, price) for part in found.models],
            timeSeries=[shapes.point_answer(point) for point in found.series],
            topUsers=[shapes.top_user_answer(user) for user in found.users],
            freshness=shapes.FreshnessAnswer(
                rolledUpAt=found.freshness.rolled_up_at,
                lagSeconds=found.freshness.lag_seconds,
                archivedBefore=question.omissions.archived_before,
            ),
        )


def _reads_meters(query: SeriesQuery | DistributionQuery) -> bool:
    return query.meter is not None or (isinstance(query, DistributionQuery) and query.by == "meter")
