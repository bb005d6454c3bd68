"""Prices that depend on how much one use takes: graduated, volume, package."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, model_validator

from faregate.usage.pricing import tiers
from faregate.usage.pricing.rounding import rounded_up
from faregate.usage.strategies.parameters import Amount, Parameters, UnitName, checked
from faregate.usage.strategies.quantities import CALLS, quantities_in, unit_line, unpriced_unit_line
from faregate.usage.values import Price, Use

__all__ = ["GraduatedStrategy", "PackageStrategy", "VolumeStrategy"]

_NOTHING = Decimal(0)


class TierParameters(Parameters):
    """Up to `up_to` (left out in the last tier): `credits` each, and `flat` once."""

    up_to: Annotated[Amount, Field(gt=0)] | None = None
    credits: Amount = _NOTHING
    flat: Amount = _NOTHING


class TieredParameters(Parameters):
    """`unit`: what is counted; `tiers`: ascending, the last one without an end."""

    unit: UnitName = CALLS
    tiers: Annotated[list[TierParameters], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _check_order(self) -> "TieredParameters":
        ends = [tier.up_to for tier in self.tiers]
        if ends[-1] is not None or None in ends[:-1]:
            raise ValueError("the last tier, and only it, must have no up_to")
        given = [end for end in ends if end is not None]
        if sorted(set(given)) != given:
            raise ValueError("up_to must rise from tier to tier")
        return self


class PackageParameters(Parameters):
    """`size` of `unit` cost `credits`, started ones count; `free` of them cost nothing."""

    unit: UnitName = CALLS
    size: Annotated[Amount, Field(gt=0)]
    credits: Amount
    free: Amount = _NOTHING


class _QuantityStrategy:
    """What the three share: one unit, its quantity, one line; models are recorded at their cost."""

    PARAMETERS: type[Parameters]

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(self.PARAMETERS, parameters).model_dump(exclude_none=True)

    def estimate(self, use: Use) -> Price:
        return self._sum(use)

    def price(self, use: Use) -> Price:
        price = self._sum(use)
        credits = max(price.credits, use.feature.min_credits) if price.unpriced_models else price.credits
        return Price(credits, price.lines)

    def credits_for(self, quantity: Decimal, parameters: Mapping[str, Any]) -> Decimal:
        raise NotImplementedError

    def _sum(self, use: Use) -> Price:
        parameters = use.feature.parameters
        unit: str = parameters["unit"]
        quantity = quantities_in(use, unit)
        credits = rounded_up(self.credits_for(quantity, parameters), use.prices.policy.quantum)
        lines = [unit_line(unit, quantity, credits, use.prices)]
        for usage in use.usages:
            if usage.model is not None and usage.unit is None:
                lines.append(use.prices.cost_line(usage, at=use.at))
            elif usage.unit != unit:
                lines.append(unpriced_unit_line(usage, use.prices))
        return Price(credits, tuple(lines))


class GraduatedStrategy(_QuantityStrategy):
    """Each part of the quantity costs what its own tier says."""

    PARAMETERS = TieredParameters

    def credits_for(self, quantity: Decimal, parameters: Mapping[str, Any]) -> Decimal:
        return tiers.graduated(quantity, _tiers(parameters))


class VolumeStrategy(_QuantityStrategy):
    """The tier that the whole quantity falls into prices all of it."""

    PARAMETERS = TieredParameters

    def credits_for(self, quantity: Decimal, parameters: Mapping[str, Any]) -> Decimal:
        return tiers.volume(quantity, _tiers(parameters))


class PackageStrategy(_QuantityStrategy):
    """Started packages, each at the same price."""

    PARAMETERS = PackageParameters

    def credits_for(self, quantity: Decimal, parameters: Mapping[str, Any]) -> Decimal:
        size, credits, free = (Decimal(parameters[name]) for name in ("size", "credits", "free"))
        return tiers.packages(quantity, size=size, credits=credits, free=free)


def _tiers(parameters: Mapping[str, Any]) -> list[tiers.Tier]:
    return [
        tiers.Tier(
            up_to=Decimal(tier["up_to"]) if tier.get("up_to") is not None else None,
            credits=Decimal(tier["credits"]),
            flat=Decimal(tier["flat"]),
        )
        for tier in parameters["tiers"]
    ]
