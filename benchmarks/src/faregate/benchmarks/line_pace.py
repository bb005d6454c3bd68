"""Time to price one line, compared with genai-prices.

Ours computes price, margin, credits and the whole line; genai-prices computes the price only.
"""

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from genai_prices import Usage, calc_price

from faregate.usage.pricing.line import PriceBook
from faregate.usage.values import ModelUsage, PricingPolicy

__all__ = ["CASES", "LinePace", "measure_line"]

_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)

CASES: dict[str, tuple[str, dict[str, int]]] = {
    "flat": ("gpt-4o", {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 50}),
    "tiered, cached": (
        "claude-sonnet-4-5",
        {"input_tokens": 300_000, "output_tokens": 900, "cache_read_tokens": 200_000, "cache_write_tokens": 1000},
    ),
    "by the hour": ("deepseek-chat", {"input_tokens": 1000, "output_tokens": 100}),
    "reasoning": ("gpt-5", {"input_tokens": 1000, "output_tokens": 5000, "output_reasoning_tokens": 4000}),
}
"""Model and token counts of each case, by the property of its price."""


@dataclass(frozen=True, slots=True)
class LinePace:
    """Microseconds per line, of ours and of genai-prices, and whether both give the same price."""

    case: str
    ours_us: float
    genai_prices_us: float
    same_price: bool


def measure_line(case: str, *, calls: int) -> LinePace:
    """Time one case after a first call; the best of five rounds of `calls` calls, or a fifth of them for genai-prices."""
    model, counts = CASES[case]
    book = PriceBook(PricingPolicy())
    usage = ModelUsage(model, tokens=counts)
    ours, line = _best(lambda: book.line(usage, at=_AT), calls)
    theirs, price = _best(lambda: calc_price(Usage(**counts), model, genai_request_timestamp=_AT), max(1, calls // 5))
    return LinePace(case, ours, theirs, line.provider_cost_usd == price.total_price)


def _best(work: Callable[[], Any], calls: int) -> tuple[float, Any]:
    """Return the microseconds of one call, and its result."""
    result = work()
    return min(timeit.repeat(work, number=calls, repeat=5)) / calls * 1e6, result
