"""What the models cost, plus margin, in credits."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faregate.usage.strategies.parameters import Parameters, checked
from faregate.usage.values import ModelUsage, Price, UsageLine, Use

__all__ = ["TokenPricedStrategy"]


class TokenPricedStrategy:
    """Each line costs its provider price plus margin; with an unpriced line, at least the feature's minimum is charged."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(Parameters, parameters).model_dump()

    def estimate(self, use: Use) -> Price:
        return self._sum(use)

    def price(self, use: Use) -> Price:
        price = self._sum(use)
        if price.unpriced_models:
            return Price(max(price.credits, use.feature.min_credits), price.lines)
        return price

    def _sum(self, use: Use) -> Price:
        lines = tuple(self._line(use, usage) for usage in use.usages)
        return Price(sum((line.credits for line in lines), Decimal(0)), lines)

    def _line(self, use: Use, usage: ModelUsage) -> UsageLine:
        feature = use.feature
        return use.prices.line(
            usage, at=use.at, feature_margin=feature.margin_percent, default_margin=feature.default_margin_percent
        )
