"""Percentiles of counted values, exact or from a sketch. Pure.

The bounds of the sketch's bins grow by 2 %: a bin represents its values by its middle, which is at most 1 % away. Bins of
two sketches can be added, and a voided value is subtracted from its bin, so that corrections are exact.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import ceil, log
from typing import TypeVar

__all__ = ["GAMMA", "RELATIVE_ERROR", "ZERO_BIN", "bin_of", "bin_value", "percentile"]

V = TypeVar("V", int, Decimal)

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
"""The growth of the bins (DDSketch): bin i holds values above GAMMA^(i-1), up to GAMMA^i. Bin -1 holds 0."""

ZERO_BIN = -1


def bin_value(number: int) -> Decimal:
    """Return the value that represents bin `number`: at most 1 % off from any value in it."""
    if number == ZERO_BIN:
        return Decimal(0)
    return Decimal(2 * GAMMA**number / (GAMMA + 1)).quantize(Decimal("0.001"))


def percentile(counts: Mapping[V, int], percent: int) -> V | None:
    """Return the smallest value that at least `percent` % of all values do not exceed (nearest rank); None without values."""
    total = sum(counts.values())
    if total <= 0:
        return None
    rank, seen = max(1, ceil(total * percent / 100)), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= rank:
            return value
    return None


def bin_of(value: int) -> int:
    """Return the bin of `value`."""
    return ZERO_BIN if value <= 0 else ceil(log(value) / log(GAMMA))
