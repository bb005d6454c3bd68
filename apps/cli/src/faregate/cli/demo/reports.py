"""Tables of the results of a load run."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import quantiles

from faregate.cli.demo.load_driver import RequestOutcome, SettledRequest
from faregate.cli.shared.output import console, print_table

__all__ = ["processor_seconds", "show_models", "show_pace", "show_refusals", "totals"]


def totals(settled: Iterable[SettledRequest]) -> dict[str, int | Decimal]:
    """Return exact sums over all settled requests; both ways of settling must give the same."""
    kept = list(settled)
    return {
        "rides": len(kept),
        "input_tokens": sum(one.input_tokens for one in kept),
        "output_tokens": sum(one.output_tokens for one in kept),
        "provider_cost_usd": sum((one.cost_usd for one in kept), Decimal(0)),
        "credits_consumed": sum((one.consumed for one in kept), Decimal(0)),
        "credits_charged": sum((one.charged for one in kept), Decimal(0)),
        "shortfall": sum((one.shortfall for one in kept), Decimal(0)),
    }


def show_models(settled: Sequence[SettledRequest], *, credit_price_usd: Decimal) -> None:
    """Print one row per model and a total: provider cost, margin, and credits."""
    by_model: dict[str, list[SettledRequest]] = defaultdict(list)
    for one in settled:
        by_model[one.model].append(one)
    ordered = sorted(by_model.items(), key=lambda item: -len(item[1]))
    rows = [_row(model, kept, credit_price_usd) for model, kept in ordered]
    columns = ["model", "requests", "tokens in", "tokens out", "provider cost $", "margin $", "credits", "charged"]
    print_table("Settled, by model", columns, [*rows, _row("all", settled, credit_price_usd)])


def show_refusals(outcomes: Sequence[RequestOutcome]) -> None:
    """Print how many requests were refused at their start, by error code."""
    refused = Counter(outcome.refused for outcome in outcomes if outcome.refused is not None)
    if refused:
        print_table("Refused at start", ["reason", "requests"], refused.most_common())
    else:
        console.print("No request was refused at its start.")


def show_pace(outcomes: Sequence[RequestOutcome], seconds: float, *, callers: int, driver_seconds: float) -> None:
    """Print the rate of requests, the latency of `start`, and what limits both.

    Args:
        callers: how many requests were under way at a time.
        driver_seconds: processor time of this process while it sent them.
    """
    p50, p95, p99 = percentiles([outcome.start_ms for outcome in outcomes])
    rate = len(outcomes) / seconds
    console.print(f"{rate:,.0f} requests/s; `start` took p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms")
    own_ms = 1000 * driver_seconds / max(1, len(outcomes))
    console.print(
        f"That is {callers} callers, each with one request (two calls) at a time; sending one took {own_ms:.1f} ms of processor "
        f"time here, on the same {os.cpu_count()} processors as the servers. `faregate bench start` loads a gateway fully."
    )


def processor_seconds() -> float:
    """Return the processor time that this process has taken."""
    return sum(os.times()[:2])


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the 50th, 95th and 99th percentile."""
    if len(values) < 2:
        only = values[0] if values else 0.0
        return only, only, only
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def _row(name: str, settled: Sequence[SettledRequest], credit_price_usd: Decimal) -> list[str | int | Decimal]:
    cost = sum((one.cost_usd for one in settled), Decimal(0))
    consumed = sum((one.consumed for one in settled), Decimal(0))
    charged = sum((one.charged for one in settled), Decimal(0))
    return [
        name,
        len(settled),
        sum(one.input_tokens for one in settled),
        sum(one.output_tokens for one in settled),
        cost.quantize(Decimal("0.000001")),
        (consumed * credit_price_usd - cost).quantize(Decimal("0.000001")),
        consumed,
        charged,
    ]
