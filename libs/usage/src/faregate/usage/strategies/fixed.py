"""Fixed price for each use.

Models are recorded at their cost.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faregate.usage.strategies.parameters import Amount, Parameters, checked
from faregate.usage.values import Price, Use

__all__ = ["FixedStrategy", "GenerateQuestionPaperStrategy"]


class FixedParameters(Parameters):
    """`credits`: what one use costs."""

    credits: Amount


class FixedStrategy:
    """Each use costs the feature's parameter `credits`."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(FixedParameters, parameters).model_dump()

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        lines = tuple(use.prices.cost_line(usage, at=use.at) for usage in use.usages)
        return Price(Decimal(use.feature.parameters["credits"]), lines)


class GenerateQuestionPaperStrategy:
    """A question paper costs 5 credits."""

    CREDITS = Decimal(5)

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(Parameters, parameters).model_dump()

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        return Price(self.CREDITS, tuple(use.prices.cost_line(usage, at=use.at) for usage in use.usages))
