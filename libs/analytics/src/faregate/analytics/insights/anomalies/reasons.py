"""Reasons of anomalies: what changed, and what contributed most. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.anomalies.values import AnomalyMeasure, AnomalyScope, Suspect
from faregate.analytics.values import Measures

__all__ = ["Contribution", "mean_of", "reason_of", "title_of"]

_PARTS = 3
_NOTABLE = Decimal("1.25")
_RATE = Decimal("0.01")
_WORDS = {
    AnomalyMeasure.SPEND: ("spend", "credits"),
    AnomalyMeasure.COST: ("provider cost", "USD"),
    AnomalyMeasure.ERRORS: ("error rate", ""),
    AnomalyMeasure.LATENCY: ("latency", "ms"),
    AnomalyMeasure.TOKENS: ("tokens per request", ""),
}


@dataclass(frozen=True, slots=True)
class Contribution:
    """The sums of one model or feature in the unusual hour, and the means of the same hour of the seven days before."""

    dimension: str
    value: str | None
    now: Measures
    usual: Mapping[str, Decimal]


def title_of(suspect: Suspect) -> str:
    """Return one sentence without a name of a person: what was how much, when, and what was usual."""
    word, unit = _WORDS[suspect.measure]
    about = {
        AnomalyScope.TOTAL: "all use",
        AnomalyScope.USER: "one user",
    }.get(suspect.watched.scope, f"{suspect.watched.scope.value} {suspect.watched.value}")
    return (
        f"{word} of {about} was {_amount(suspect.measure, suspect.actual)} {unit}".rstrip()
        + f" from {suspect.start:%Y-%m-%d %H:%M} to {suspect.end:%H:%M} UTC; "
        + f"usual at this time: {_amount(suspect.measure, suspect.expected)}"
    )


def reason_of(
    suspect: Suspect, now: Measures, usual: Mapping[str, Decimal], parts: Sequence[Contribution]
) -> dict[str, Any]:
    """Return why: which factor of the amount changed, and which models or features contributed most.

    `usual` are the means of the same hour of the seven days before, as `mean_of` returns them.
    """
    factors = _factors(now, usual)
    changed = [f"{name} {ratio} times the usual" for name, ratio in factors.items() if _is_notable(ratio)]
    because = "because of " + " and ".join(changed) if changed else "no single factor stands out"
    largest = sorted(parts, key=lambda part: abs(_gain(suspect.measure, part)), reverse=True)[:_PARTS]
    return {
        "sentence": f"{title_of(suspect)}; {because}",
        "factors": {name: ratio for name, ratio in factors.items() if ratio is not None},
        "parts": [
            {"dimension": part.dimension, "value": part.value, "change": _gain(suspect.measure, part)}
            for part in largest
            if _gain(suspect.measure, part) != 0
        ],
        "rows": _rows(suspect),
    }


def mean_of(sums: Sequence[Measures]) -> dict[str, Decimal]:
    """Return the mean `requests`, `tokens`, `credits`, `cost` and `errors`."""
    count = max(1, len(sums))
    return {
        "requests": Decimal(sum(each.requests for each in sums)) / count,
        "tokens": Decimal(sum(each.tokens for each in sums)) / count,
        "credits": sum((each.total_credits for each in sums), Decimal(0)) / count,
        "cost": sum((each.cost_usd for each in sums), Decimal(0)) / count,
        "errors": Decimal(sum(each.errors for each in sums)) / count,
    }


def _rows(suspect: Suspect) -> dict[str, Any]:
    """Return the selection of the events behind: parameters of the export, but for a user, whom the anomaly names itself."""
    chosen = {"startDate": suspect.start, "endDate": suspect.end}
    if suspect.watched.value is not None:
        chosen[suspect.watched.scope.value] = suspect.watched.value  # type: ignore[assignment]
    return chosen


def _factors(now: Measures, usual: Mapping[str, Decimal]) -> dict[str, Decimal | None]:
    requests, tokens = Decimal(now.requests), Decimal(now.tokens)
    return {
        "requests": _ratio(requests, usual["requests"]),
        "tokens per request": _ratio_of(tokens, requests, usual["tokens"], usual["requests"]),
        "cost per token": _ratio_of(now.cost_usd, tokens, usual["cost"], usual["tokens"]),
        "credits per token": _ratio_of(now.total_credits, tokens, usual["credits"], usual["tokens"]),
        "errors per request": _ratio_of(Decimal(now.errors), requests, usual["errors"], usual["requests"]),
    }


def _is_notable(ratio: Decimal | None) -> bool:
    return ratio is not None and (ratio >= _NOTABLE or ratio <= 1 / _NOTABLE)


def _ratio(now: Decimal, usual: Decimal) -> Decimal | None:
    return (now / usual).quantize(_RATE) if usual > 0 else None


def _ratio_of(now: Decimal, by: Decimal, usual: Decimal, usual_by: Decimal) -> Decimal | None:
    if by <= 0 or usual_by <= 0:
        return None
    return _ratio(now / by, usual / usual_by)


def _gain(measure: AnomalyMeasure, part: Contribution) -> Decimal:
    """Return how much more of the measure's amount the part has than usual: of requests, for latencies."""
    name = {
        AnomalyMeasure.SPEND: "credits",
        AnomalyMeasure.COST: "cost",
        AnomalyMeasure.ERRORS: "errors",
        AnomalyMeasure.TOKENS: "tokens",
    }.get(measure, "requests")
    now = {
        "credits": part.now.total_credits,
        "cost": part.now.cost_usd,
        "errors": Decimal(part.now.errors),
        "tokens": Decimal(part.now.tokens),
        "requests": Decimal(part.now.requests),
    }[name]
    return (now - part.usual[name]).quantize(Decimal("0.000001"))


def _amount(measure: AnomalyMeasure, value: Decimal) -> str:
    if measure is AnomalyMeasure.ERRORS:
        return f"{value * 100:.1f} %"
    return f"{value:,.2f}" if measure in {AnomalyMeasure.SPEND, AnomalyMeasure.COST} else f"{value:,.0f}"
