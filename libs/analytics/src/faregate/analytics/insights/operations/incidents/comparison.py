"""Comparison of the spans of an incident. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.operations.incidents.values import Change, SpanName, SpanSums
from faregate.analytics.quotas.wording import plain
from faregate.analytics.values import Measures, UsageMetrics

__all__ = ["LEAST_REQUESTS", "change_answer", "cost_of", "most_changed", "sentences", "span_answer"]

LEAST_REQUESTS = 20
"""With fewer requests in the span, or to compare it with, nothing is said."""

_SHOWN = 5
_FACTOR = Decimal("1.5")
_PERCENT = Decimal("0.01")
_CREDIT = Decimal("0.000001")


def span_answer(found: UsageMetrics) -> dict[str, Any]:
    """Return the sums of one span by name."""
    return {**_sums(found.measures), "p95_ms": found.p95_ms, "users": found.unique_users}


def change_answer(change: Change) -> dict[str, Any]:
    """Return the sums of one value in each span."""
    return {
        "dimension": change.dimension,
        "value": change.value,
        **{span.value: _sums(change.sums[span]) for span in SpanName if span in change.sums},
    }


def most_changed(changes: Sequence[Change]) -> list[Change]:
    """Return the values of each dimension that changed most: in errors, then latency, then credits."""
    dimensions = dict.fromkeys(change.dimension for change in changes)
    return [
        change
        for dimension in dimensions
        for change in sorted((each for each in changes if each.dimension == dimension), key=_size, reverse=True)[
            :_SHOWN
        ]
    ]


def sentences(sums: SpanSums) -> list[str]:
    """Return what differs by half or more between the span and the one before it, in words."""
    before, during = sums.of(SpanName.BEFORE), sums.of(SpanName.DURING)
    found: list[str] = []
    if min(before.requests, during.requests) >= LEAST_REQUESTS:
        rates = [100 * Decimal(each.errors) / each.requests for each in (before, during)]
        found += _said("failed requests", rates[0], rates[1], " %")
        latencies = [each.average_latency_ms for each in (before, during)]
        found += _said("mean latency", latencies[0], latencies[1], " ms")
    if before.requests >= LEAST_REQUESTS or during.requests >= LEAST_REQUESTS:
        found += _said("requests", Decimal(before.requests), Decimal(during.requests), "")
        found += _said("credits", before.total_credits, during.total_credits, "")
        found += _said("provider cost", before.cost_usd, during.cost_usd, " USD")
    return found


def cost_of(sums: SpanSums, failed: Measures) -> Mapping[str, Any]:
    """Return what the span cost: provider cost and credits of failed requests, and the credits that did not come.

    These are estimated from the same span a week before, or without enough use there from the span before.
    """
    during = sums.of(SpanName.DURING)
    basis = next(
        (span for span in (SpanName.WEEK_BEFORE, SpanName.BEFORE) if sums.of(span).requests >= LEAST_REQUESTS), None
    )
    missing = None
    if basis is not None:
        missing = max(Decimal(0), sums.of(basis).total_credits - during.total_credits).quantize(_CREDIT)
    return {
        "failed_requests": failed.requests,
        "failed_cost_usd": failed.cost_usd,
        "failed_credits": failed.total_credits,
        "compared_with": basis.value if basis is not None else None,
        "missing_credits": missing,
    }


def _sums(found: Measures) -> dict[str, Any]:
    return {
        "requests": found.requests,
        "errors": found.errors,
        "error_rate": found.error_rate,
        "average_latency_ms": found.average_latency_ms,
        "tokens": found.tokens,
        "credits": found.total_credits,
        "cost_usd": found.cost_usd,
    }


def _size(change: Change) -> tuple[int, Decimal, int, str]:
    before, during = change.of(SpanName.BEFORE), change.of(SpanName.DURING)
    slower = (during.average_latency_ms or Decimal(0)) - (before.average_latency_ms or Decimal(0))
    return during.errors - before.errors, slower, abs(during.credits - before.credits), change.value


def _said(what: str, before: Decimal | None, during: Decimal | None, unit: str) -> list[str]:
    if before is None or during is None or max(before, during) < min(before, during) * _FACTOR or before == during:
        return []
    verb = "rose" if during > before else "fell"
    return [f"{what} {verb} from {plain(before.quantize(_PERCENT))} to {plain(during.quantize(_PERCENT))}{unit}"]
