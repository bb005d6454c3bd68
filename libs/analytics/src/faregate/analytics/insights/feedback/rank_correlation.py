"""Spearman's rank correlation with its interval. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["LEAST_PAIRS", "RankCorrelation", "mean_ranks", "rank_correlation"]

LEAST_PAIRS = 30
"""No correlation is shown from fewer pairs."""

_QUANTUM = Decimal("0.0001")
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """From -1 to 1, with the interval that holds it in 95 % of cases, by the variance of Bonett and Wright (2000)."""

    sample: int
    value: Decimal
    low: Decimal
    high: Decimal


def rank_correlation(pairs: Sequence[tuple[Decimal, Decimal]]) -> RankCorrelation | None:
    """Return the correlation of the ranks; None from too few pairs, or if one side is the same everywhere."""
    if len(pairs) < LEAST_PAIRS:
        return None
    first, second = (mean_ranks([float(pair[side]) for pair in pairs]) for side in (0, 1))
    middle = (len(pairs) + 1) / 2
    spread = math.sqrt(sum((r - middle) ** 2 for r in first) * sum((r - middle) ** 2 for r in second))
    if not spread:
        return None
    shared = sum((one - middle) * (other - middle) for one, other in zip(first, second, strict=True))
    value = max(-1.0, min(1.0, shared / spread))
    low, high = _interval(value, len(pairs))
    return RankCorrelation(len(pairs), *(Decimal(str(each)).quantize(_QUANTUM) for each in (value, low, high)))


def mean_ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + end + 1) / 2
        start = end
    return ranks


def _interval(value: float, count: int) -> tuple[float, float]:
    if abs(value) == 1.0:
        return value, value
    half = _Z95 * math.sqrt((1 + value * value / 2) / (count - 3))
    return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)
