"""From tokens to credits: provider prices (genai-prices, overridable), margin, credit price, rounding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from functools import cache
from importlib.metadata import version
from typing import Any

from faregate.usage.values import ModelUsage, PricingPolicy, UsageLine

__all__ = ["Margins", "PriceBook", "credits_for"]

_HUNDRED = Decimal(100)
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])


@dataclass(frozen=True, slots=True)
class Margins:
    """Margins in percent by model and by provider; an explicit 0 counts."""

    models: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    providers: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


def credits_for(cost_usd: Decimal, *, margin_percent: Decimal, policy: PricingPolicy) -> Decimal:
    """Return cost times (1 + margin) divided by the credit price, rounded up to a multiple of the quantum.

    Exact but for that one rounding.
    """
    price = _EXACT.multiply(cost_usd, _HUNDRED + margin_percent)
    quantum_price = _EXACT.multiply(policy.credit_price_usd * _HUNDRED, policy.quantum)
    quanta = _EXACT.divide_int(price, quantum_price)
    if _EXACT.multiply(quanta, quantum_price) < price:
        quanta += 1
    return _EXACT.multiply(quanta, policy.quantum)


class PriceBook:
    """Prices one line at a time; a line's price does not depend on its neighbours.

    The data of genai-prices are loaded at the first line, not at import.
    """

    def __init__(self, policy: PricingPolicy, *, margins: Margins | None = None) -> None:
        self.policy = policy
        self._margins = margins or Margins()
        self._snapshot: Any = None

    def line(self, usage: ModelUsage, *, at: datetime, feature_margin: Decimal | None = None) -> UsageLine:
        """Return `usage` priced as of `at`; an unknown model, or a price of zero for tokens used, is unpriced."""
        found = self._provider_price(usage, at)
        provider = found.provider if found else usage.provider
        margin = self._margin(usage.model, provider, feature_margin)
        priced = found is not None and (found.total > 0 or not usage.tokens)
        credits = (
            credits_for(found.total, margin_percent=margin, policy=self.policy) if found and priced else Decimal(0)
        )
        return UsageLine(
            usage=usage,
            provider=provider,
            provider_cost_usd=found.total if found and priced else None,
            input_cost_usd=found.input if found and priced else None,
            output_cost_usd=found.output if found and priced else None,
            margin_percent=margin,
            credit_price_usd=self.policy.credit_price_usd,
            credits=credits,
            price_version=found.version if found and priced else "unpriced",
        )

    def _margin(self, model: str | None, provider: str | None, feature_margin: Decimal | None) -> Decimal:
        for margin in (
            feature_margin,
            self._margins.models.get(model or ""),
            self._margins.providers.get(provider or ""),
        ):
            if margin is not None:
                return margin
        return self.policy.margin_percent

    def _provider_price(self, usage: ModelUsage, at: datetime) -> "_ProviderPrice | None":
        if usage.model is None:
            return None
        snapshot = self._data()
        context = {"service_tier": usage.service_tier} if usage.service_tier else None
        try:
            found = snapshot.calc(_provider_usage(usage.tokens), usage.model, usage.provider, None, at, context)
        except (LookupError, ValueError):
            return None
        return _ProviderPrice(
            found.provider.id, found.total_price, found.input_price, found.output_price, _data_version()
        )

    def _data(self) -> Any:
        if self._snapshot is None:
            from genai_prices.data_snapshot import get_snapshot

            self._snapshot = get_snapshot()
        return self._snapshot


@dataclass(frozen=True, slots=True)
class _ProviderPrice:
    provider: str
    total: Decimal
    input: Decimal
    output: Decimal
    version: str


def _provider_usage(tokens: Mapping[str, int]) -> Any:
    from genai_prices import Usage

    return Usage(**tokens)


@cache
def _data_version() -> str:
    return f"genai-prices {version('genai-prices')}"
