"""Answers of `/api/analytics`, in the field names of the HTTP contract."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from faregate.analytics.answers.trends import FeatureReturn, Part, Peak, Stats, Trend
from faregate.analytics.answers.user_periods import UserPeriod
from faregate.analytics.values import Breakdown, Point, TopUser, UsageMetrics
from faregate.gateway.schemas.base import Answer

__all__ = [
    "DashboardAnswer",
    "FreshnessAnswer",
    "MetricsAnswer",
    "ModelAnswer",
    "OwnMetricsAnswer",
    "OwnModelAnswer",
    "OwnPointAnswer",
    "OwnUsageAnswer",
    "PartAnswer",
    "PointAnswer",
    "ReturnAnswer",
    "ServiceAnswer",
    "StatsAnswer",
    "TopUserAnswer",
    "TrendAnswer",
    "UserPeriodAnswer",
    "metrics_answer",
    "model_answer",
    "own_usage_answer",
    "part_answer",
    "point_answer",
    "return_answer",
    "service_answer",
    "stats_answer",
    "top_user_answer",
    "trend_answer",
    "user_period_answer",
]


class OwnMetricsAnswer(Answer):
    """The totals of one's own usage. Response times are milliseconds, rates 0 … 1."""

    totalRequests: int  # noqa: N815
    totalTokens: int  # noqa: N815
    totalCredits: Decimal  # noqa: N815
    averageResponseTime: Decimal | None  # noqa: N815
    p50ResponseTime: Decimal | None  # noqa: N815
    p95ResponseTime: Decimal | None  # noqa: N815
    p99ResponseTime: Decimal | None  # noqa: N815
    errorRate: Decimal | None  # noqa: N815
    chargedCredits: Decimal  # noqa: N815
    uniqueUsers: int  # noqa: N815


class MetricsAnswer(OwnMetricsAnswer):
    """The totals, with provider costs and margins. `unpriced` counts the calls of models whose cost is unknown: it is in
    none of these.
    """

    costPerRequest: Decimal | None  # noqa: N815
    providerCostUsd: Decimal  # noqa: N815
    marginCredits: Decimal  # noqa: N815
    unpriced: int


class ServiceAnswer(Answer):
    """One service."""

    service: str
    requests: int
    tokens: int
    credits: Decimal
    averageResponseTime: Decimal | None  # noqa: N815
    errorRate: Decimal | None  # noqa: N815


class OwnModelAnswer(Answer):
    """One model of one provider in one's own usage; `requests` counts its calls."""

    model: str
    provider: str | None
    requests: int
    inputTokens: int  # noqa: N815
    outputTokens: int  # noqa: N815
    tokens: int
    credits: Decimal
    averageResponseTime: Decimal | None  # noqa: N815
    errorRate: Decimal | None  # noqa: N815


class ModelAnswer(OwnModelAnswer):
    """One model of one provider; `requests` counts its calls, `margin` is credits less provider cost, in USD. `unpriced`
    counts the calls whose cost is unknown: it is in neither of them.
    """

    providerCostUsd: Decimal  # noqa: N815
    margin: Decimal
    unpriced: int


class OwnPointAnswer(Answer):
    """One period of one's own usage; it begins at `period`. `quantity` is the reading of the meter of the query in the
    period, in its unit, and null if the query names no meter: quantities of different meters are not added.
    """

    period: datetime
    requests: int
    tokens: int
    credits: Decimal
    uniqueUsers: int  # noqa: N815
    errors: int
    quantity: Decimal | None = None


class PointAnswer(OwnPointAnswer):
    """One period, with its provider costs; `unpriced` counts the calls of models whose cost is unknown."""

    providerCostUsd: Decimal  # noqa: N815
    unpriced: int


class PeakAnswer(PointAnswer):
    """A period of high use; `amount` is its requested amount; for a meter, its reading by its declaration."""

    amount: Decimal


class TopUserAnswer(Answer):
    """One user."""

    userId: str  # noqa: N815
    email: str | None
    totalRequests: int  # noqa: N815
    totalTokens: int  # noqa: N815
    totalCredits: Decimal  # noqa: N815
    lastActivity: datetime  # noqa: N815


class UserPeriodAnswer(TopUserAnswer):
    """The usage of one user in one period."""

    period: datetime


class FreshnessAnswer(Answer):
    """Answers include all facts until now; sums were last updated at `rolledUpAt`. Single facts before `archivedBefore` are
    left out. If a replica of the database answered, facts of the last `lagSeconds` may be missing; else this is 0."""

    rolledUpAt: datetime | None  # noqa: N815
    lagSeconds: Decimal = Decimal(0)  # noqa: N815
    archivedBefore: datetime | None = None  # noqa: N815


class DashboardAnswer(Answer):
    """The first page of a dashboard, from one snapshot."""

    overview: MetricsAnswer
    services: Sequence[ServiceAnswer]
    models: Sequence[ModelAnswer]
    timeSeries: Sequence[PointAnswer]  # noqa: N815
    topUsers: Sequence[TopUserAnswer]  # noqa: N815
    freshness: FreshnessAnswer


class OwnUsageAnswer(Answer):
    """One's own usage, from one snapshot, without the seller's costs and margins."""

    overview: OwnMetricsAnswer
    services: Sequence[ServiceAnswer]
    models: Sequence[OwnModelAnswer]
    timeSeries: Sequence[OwnPointAnswer]  # noqa: N815
    topUsers: Sequence[TopUserAnswer]  # noqa: N815
    freshness: FreshnessAnswer


class StatsAnswer(Answer):
    """Statistics of a meter's quantities."""

    meter: str
    count: int
    sum: Decimal
    average: Decimal | None
    median: Decimal | None
    p95: Decimal | None
    p99: Decimal | None


