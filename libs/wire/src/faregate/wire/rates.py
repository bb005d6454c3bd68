"""Rate card of one model at a point in time. Pure.

Costs are exact to 28 digits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

__all__ = ["Cost", "Rate", "RateCard", "are_inconsistent"]

_CONTEXT = Context(prec=28, rounding=ROUND_HALF_EVEN)
"""An own context, because the host may have changed the thread's. 28 digits are exact for all prices per million."""

_NOTHING = Decimal(0)
_TOTALS = frozenset({"input_tokens", "output_tokens"})

_PARTS: Mapping[str, Sequence[str]] = {
    "input_tokens": ("cache_read_tokens", "cache_write_tokens"),
    "cache_write_tokens": ("cache_write_5m_tokens", "cache_write_1h_tokens"),
    "cache_read_tokens": ("cache_text_read_tokens", "cache_audio_read_tokens", "cache_image_read_tokens"),
}
_OUTPUT_PARTS = ("output_reasoning_tokens", "output_audio_tokens", "output_image_tokens")
_INPUT_PARTS = ("input_audio_tokens", "input_image_tokens", "input_tool_tokens")


@dataclass(frozen=True, slots=True)
class Rate:
    """The price in USD of `per` units of one count.

    Attributes:
        count: the name of the count, such as `cache_read_tokens`.
        direction: "input", "output", or "" for neither.
        tiers: (start, price), ascending; with more than `start` input tokens the price applies to the whole line.
        parts: positions in the card of the rates whose counts are part of this one and are priced by their own rate.
        includes: the names of counts that are part of this one and have no price of their own.
        minimum: the smallest count that is billed if the count is not 0.
    """

    count: str
    direction: str
    per: int
    price: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()
    parts: tuple[int, ...] = ()
    includes: frozenset[str] = frozenset()
    minimum: int = 0


class Cost(NamedTuple):
    """A cost in USD; `total` may exceed `input` plus `output` by costs that are neither (searches, requests)."""

    total: Decimal
    input: Decimal
    output: Decimal


class RateCard:
    """Rates, ordered so that a part precedes the counts that include it.

    Args:
        covered: the counts that a rate prices, on their own or as part of another count. Audio is never priced as text:
            without a rate for audio it has no price.
        order: positions of the rates in the order in which costs are summed.

    Attributes:
        mute: the counts of audio without a price.
    """

    __slots__ = ("_input_parts", "_names", "_order", "_tiered", "covered", "mute", "rates")

    def __init__(self, rates: Sequence[Rate], *, covered: frozenset[str], order: Sequence[int] | None = None) -> None:
        self.rates = tuple(rates)
        self.covered = covered
        self._names = frozenset(rate.count for rate in rates)
        self._order = tuple(order if order is not None else range(len(rates)))
        self._tiered = any(rate.tiers for rate in rates)
        audible = [rate for rate in rates if "audio" in rate.count]
        heard = {name for rate in audible for name in (rate.count, *rate.includes)}
        self.mute = frozenset(name for name in covered if "audio" in name and name not in heard)
        self._input_parts = [
            n for n, rate in enumerate(rates) if rate.direction == "input" and rate.count.endswith("_tokens")
        ]

    def cost(self, counts: Mapping[str, int], *, by_parts: bool = False) -> Cost | None:
        """Return the cost of these counts, or None if one of them has no price or they contradict each other.

        Args:
            by_parts: price contradicting counts as well: a total below the sum of its parts counts as that sum.
        """
        if self.without_price(counts):
            return None
        leaves = self._leaves(counts, by_parts=by_parts)
        if leaves is None:
            return None
        size = self._input_size(counts, leaves) if self._tiered else 0
        total = input_cost = output_cost = _NOTHING
        for position in self._order:
            count = leaves[position]
            if not count:
                continue
            rate = self.rates[position]
            price = _tier_price(rate, size) if rate.tiers else rate.price
            amount = _CONTEXT.divide(_CONTEXT.multiply(price, count), rate.per)
            total = _CONTEXT.add(total, amount)
            if rate.direction == "input":
                input_cost = _CONTEXT.add(input_cost, amount)
            elif rate.direction == "output":
                output_cost = _CONTEXT.add(output_cost, amount)
        return Cost(total, input_cost, output_cost)

    def amounts(self, counts: Mapping[str, int], *, by_parts: bool = False) -> Sequence[tuple[Rate, int, Decimal]]:
        """Return each rate that applies, the count that it prices and the cost; empty where `cost` is None.

        A count stands without its parts that have a rate of their own, so that no unit is counted twice. The costs sum to the
        total of `cost`.
        """
        leaves = None if self.without_price(counts) else self._leaves(counts, by_parts=by_parts)
        if leaves is None:
            return ()
        size = self._input_size(counts, leaves) if self._tiered else 0
        return [
            (rate, count, _CONTEXT.divide(_CONTEXT.multiply(_tier_price(rate, size), count), rate.per))
            for rate, count in ((self.rates[position], leaves[position]) for position in self._order)
            if count
        ]

    def without_price(self, counts: Mapping[str, int]) -> list[str]:
        """Return the names of the counts without a price; a count of 0 needs none."""
        unknown = (counts.keys() - self.covered) | (counts.keys() & self.mute)
        return sorted(name for name in unknown if counts[name]) if unknown else []

    def _leaves(self, counts: Mapping[str, int], *, by_parts: bool) -> list[int] | None:
        """Return each count minus its parts that have a rate of their own; None if a difference is below 0."""
        leaves: list[int] = []
        unnamed = counts.keys() - self._names
        for rate in self.rates:
            count = named = whole = 1 if rate.count == "requests" else counts.get(rate.count, 0)
            if unnamed:
                count = named = max([whole, *(counts[name] for name in unnamed & rate.includes)])
            for part in rate.parts:
                count -= leaves[part]
            if not by_parts and (named > whole or count < 0):
                return None
            leaves.append(max(count, rate.minimum) if count > 0 else 0)
        return leaves

    def _input_size(self, counts: Mapping[str, int], leaves: Sequence[int]) -> int:
        return max(counts.get("input_tokens", 0), sum(leaves[n] for n in self._input_parts))


def are_inconsistent(counts: Mapping[str, int]) -> bool:
    """Return whether parts exceed their total: more cached tokens than input, more reasoning than output."""
    if counts.keys() <= _TOTALS:
        return False
    get = counts.get
    for total, parts in _PARTS.items():
        if sum(get(part, 0) for part in parts) > get(total, 0):
            return True
    if any(get(part, 0) > get("output_tokens", 0) for part in _OUTPUT_PARTS):
        return True
    return any(get(part, 0) > get("input_tokens", 0) for part in _INPUT_PARTS)


def _tier_price(rate: Rate, size: int) -> Decimal:
    price = rate.price
    for start, tier_price in rate.tiers:
        if size > start:
            price = tier_price
    return price
