"""Saving hints: cacheable input, cheaper model, batch tier. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

from faregate.analytics.insights.costs.model_family import family_of
from faregate.analytics.insights.costs.values import LineGroup, LineSums
from faregate.usage.pricing.line import Rates
from faregate.usage.pricing.linear_prices import LinearPrices, linear_prices

__all__ = ["LEAST_LINES", "FindRates", "HintKind", "SavingHint", "band_limits", "saving_hints"]

LEAST_LINES = 30
"""Groups with fewer lines have no hint."""

LEAST_PREFIX = 1024
"""Providers cache no shorter beginnings of prompts."""

_LEAST_SHARE = Decimal("0.05")
_LEAST_SAVING_USD = Decimal("0.01")
_CACHED_ALREADY = Decimal("0.1")
_BATCH = "batch"
_ALTERNATIVES = 5
_NOTHING = Decimal(0)

FindRates = Callable[[str, str | None, str | None, datetime], Rates | None]
"""Finds the rates of a model by name, provider, service tier and moment."""


class HintKind(StrEnum):
    """What could be changed."""

    CACHE = "cacheable_input"
    MODEL = "cheaper_model"
    BATCH = "batch_tier"


_RULES: Mapping[HintKind, tuple[str, str]] = {
    HintKind.CACHE: (
        (
            "the input that 95 % of the day's calls have at least: written to the cache by the first call of each five minutes, "
            "and read from it by the other calls"
        ),
        "every call begins with the same text, as long as the shortest of these inputs; the cache keeps it for five minutes",
    ),
    HintKind.MODEL: (
        "the same tokens at the prices of the cheapest model of the same provider and family, each day at the prices of that day",
        "the other model needs as many tokens and does the work as well",
    ),
    HintKind.BATCH: (
        "the same tokens at the batch prices of the same model, each day at the prices of that day",
        "all of these calls can wait, for up to 24 hours",
    ),
}


@dataclass(frozen=True, slots=True)
class SavingHint:
    """What the lines of one group cost, and what they would have cost.

    Attributes:
        model: the model that the hint is about; `to_model` the cheaper one.
        alternatives: (model, cost) of the cheaper models of the family, the cheapest first.
    """

    kind: HintKind
    group: LineGroup
    lines: int
    tokens: int
    cost_usd: Decimal
    would_cost_usd: Decimal
    to_model: str | None = None
    cacheable_tokens: int | None = None
    alternatives: tuple[tuple[str, Decimal], ...] = ()

    @property
    def saving_usd(self) -> Decimal:
        """The difference."""
        return self.cost_usd - self.would_cost_usd

    @property
    def worth_it(self) -> bool:
        """Whether it saves at least a cent and 5 %."""
        return self.saving_usd >= max(_LEAST_SAVING_USD, self.cost_usd * _LEAST_SHARE)

    @property
    def as_json(self) -> dict[str, Any]:
        """The form in which it is kept."""
        rule, assumption = _RULES[self.kind]
        return {
            "kind": self.kind.value,
            "feature": self.group.feature,
            "model": self.group.model,
            "provider": self.group.provider,
            "service_tier": self.group.service_tier,
            "lines": self.lines,
            "tokens": self.tokens,
            "cost_usd": self.cost_usd,
            "would_cost_usd": self.would_cost_usd,
            "saving_usd": self.saving_usd,
            "to_model": self.to_model,
            "cacheable_tokens": self.cacheable_tokens,
            "alternatives": [{"model": model, "cost_usd": cost} for model, cost in self.alternatives],
            "rule": rule,
            "assumption": assumption,
        }


def band_limits(rates: Sequence[Rates | None]) -> list[int]:
    """Return the sizes of input from which another price applies, ascending."""
    cards = [each.card for each in rates if each is not None]
    return sorted({start + 1 for card in cards for rate in card.rates for start, _ in rate.tiers})


def saving_hints(
    sums: Sequence[LineSums],
    find: FindRates,
    family: Mapping[tuple[str | None, str], Sequence[str]],
    bands: Sequence[int],
) -> list[SavingHint]:
    """Return the hints that are worth it, the largest saving first.

    Args:
        family: the models by provider and family.
        bands: the sizes of input by which the sums are told apart.
    """
    groups: dict[LineGroup, list[LineSums]] = {}
    for each in sums:
        groups.setdefault(each.group, []).append(each)
    priced = _Prices(find, bands)
    hints = [
        hint
        for group, days in groups.items()
        if sum(day.lines for day in days) >= LEAST_LINES
        for hint in (_cache(group, days, priced), _model(group, days, priced, family), _batch(group, days, priced))
        if hint is not None and hint.worth_it
    ]
    return sorted(hints, key=lambda hint: (-hint.saving_usd, hint.group.feature, hint.group.model, hint.kind))


class _Prices:
    """Prices of days and sizes, looked up once."""

    def __init__(self, find: FindRates, bands: Sequence[int]) -> None:
        self._find = find
        self._bands = bands
        self._known: dict[tuple[str, str | None, str | None, date, int], LinearPrices | None] = {}

    def of(self, model: str, provider: str | None, tier: str | None, day: date, band: int) -> LinearPrices | None:
        key = (model, provider, tier, day, band)
        if key not in self._known:
            rates = self._find(model, provider, tier, datetime.combine(day, time(12), UTC))
            size = self._bands[band - 1] if band else 1
            self._known[key] = linear_prices(rates.card, size) if rates is not None else None
        return self._known[key]

    def cost(self, days: Sequence[LineSums], model: str, tier: str | None) -> Decimal | None:
        """Return what the lines would have cost as lines of another model or tier; None if a price is not known."""
        total = _NOTHING
        for day in days:
            prices = self.of(model, day.group.provider, tier, day.day, day.band)
            cost = prices.cost(day.lines, day.counts) if prices is not None else None
            if cost is None or (not cost and any(day.counts.values())):
                return None
            total += cost
        return total


def _cache(group: LineGroup, days: Sequence[LineSums], prices: _Prices) -> SavingHint | None:
    cached = sum(day.counts["cache_read_tokens"] for day in days)
    if cached > _CACHED_ALREADY * sum(day.counts["input_tokens"] for day in days):
        return None
    saved, tokens = _NOTHING, 0
    for day in days:
        known = prices.of(group.model, group.provider, group.service_tier, day.day, day.band)
        read, written = (
            (known.units["cache_read_tokens"], known.units["cache_write_tokens"]) if known is not None else (None, None)
        )
        if read is None or read >= 0 or day.prefix < LEAST_PREFIX:
            continue
        hits = day.lines - day.windows
        saved -= day.prefix * (read * hits + max(written or _NOTHING, _NOTHING) * day.windows)
        tokens += day.prefix * hits
    return _hint(HintKind.CACHE, group, days, _cost(days) - saved, cacheable_tokens=tokens) if tokens else None


def _model(
    group: LineGroup,
    days: Sequence[LineSums],
    prices: _Prices,
    family: Mapping[tuple[str | None, str], Sequence[str]],
) -> SavingHint | None:
    own = _cost(days)
    others = family.get((group.provider, family_of(group.model, group.provider)), ())
    costs = [(model, prices.cost(days, model, group.service_tier)) for model in others if model != group.model]
    cheaper = sorted([(cost, model) for model, cost in costs if cost is not None and cost < own])
    if not cheaper:
        return None
    listed = tuple((model, cost) for cost, model in cheaper[:_ALTERNATIVES])
    return _hint(HintKind.MODEL, group, days, cheaper[0][0], to_model=cheaper[0][1], alternatives=listed)


def _batch(group: LineGroup, days: Sequence[LineSums], prices: _Prices) -> SavingHint | None:
    if group.service_tier == _BATCH:
        return None
    cost = prices.cost(days, group.model, _BATCH)
    usual = prices.cost(days, group.model, group.service_tier)
    if cost is None or usual is None or cost >= usual:
        return None
    return _hint(HintKind.BATCH, group, days, cost)


def _hint(kind: HintKind, group: LineGroup, days: Sequence[LineSums], would_cost: Decimal, **more: Any) -> SavingHint:
    lines = sum(day.lines for day in days)
    tokens = sum(day.counts["input_tokens"] + day.counts["output_tokens"] for day in days)
    return SavingHint(kind, group, lines, tokens, _cost(days), would_cost, **more)


def _cost(days: Sequence[LineSums]) -> Decimal:
    return sum((day.cost_usd for day in days), _NOTHING)
