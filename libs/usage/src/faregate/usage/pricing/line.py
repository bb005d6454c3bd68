"""Price of one usage line: cost, margin, credits. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from faregate.core.runtime.bounded_memory import BoundedCache
from faregate.usage.pricing.overrides import Margins, PriceList
from faregate.usage.values import REPORTED, UNPRICED, ModelUsage, PricingPolicy, UsageLine
from faregate.wire.money import credits_for
from faregate.wire.published_prices import MODELS_REMEMBERED, PriceSchedule, PriceSnapshot
from faregate.wire.rates import Cost, RateCard

__all__ = ["Margins", "PriceBook", "Rates"]

_NOTHING = Decimal(0)
_REMEMBERED_BYTES = 8 * 1024 * 1024


class Rates(NamedTuple):
    """The rate card in force for a model at some moment, and whose it is.

    Attributes:
        zero_is_price: whether a cost of 0 for something used is a price: one that an operator has set is, a published one
            only says that nobody knows.
    """

    provider: str | None
    card: RateCard
    version: str
    zero_is_price: bool

    def cost(self, counts: Mapping[str, int], *, by_parts: bool = False) -> Cost | None:
        """Return what these counts cost, or None where that is not known."""
        cost = self.card.cost(counts, by_parts=by_parts)
        unknown = cost is None or (not self.zero_is_price and not cost.total and any(counts.values()))
        return None if unknown else cost


class _Found(NamedTuple):
    """What one line costs by which price; `cost` None when nothing says so."""

    provider: str | None
    cost: Cost | None
    version: str


def _memory() -> BoundedCache[tuple[str, str | None, str | None], PriceSchedule | None]:
    """Return a memory for models: their names come from callers."""
    return BoundedCache(limit_bytes=_REMEMBERED_BYTES, entries=MODELS_REMEMBERED + 1)


@dataclass(frozen=True, slots=True, eq=False)
class PriceBook:
    """Prices one line at a time by one price list; a line's price does not depend on its neighbours. Immutable.

    The operators' price list wins over the published prices. The data of genai-prices are loaded at the first line.
    """

    policy: PricingPolicy
    price_list: PriceList = field(default_factory=PriceList)
    snapshot: PriceSnapshot = field(default_factory=lambda: PriceSnapshot(_memory()))

    def line(
        self,
        usage: ModelUsage,
        *,
        at: datetime,
        feature_margin: Decimal | None = None,
        default_margin: Decimal | None = None,
        by_parts: bool = False,
    ) -> UsageLine:
        """Return `usage` priced as of `at`.

        Unpriced is: an unknown model, a count that its prices do not cover, counts that contradict each other (unless
        `by_parts`), or a published price of zero for something used. A zero that an operator has set is a price.
        """
        found = self._cost(usage, at, by_parts=by_parts)
        margin = self._margin(usage.model, found.provider, feature_margin, default_margin)
        cost = found.cost
        credits = credits_for(cost.total, margin_percent=margin, policy=self.policy) if cost is not None else _NOTHING
        return self._line(usage, found, margin, credits)

    def warm_up(self, at: datetime) -> None:
        """Load the published prices, and what compiles them, before the first line needs them."""
        provider, model = next(iter(self.snapshot.models()))
        self.snapshot.find(model, provider=provider, service_tier=None, at=at)

    def why_unpriced(self, usage: ModelUsage, *, at: datetime, by_parts: bool = False) -> str | None:
        """Return why `line` gives no price as of `at`, with the fix; None if it gives one."""
        if self._cost(usage, at, by_parts=by_parts).cost is not None:
            return None
        if usage.model is None or not usage.tokens:
            return f"a line in {usage.unit or 'no unit'} has no price of a model"
        rates = self.rates(usage.model, provider=usage.provider, service_tier=usage.service_tier, at=at)
        if rates is None:
            return f"no price is known for {usage.model}; set one with `faregate prices set`"
        missing = rates.card.without_price(usage.tokens)
        if missing:
            return f"the prices of {usage.model} do not cover {', '.join(missing)}; set them with `faregate prices set`"
        if rates.card.cost(usage.tokens, by_parts=by_parts) is None:
            return "its counts contradict each other; --by-parts prices each part by itself"
        return f"the published price of {usage.model} is 0; set one with `faregate prices set`"

    def cost_line(self, usage: ModelUsage, *, at: datetime) -> UsageLine:
        """Return `usage` with what it costs us, and 0 credits: for features whose price is not made of their lines."""
        found = self._cost(usage, at)
        if found.cost is None:
            found = _Found(found.provider, None, "included")
        return self._line(usage, found, Decimal(-100), _NOTHING)

    def _line(self, usage: ModelUsage, found: _Found, margin: Decimal, credits: Decimal) -> UsageLine:
        cost = found.cost
        if usage.provider != found.provider:  # as the stored line says it, so that every answer is the same
            usage = usage.of_provider(found.provider)
        return UsageLine(
            usage=usage,
            provider=found.provider,
            provider_cost_usd=cost.total if cost is not None else None,
            input_cost_usd=cost.input if cost is not None else None,
            output_cost_usd=cost.output if cost is not None else None,
            margin_percent=margin,
            credit_price_usd=self.policy.credit_price_usd,
            credits=credits,
            price_version=found.version,
        )

    def _margin(
        self, model: str | None, provider: str | None, feature: Decimal | None, default: Decimal | None
    ) -> Decimal:
        if feature is not None:
            return feature
        found = self.price_list.margins.find(model, provider)
        if found is not None:
            return found
        return default if default is not None else self.policy.margin_percent

    def _cost(self, usage: ModelUsage, at: datetime, *, by_parts: bool = False) -> _Found:
        found = self._listed(usage, at, by_parts=by_parts)
        reported = usage.reported_cost_usd
        if reported is None or not self.policy.use_reported_cost:
            return found
        if found.cost is not None and found.cost.total >= reported:
            return found
        return _Found(found.provider or usage.provider, Cost(reported, _NOTHING, _NOTHING), REPORTED)

    def _listed(self, usage: ModelUsage, at: datetime, *, by_parts: bool) -> _Found:
        model, tier = usage.model, usage.service_tier
        if model is None or not usage.tokens:
            return _Found(usage.provider, None, UNPRICED)
        rates = self.rates(model, provider=usage.provider, service_tier=tier, at=at)
        if rates is None:
            return _Found(usage.provider, None, UNPRICED)
        cost = rates.cost(usage.tokens, by_parts=by_parts)
        return _Found(rates.provider, cost, rates.version if cost is not None else UNPRICED)

    def rates(self, model: str, *, provider: str | None, service_tier: str | None = None, at: datetime) -> Rates | None:
        """Return the rates in force, an operator's before the published ones; None where nobody prices the model."""
        published = self.snapshot.find(model, provider=provider, service_tier=service_tier, at=at)
        owner = published.provider if published is not None else provider
        override = self.price_list.override(model, provider=owner, service_tier=service_tier, at=at)
        if override is not None:
            return Rates(owner or override.provider, override.card, override.version, zero_is_price=True)
        if published is None:
            return None
        return Rates(owner, published.card, published.version, zero_is_price=False)
