"""Satisfaction by feature, model or price. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.feedback.rank_correlation import rank_correlation
from faregate.analytics.insights.feedback.values import RatedUse, SatisfactionBy
from faregate.wire.model_names import canonical_model

__all__ = ["LEAST_RATED", "LEAST_RATERS", "satisfaction_answer"]

LEAST_RATED, LEAST_RATERS = 20, 5
"""No group is shown with less feedback, or from fewer users: it would be chance, or the opinion of one person."""

_UNHAPPY = 2
_TAGS = 5
_Z95 = 1.959964
_RATE = Decimal("0.0001")
_PRICE_BANDS = 4


def satisfaction_answer(uses: Sequence[RatedUse], by: SatisfactionBy) -> dict[str, Any]:
    """Return the groups that are large enough, the least satisfied first, and correlations over all feedback."""
    groups: dict[str, list[RatedUse]] = {}
    name = _namer(uses, by)
    for use in uses:
        for value in name(use):
            groups.setdefault(value, []).append(use)
    large = {value: group for value, group in groups.items() if _is_large(group)}
    found = [{"value": value, **_group(group)} for value, group in large.items()]
    return {
        "by": by,
        "all": _group(uses),
        "groups": sorted(found, key=lambda group: (group["score"], group["value"])),
        "left_out": len(groups) - len(large),
        "correlations": list(_correlations(uses)),
    }


def _is_large(group: Sequence[RatedUse]) -> bool:
    return len(group) >= LEAST_RATED and len({use.subject_id for use in group}) >= LEAST_RATERS


def _namer(uses: Sequence[RatedUse], by: SatisfactionBy) -> Callable[[RatedUse], Iterable[str]]:
    if by == "feature":
        return lambda use: (use.feature,)
    if by == "model":
        return lambda use: {canonical_model(model)[0] for model in use.models}
    limits = _price_limits(uses)
    return lambda use: (_band(use.credits, limits),)


def _price_limits(uses: Sequence[RatedUse]) -> list[Decimal]:
    """Return the prices that part the uses into four bands of about the same size."""
    prices = sorted(use.credits for use in uses)
    places = (len(prices) * number // _PRICE_BANDS for number in range(1, _PRICE_BANDS))
    return sorted({prices[place] for place in places} - {prices[0]})


def _band(credits: Decimal, limits: Sequence[Decimal]) -> str:
    below = [limit for limit in limits if limit <= credits]
    above = [limit for limit in limits if limit > credits]
    if not below and not above:
        return "all prices"
    if not below:
        return f"below {above[0]:f} credits"
    return f"{below[-1]:f} to below {above[0]:f} credits" if above else f"{below[-1]:f} credits and more"


def _group(uses: Sequence[RatedUse]) -> dict[str, Any]:
    count = len(uses)
    scores = [use.score for use in uses]
    mean = sum(scores) / count
    spread = math.sqrt(sum((score - mean) ** 2 for score in scores) / max(1, count - 1))
    half = _Z95 * spread / math.sqrt(count)
    unhappy = sum(1 for score in scores if score <= _UNHAPPY)
    low, high = _wilson(unhappy, count)
    felt = [use.sentiment for use in uses if use.sentiment is not None]
    tags = Counter(tag for _, tag in {(use.subject_id, tag) for use in uses for tag in use.tags})
    common = sorted(tags.items(), key=lambda item: (-item[1], item[0]))
    return {
        "feedback": count,
        "users": len({use.subject_id for use in uses}),
        "score": _rate(mean),
        "low": _rate(max(1.0, mean - half)),
        "high": _rate(min(5.0, mean + half)),
        "unhappy": _rate(unhappy / count),
        "unhappy_low": _rate(low),
        "unhappy_high": _rate(high),
        "sentiment": (sum(felt, Decimal(0)) / len(felt)).quantize(_RATE) if len(felt) >= LEAST_RATED else None,
        "tags": [{"tag": tag, "users": users} for tag, users in common[:_TAGS] if users >= LEAST_RATERS],
    }


def _wilson(part: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction, by Wilson."""
    share, square = part / count, _Z95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = _Z95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def _correlations(uses: Sequence[RatedUse]) -> Iterable[dict[str, Any]]:
    read: dict[str, Callable[[RatedUse], Decimal | None]] = {
        "cost_usd": lambda use: use.cost_usd,
        "credits": lambda use: use.credits,
        "latency_ms": lambda use: Decimal(use.latency_ms) if use.latency_ms is not None else None,
    }
    for name, value in read.items():
        pairs = [(Decimal(use.score), known) for use in uses if (known := value(use)) is not None]
        found = rank_correlation(pairs)
        shown = (found.value, found.low, found.high) if found is not None else (None, None, None)
        yield {"with": name, "sample": len(pairs), **dict(zip(("value", "low", "high"), shown, strict=True))}


def _rate(value: float) -> Decimal:
    return Decimal(str(value)).quantize(_RATE)
