"""What came of a drive, in tables."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import quantiles

from faregate.cli.demo.load_driver import LoadStory, Outcome
from faregate.cli.shared.output import console, print_table

__all__ = ["show_models", "show_pace", "show_refusals", "totals"]


def totals(stories: Iterable[LoadStory]) -> dict[str, int | Decimal]:
    """Return the sums over all rides, exact: what two ways of settling must agree on."""
    kept = list(stories)
    return {
        "rides": len(kept),
        "input_tokens": sum(story.input_tokens for story in kept),
        "output_tokens": sum(story.output_tokens for story in kept),
        "provider_cost_usd": sum((story.cost_usd for story in kept), Decimal(0)),
        "credits_consumed": sum((story.consumed for story in kept), Decimal(0)),
        "credits_charged": sum((story.charged for story in kept), Decimal(0)),
        "shortfall": sum((story.shortfall for story in kept), Decimal(0)),
    }


def show_models(stories: Sequence[LoadStory], *, credit_price_usd: Decimal) -> None:
    """Print one row per model and a total: what it cost us, what it earned."""
    by_model: dict[str, list[LoadStory]] = defaultdict(list)
    for story in stories:
        by_model[story.model].append(story)
    ordered = sorted(by_model.items(), key=lambda item: -len(item[1]))
    rows = [_row(model, kept, credit_price_usd) for model, kept in ordered]
    columns = ["model", "requests", "tokens in", "tokens out", "provider cost $", "margin $", "credits", "charged"]
    print_table("Settled, by model", columns, [*rows, _row("all", stories, credit_price_usd)])


def show_refusals(outcomes: Sequence[Outcome]) -> None:
    """Print how many trips were refused at the gate, and why."""
    refused = Counter(outcome.refused for outcome in outcomes if outcome.refused is not None)
    if refused:
        print_table("Refused at the gate", ["reason", "trips"], refused.most_common())
    else:
        console.print("No trip was refused at the gate.")


def show_pace(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Print how fast it went."""
    p50, p95, p99 = percentiles([outcome.start_ms for outcome in outcomes])
    rate = len(outcomes) / seconds
    console.print(f"{rate:,.0f} trips/s; `start` took p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms")


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the 50th, 95th and 99th percentile."""
    if len(values) < 2:
        only = values[0] if values else 0.0
        return only, only, only
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def _row(name: str, stories: Sequence[LoadStory], credit_price_usd: Decimal) -> list[str | int | Decimal]:
    cost = sum((story.cost_usd for story in stories), Decimal(0))
    consumed = sum((story.consumed for story in stories), Decimal(0))
    charged = sum((story.charged for story in stories), Decimal(0))
    return [
        name,
        len(stories),
        sum(story.input_tokens for story in stories),
        sum(story.output_tokens for story in stories),
        cost.quantize(Decimal("0.000001")),
        (consumed * credit_price_usd - cost).quantize(Decimal("0.000001")),
        consumed,
        charged,
    ]
