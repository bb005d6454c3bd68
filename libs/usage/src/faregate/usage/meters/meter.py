"""Meters: named quantities with a unit, what they convert from, and what a unit costs by default. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from faregate.core.errors import InvalidError

__all__ = ["BUILT_IN", "Aggregation", "Meter", "in_unit_of"]

Aggregation = Literal["sum", "count", "max", "unique", "latest"]


@dataclass(frozen=True, slots=True)
class Meter:
    """A named quantity.

    Attributes:
        unit: what one of it is; events in another unit of `factors` are converted, exactly.
        aggregation: how quantities make the meter's value: their sum, how many there are, the highest, how many
            different users, or the last one.
        unit_price_usd: what one unit costs; None where it is not sold by the unit.
    """

    name: str
    unit: str
    aggregation: Aggregation = "sum"
    unit_price_usd: Decimal | None = None
    factors: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    description: str = ""

    def price(self, value: Decimal) -> Decimal | None:
        """Return what `value` units cost in USD, exactly; None where the meter is not sold by the unit."""
        return None if self.unit_price_usd is None else value * self.unit_price_usd


_GIB = Decimal("1.073741824")

BUILT_IN: Mapping[str, Meter] = {
    meter.name: meter
    for meter in (
        Meter("api", "request", unit_price_usd=Decimal("0.0001"), description="calls of the product's API"),
        Meter(
            "storage",
            "GB-hour",
            unit_price_usd=Decimal("0.0001"),
            factors={
                "MB-hour": Decimal("0.001"),
                "TB-hour": Decimal(1000),
                "GiB-hour": _GIB,
                "GB-day": Decimal(24),
                "GB-month": Decimal(730),
            },
            description="data kept, by size and time; a month is 730 hours",
        ),
        Meter(
            "bandwidth",
            "GB",
            unit_price_usd=Decimal("0.09"),
            factors={
                "B": Decimal("0.000000001"),
                "KB": Decimal("0.000001"),
                "MB": Decimal("0.001"),
                "TB": Decimal(1000),
                "GiB": _GIB,
            },
            description="data sent",
        ),
        Meter(
            "compute",
            "CPU-second",
            unit_price_usd=Decimal("0.00001"),
            factors={"CPU-millisecond": Decimal("0.001"), "CPU-minute": Decimal(60), "CPU-hour": Decimal(3600)},
            description="processor time",
        ),
        Meter("database", "query", unit_price_usd=Decimal("0.00001"), description="queries of the product's database"),
        Meter("functions", "invocation", unit_price_usd=Decimal("0.0000002"), description="calls of functions"),
    )
}
"""The meters that need no declaration; the prices are starting points, made to be replaced."""


def in_unit_of(meter: Meter, quantity: Decimal, unit: str | None) -> Decimal:
    """Return `quantity` of `unit` in the meter's own unit, exactly.

    Raises:
        InvalidError: the meter does not convert from `unit`; the text lists what it does convert from.
    """
    if unit is None or unit == meter.unit:
        return quantity
    factor = meter.factors.get(unit)
    if factor is None:
        known = ", ".join([meter.unit, *meter.factors])
        raise InvalidError(f"{meter.name} is not measured in {unit!r}; known are {known}", param="unit")
    return quantity * factor
