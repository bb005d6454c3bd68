"""What pricing one line costs: Faregate's (price, margin, credits, the whole line) beside genai-prices' own (price only).

Run: `python benchmarks/pricing.py [-o json]`. Target: at most 50 µs a line after warm-up.
"""

import json
import sys
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from genai_prices import Usage, calc_price

from faregate.usage.pricing import PriceBook
from faregate.usage.values import ModelUsage, PricingPolicy

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
TARGET_US = 50
CASES: dict[str, tuple[str, dict[str, int]]] = {
    "flat": ("gpt-4o", {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 50}),
    "tiered, cached": (
        "claude-sonnet-4-5",
        {"input_tokens": 300_000, "output_tokens": 900, "cache_read_tokens": 200_000, "cache_write_tokens": 1000},
    ),
    "by the hour": ("deepseek-chat", {"input_tokens": 1000, "output_tokens": 100}),
    "reasoning": ("gpt-5", {"input_tokens": 1000, "output_tokens": 5000, "output_reasoning_tokens": 4000}),
}


def microseconds(work: Callable[[], Any], *, number: int) -> float:
    """Return the best of five, per call."""
    work()
    return min(timeit.repeat(work, number=number, repeat=5)) / number * 1e6


def measure(name: str) -> dict[str, Any]:
    """Return both sides of one case, and whether they agree on the price."""
    model, counts = CASES[name]
    book = PriceBook(PricingPolicy())
    usage = ModelUsage(model, tokens=counts)
    ours = microseconds(lambda: book.line(usage, at=AT), number=2000)
    theirs = microseconds(lambda: calc_price(Usage(**counts), model, genai_request_timestamp=AT), number=400)
    same = (
        book.line(usage, at=AT).provider_cost_usd
        == calc_price(Usage(**counts), model, genai_request_timestamp=AT).total_price
    )
    return {"case": name, "faregate_us": round(ours, 1), "genai_prices_us": round(theirs, 1), "same_price": same}


def main() -> int:
    """Print all cases; exit 1 if one is too slow or wrong."""
    found = [measure(name) for name in CASES]
    if sys.argv[1:] == ["-o", "json"]:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.write(f"{'case':<16}{'Faregate µs/line':>18}{'genai-prices µs':>18}{'ratio':>8}  same price\n")
        for row in found:
            ratio = row["genai_prices_us"] / row["faregate_us"]
            sys.stdout.write(
                f"{row['case']:<16}{row['faregate_us']:>18}{row['genai_prices_us']:>18}{ratio:>8.1f}  {row['same_price']}\n"
            )
    return 0 if all(row["same_price"] and row["faregate_us"] <= TARGET_US for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
