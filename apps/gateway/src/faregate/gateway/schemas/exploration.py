"""Queries and answers of `/api/analytics/explore` and `/api/analytics/stream`."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from faregate.analytics.answers.exploration import Exploration, ExploreBy, Slice
from faregate.analytics.exports.formats import Format
from faregate.analytics.values import Breakdown, Measures
from faregate.gateway.schemas.analytics import DashboardAnswer, FreshnessAnswer, MetricsAnswer, metrics_answer
from faregate.gateway.schemas.analytics_query import SeriesQuery
from faregate.gateway.schemas.base import Answer

__all__ = ["ExploreAnswer", "ExploreFileQuery", "ExploreQuery", "StreamAnswer", "StreamQuery", "explore_answer"]

_Amount = Annotated[str, Field(pattern="^(credits|charged|requests|tokens|cost|errors)$")]


class ExploreQuery(SeriesQuery):
    """`of`: the amount that ranks the values of `by`; `top`: how many get a series, the others become one `rest`; `then`: a
    second dimension, by which each of them is divided; `compare`: also the series of the period before.
    """

    by: ExploreBy = "model"
    then: ExploreBy | None = None
    of: _Amount = "credits"
    top: Annotated[int, Field(ge=1, le=50)] = 8
    compare: bool = False


class ExploreFileQuery(ExploreQuery):
    """`table`: the values of the dimension, or the periods; `sort`: a column, with `-` in front for descending; `cumulative`: sums
    up to each period.
    """

    table: Literal["values", "periods"] = "values"
    format: Format = Format.CSV
    sort: Annotated[str, Field(max_length=100)] | None = None
    cumulative: bool = False


class StreamQuery(ExploreQuery):
    """`every`: the shortest time between two answers, in seconds; `events`: after how many of them the stream ends."""

    every: Annotated[float, Field(ge=1, le=300)] = 2
    events: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000_000


class SumsAnswer(Answer):
    """Sums of usage; `margin` is charged credits less provider cost, in credits."""

    requests: int
    errors: int
    inputTokens: int  # noqa: N815
    outputTokens: int  # noqa: N815
    tokens: int
    credits: Decimal
    chargedCredits: Decimal  # noqa: N815
    providerCostUsd: Decimal  # noqa: N815
    marginCredits: Decimal  # noqa: N815
    errorRate: Decimal | None  # noqa: N815
    averageResponseTime: Decimal | None  # noqa: N815
    unpriced: int


class SubsliceAnswer(SumsAnswer):
    """One value of the second dimension; null for usage without one."""

    value: str | None


class SliceAnswer(SumsAnswer):
    """One value of the dimension. `series` holds `of` by period, in the order of `periods`; `isRest`: all other values, and
    usage without one.
    """

    value: str | None
    isRest: bool  # noqa: N815
    series: Sequence[Decimal]
    parts: Sequence[SubsliceAnswer]


class RangeAnswer(Answer):
    """From `start` to `end`; `until` is where the elapsed part ends."""

    start: datetime
    end: datetime
    until: datetime
    timezone: str


class ExploreAnswer(Answer):
    """Totals, values of the dimension and their series, beside the totals of the period before over equal elapsed time.

    `before` is null if there is no usage in it, `seriesBefore` unless `compare` asks for it: it has the order of `periods`, and
    ends where no more time has elapsed. `values` counts the values of the dimension; of users at most 100.
    """

    range: RangeAnswer
    rangeBefore: RangeAnswer  # noqa: N815
    totals: MetricsAnswer
    before: MetricsAnswer | None
    periods: Sequence[datetime]
    series: Sequence[Decimal]
    seriesBefore: Sequence[Decimal] | None  # noqa: N815
    slices: Sequence[SliceAnswer]
    values: int
    freshness: FreshnessAnswer


class StreamAnswer(Answer):
    """What one event of the stream holds: the answers of `/api/analytics/explore` and `/api/analytics/dashboard`."""

    explore: ExploreAnswer
    dashboard: DashboardAnswer


def explore_answer(
    found: Exploration, *, of: str, credit_price_usd: Decimal, archived_before: datetime | None
) -> ExploreAnswer:
    """Return an exploration."""
    price = credit_price_usd
    slices = [*found.slices, *([found.rest] if found.rest is not None else [])]
    before = found.range_before
    return ExploreAnswer(
        range=RangeAnswer.of(found.range, until=found.until),
        rangeBefore=RangeAnswer.of(before, until=before.end),
        totals=metrics_answer(found.metrics, price),
        before=metrics_answer(found.before, price) if found.before is not None else None,
        periods=found.periods,
        series=[_amount(sums, of) for sums in found.totals],
        seriesBefore=[_amount(sums, of) for sums in found.series_before] if found.series_before is not None else None,
        slices=[_slice(each, of, price) for each in slices],
        values=found.values,
        freshness=FreshnessAnswer(
            rolledUpAt=found.freshness.rolled_up_at,
            lagSeconds=found.freshness.lag_seconds,
            archivedBefore=archived_before,
        ),
    )


def _slice(found: Slice, of: str, price: Decimal) -> SliceAnswer:
    return SliceAnswer(
        value=found.value,
        isRest=found.is_rest,
        series=[_amount(sums, of) for sums in found.series],
        parts=[_part(part, price) for part in found.parts],
        **_sums(found.measures, price).model_dump(),
    )


def _part(found: Breakdown, price: Decimal) -> SubsliceAnswer:
    return SubsliceAnswer(value=found.value, **_sums(found.measures, price).model_dump())


def _sums(sums: Measures, price: Decimal) -> SumsAnswer:
    return SumsAnswer(
        requests=sums.requests,
        errors=sums.errors,
        inputTokens=sums.input_tokens,
        outputTokens=sums.output_tokens,
        tokens=sums.tokens,
        credits=sums.total_credits,
        chargedCredits=sums.charged_credits,
        providerCostUsd=sums.cost_usd,
        marginCredits=sums.margin_credits(price),
        errorRate=sums.error_rate,
        averageResponseTime=sums.average_latency_ms,
        unpriced=sums.unpriced,
    )


def _amount(sums: Measures, of: str) -> Decimal:
    amounts = {
        "credits": sums.total_credits,
        "charged": sums.charged_credits,
        "requests": Decimal(sums.requests),
        "tokens": Decimal(sums.tokens),
        "cost": sums.cost_usd,
        "errors": Decimal(sums.errors),
    }
    return amounts[of]
