"""What pricing one line costs: ours (price, margin, credits, the whole line) beside genai-prices' own (the price alone)."""

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
"""A model and what it used, by what makes its price special."""


@dataclass(frozen=True, slots=True)
class LinePace:
    """Microseconds a line, of ours and of genai-prices, and whether both come to the same price."""

    case: str
    ours_us: float
    genai_prices_us: float
    same_price: bool


def measure_line(case: str, *, calls: int) -> LinePace:
    """Time one case, warm; the best of five rounds of `calls`, for genai-prices of a fifth of them."""
    model, counts = CASES[case]
    book = PriceBook(PricingPolicy())
    usage = ModelUsage(model, tokens=counts)
    ours, line = _best(lambda: book.line(usage, at=_AT), calls)
    theirs, price = _best(lambda: calc_price(Usage(**counts), model, genai_request_timestamp=_AT), max(1, calls // 5))
    return LinePace(case, ours, theirs, line.provider_cost_usd == price.total_price)


def _best(work: Callable[[], Any], calls: int) -> tuple[float, Any]:
    """Return the microseconds of one call, and what it returns."""
    result = work()
    return min(timeit.repeat(work, number=calls, repeat=5)) / calls * 1e6, result
