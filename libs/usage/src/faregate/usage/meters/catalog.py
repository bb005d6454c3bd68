"""Catalog of meters: the built-in ones and those declared."""

import re
from collections.abc import Mapping
from typing import Any

from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.usage.errors import UnknownMeterError
from faregate.usage.meters.meter import BUILT_IN, Aggregation, Meter
from faregate.usage.meters.sql import ALL, PUT

__all__ = ["MeterCatalog"]


_NAME = re.compile(r"[A-Za-z0-9._:/@ -]{1,100}")
_AGGREGATIONS: tuple[Aggregation, ...] = ("sum", "count", "max", "unique", "latest")


class MeterCatalog:
    """Declares and finds meters. An event may name a meter that is not declared: its quantities are then summed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def declare(self, meter: Meter) -> None:
        """Declare a meter, or change its declaration; the new declaration also applies to quantities recorded before.

        Raises:
            InvalidError: the name is not allowed in events, the aggregation is unknown, the unit of a built-in meter
                differs, or the price is not a number from 0.
        """
        if meter.aggregation not in _AGGREGATIONS:
            raise InvalidError(f"aggregation must be one of {', '.join(_AGGREGATIONS)}", param="aggregation")
        built_in = BUILT_IN.get(meter.name)
        if built_in is not None and meter.unit != built_in.unit:
            raise InvalidError(
                f"{meter.name} is measured in {built_in.unit}; declare a meter of your own", param="unit"
            )
        if not _NAME.fullmatch(meter.name):
            raise InvalidError("a meter's name is 1 to 100 of A-Z a-z 0-9 . _ : / @ - and spaces", param="name")
        if meter.unit_price_usd is not None and not (meter.unit_price_usd.is_finite() and meter.unit_price_usd >= 0):
            raise InvalidError("unit_price_usd must be a number from 0", param="unit_price_usd")
        values: dict[str, Any] = {"name": meter.name, "unit": meter.unit, "aggregation": meter.aggregation}
        values |= {"unit_price_usd": meter.unit_price_usd, "description": meter.description}
        async with self._database.transaction() as session:
            await self._database.rows(session, PUT, **values)

    async def all(self) -> Mapping[str, Meter]:
        """Return all meters by name."""
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(session, ALL)
        return {**BUILT_IN, **{row.name: _meter(row) for row in rows}}

    async def get(self, name: str) -> Meter:
        """Return one meter, or raise `UnknownMeterError`."""
        meters = await self.all()
        if name not in meters:
            raise UnknownMeterError(name, meters)
        return meters[name]


def _meter(row: Any) -> Meter:
    factors = BUILT_IN[row.name].factors if row.name in BUILT_IN else dict[str, Any]()
    return Meter(row.name, row.unit, row.aggregation, row.unit_price_usd, factors, row.description or "")
