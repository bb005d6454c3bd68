"""Meters: named quantities with a unit, conversions and prices.

Pure.
"""

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
        unit: the unit of the meter; quantities in another unit of `factors` are converted exactly.
        aggregation: how the meter's value follows from quantities: their sum, their number, the largest, the number of
            different users, or the latest.
        unit_price_usd: the price of one unit; None if the meter is not sold by the unit.
    """

    name: str
    unit: str
    aggregation: Aggregation = "sum"
    unit_price_usd: Decimal | None = None
    factors: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    description: str = ""

    def price(self, value: Decimal) -> Decimal | None:
        """Return the exact price of `value` units in USD; None if the meter is not sold by the unit."""
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
"""The meters that need no declaration; their prices are defaults that operators replace."""


def in_unit_of(meter: Meter, quantity: Decimal, unit: str | None) -> Decimal:
    """Return `quantity` of `unit` converted exactly to the meter's unit.

    Raises:
        InvalidError: the meter does not convert from `unit`; the text lists the units that it does.
    """
    if unit is None or unit == meter.unit:
        return quantity
    factor = meter.factors.get(unit)
    if factor is None:
        known = ", ".join([meter.unit, *meter.factors])
        raise InvalidError(f"{meter.name} is not measured in {unit!r}; its units are {known}", param="unit")
    return quantity * factor
