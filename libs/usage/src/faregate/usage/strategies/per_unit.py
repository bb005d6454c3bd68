"""So much for each image, second, character, call."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from faregate.usage.pricing.rounding import rounded_up
from faregate.usage.strategies.parameters import Amount, Parameters, UnitName, checked
from faregate.usage.strategies.quantities import quantities_in, unit_line, unpriced_unit_line
from faregate.usage.values import Price, UsageLine, Use

__all__ = ["PerUnitStrategy"]

_NOTHING = Decimal(0)


class PerUnitParameters(Parameters):
    """`units`: the credits that one of each unit costs; an explicit 0 is a price."""

    units: Annotated[dict[UnitName, Amount], Field(min_length=1, max_length=50)]


class PerUnitStrategy:
    """Each unit costs what the feature says, rounded up to the quantum per line; models are recorded at their cost."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(PerUnitParameters, parameters).model_dump()

    def estimate(self, use: Use) -> Price:
        return self._sum(use)

    def price(self, use: Use) -> Price:
        price = self._sum(use)
        credits = max(price.credits, use.feature.min_credits) if price.unpriced_models else price.credits
        return Price(credits, price.lines)

    def _sum(self, use: Use) -> Price:
        units: Mapping[str, Any] = use.feature.parameters["units"]
        lines = [self._unit(use, unit, Decimal(credits)) for unit, credits in units.items()]
        for usage in use.usages:
            if usage.model is not None and usage.unit is None:
                lines.append(use.prices.cost_line(usage, at=use.at))
            elif usage.unit not in units:
                lines.append(unpriced_unit_line(usage, use.prices))
        kept = tuple(line for line in lines if line is not None)
        return Price(sum((line.credits for line in kept), _NOTHING), kept)

    def _unit(self, use: Use, unit: str, credits: Decimal) -> UsageLine | None:
        quantity = quantities_in(use, unit)
        if not quantity:
            return None
        return unit_line(unit, quantity, rounded_up(quantity * credits, use.prices.policy.quantum), use.prices)
