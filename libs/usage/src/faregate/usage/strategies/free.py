"""Nothing, but recorded at its cost."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faregate.usage.strategies.parameters import Parameters, checked
from faregate.usage.values import Price, Use

__all__ = ["FreeStrategy"]


class FreeStrategy:
    """Each use costs nothing."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(Parameters, parameters).model_dump()

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        return Price(Decimal(0), tuple(use.prices.cost_line(usage, at=use.at) for usage in use.usages))
