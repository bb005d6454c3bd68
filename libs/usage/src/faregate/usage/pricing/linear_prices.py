"""Prices of a rate card per unit of each count. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from faregate.wire.rates import Rate, RateCard

__all__ = ["PLAIN_COUNTS", "LinearPrices", "linear_prices"]

PLAIN_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_reasoning_tokens",
)
"""The counts of text; audio, images and searches are not among them."""

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class LinearPrices:
    """The prices of lines of one size: their cost is `call` for each, and `units` times their counts; exact for sums, too.

    A part of a count (cached input) has the difference from the price of the whole, which includes it: below 0 if it is cheaper.

    Attributes:
        units: USD by count; None for a count without a price.
    """

    call: Decimal
    units: Mapping[str, Decimal | None]

    def cost(self, lines: int, counts: Mapping[str, int]) -> Decimal | None:
        """Return the cost of lines with these counts in all; None if one of the counts has no price."""
        total = self.call * lines
        for name, count in counts.items():
            if not count:
                continue
            price = self.units[name]
            if price is None:
                return None
            total += price * count
        return total


def linear_prices(card: RateCard, input_tokens: int = 0) -> LinearPrices:
    """Return the prices of `PLAIN_COUNTS` for lines with that many input tokens, by which the tiers of a card are chosen."""
    call = _NOTHING
    units = dict.fromkeys(PLAIN_COUNTS, _NOTHING)
    leaves: list[dict[str, int]] = []
    for rate in card.rates:
        leaf = {rate.count: 1}
        for part in rate.parts:
            for name, weight in leaves[part].items():
                leaf[name] = leaf.get(name, 0) - weight
        leaves.append(leaf)
        price = _price(rate, input_tokens) / rate.per
        for name, weight in leaf.items():
            if name == "requests":
                call += price * weight
            elif name in units:
                units[name] += price * weight
    return LinearPrices(call, {name: price if name in card.covered else None for name, price in units.items()})


def _price(rate: Rate, input_tokens: int) -> Decimal:
    return next((price for start, price in reversed(rate.tiers) if input_tokens > start), rate.price)