class TrendAnswer(Answer):
    """One day; changes are fractions compared with the day and the week before."""

    period: datetime
    amount: Decimal
    change: Decimal | None
    weekChange: Decimal | None  # noqa: N815


class PartAnswer(Answer):
    """One value of a dimension; `value` is null for facts without one. `quantity` is null unless the row is about one
    meter whose quantities are added: quantities of different meters have different units.
    """

    value: str | int | None
    requests: int
    tokens: int
    credits: Decimal
    quantity: Decimal | None
    errorRate: Decimal | None  # noqa: N815


class ReturnAnswer(Answer):
    """The return of a feature; `returnRate` is the margin divided by the cost. `unpriced` counts the calls whose cost is
    unknown.
    """

    feature: str | None
    requests: int
    chargedCredits: Decimal  # noqa: N815
    providerCostUsd: Decimal  # noqa: N815
    marginCredits: Decimal  # noqa: N815
    returnRate: Decimal | None  # noqa: N815
    unpriced: int


def metrics_answer(metrics: UsageMetrics, credit_price_usd: Decimal) -> MetricsAnswer:
    """Return the totals."""
    sums = metrics.measures
    return MetricsAnswer(
        totalRequests=sums.requests,
        totalTokens=sums.tokens,
        totalCredits=sums.total_credits,
        averageResponseTime=sums.average_latency_ms,
        p50ResponseTime=metrics.p50_ms,
        p95ResponseTime=metrics.p95_ms,
        p99ResponseTime=metrics.p99_ms,
        errorRate=sums.error_rate,
        costPerRequest=sums.cost_per_request_usd,
        providerCostUsd=sums.cost_usd,
        chargedCredits=sums.charged_credits,
        marginCredits=sums.margin_credits(credit_price_usd),
        unpriced=sums.unpriced,
        uniqueUsers=metrics.unique_users,
    )


def service_answer(part: Breakdown) -> ServiceAnswer:
    """Return one service."""
    sums = part.measures
    return ServiceAnswer(
        service=part.value or "",
        requests=sums.requests,
        tokens=sums.tokens,
        credits=sums.total_credits,
        averageResponseTime=sums.average_latency_ms,
        errorRate=sums.error_rate,
    )


def model_answer(part: Breakdown, credit_price_usd: Decimal) -> ModelAnswer:
    """Return one model."""
    sums = part.measures
    return ModelAnswer(
        model=part.value or "",
        provider=part.provider,
        requests=sums.requests,
        inputTokens=sums.input_tokens,
        outputTokens=sums.output_tokens,
        tokens=sums.tokens,
        credits=sums.total_credits,
        providerCostUsd=sums.cost_usd,
        margin=sums.total_credits * credit_price_usd - sums.cost_usd,
        unpriced=sums.unpriced,
        averageResponseTime=sums.average_latency_ms,
        errorRate=sums.error_rate,
    )


def own_usage_answer(found: DashboardAnswer) -> OwnUsageAnswer:
    """Return the part of their own dashboard that a person may see: everything except costs and margins."""
    return OwnUsageAnswer.of(
        found,
        overview=OwnMetricsAnswer.of(found.overview),
        models=[OwnModelAnswer.of(model) for model in found.models],
        timeSeries=[OwnPointAnswer.of(point) for point in found.timeSeries],
    )


def point_answer(point: Point, quantity: Decimal | None = None) -> PointAnswer:
    """Return one period; `quantity` is the reading of the meter of the query."""
    sums = point.measures
    return PointAnswer(
        period=point.period,
        requests=sums.requests,
        tokens=sums.tokens,
        credits=sums.total_credits,
        uniqueUsers=point.unique_users,
        errors=sums.errors,
        quantity=quantity,
        providerCostUsd=sums.cost_usd,
        unpriced=sums.unpriced,
    )


def peak_answer(peak: Peak) -> PeakAnswer:
    """Return one period of high use."""
    return PeakAnswer(amount=peak.amount, **point_answer(peak.point).model_dump())


def user_period_answer(found: UserPeriod) -> UserPeriodAnswer:
    """Return the usage of one user in one period."""
    return UserPeriodAnswer(period=found.period, **top_user_answer(found.user).model_dump())


def top_user_answer(user: TopUser) -> TopUserAnswer:
    """Return one user."""
    sums = user.measures
    return TopUserAnswer(
        userId=user.user_id,
        email=user.email,
        totalRequests=sums.requests,
        totalTokens=sums.tokens,
        totalCredits=sums.total_credits,
        lastActivity=user.last_activity,
    )


def part_answer(part: Part) -> PartAnswer:
    """Return one value of a dimension."""
    sums = part.measures
    return PartAnswer(
        value=part.value,
        requests=sums.requests,
        tokens=sums.tokens,
        credits=sums.total_credits,
        quantity=part.quantity,
        errorRate=sums.error_rate,
    )


def stats_answer(meter: str, stats: Stats) -> StatsAnswer:
    """Return the statistics of a meter."""
    return StatsAnswer.of(stats, meter=meter, sum=stats.total)  # fmt: skip


def trend_answer(trend: Trend) -> TrendAnswer:
    """Return one day compared with the days before."""
    return TrendAnswer.of(trend, weekChange=trend.week_change)


def return_answer(item: FeatureReturn) -> ReturnAnswer:
    """Return the return of one feature."""
    sums = item.measures
    return ReturnAnswer(
        feature=item.feature,
        requests=sums.requests,
        chargedCredits=sums.charged_credits,
        providerCostUsd=sums.cost_usd,
        marginCredits=item.margin_credits,
        returnRate=item.return_rate,
        unpriced=sums.unpriced,
    )
