"""`faregate usage meters`: meters with their units, aggregations and prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from faregate.cli.shared.analytics_options import Shape, tell
from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Output, decimal_of
from faregate.cli.shared.output import print_done
from faregate.cli.shared.session import with_library
from faregate.usage.meters.meter import Aggregation, Meter

if TYPE_CHECKING:
    from faregate.worker.container import WorkerContainer

__all__ = ["meters"]

meters = App(name="meters", help="Declare meters, and list them.")


async def _meter(lib: WorkerContainer, asked: Mapping[str, Any]) -> object:
    return await lib.meters().get(asked["name"])


@meters.command(name="list")
def list_meters(*, output: Shape = "table") -> None:
    """List the meters, built in and declared."""
    found = with_library(lambda lib: lib.meters().all())
    rows = [
        (meter.name, meter.unit, meter.aggregation, meter.unit_price_usd, meter.description)
        for _, meter in sorted(found.items())
    ]
    tell(output, "Meters", ["name", "unit", "aggregation", "unit price (USD)", "description"], rows)


@meters.command
@audited("meters.put_meter", target=("name",), look=_meter)
def declare(
    name: str,
    unit: Annotated[str, Parameter(help="The unit of a quantity, such as seat or GB.")],
    *,
    aggregation: Annotated[
        Aggregation, Parameter(help="How quantities are aggregated into the meter's value.")
    ] = "sum",
    price: Annotated[str | None, Parameter(help="Price of one unit in USD.")] = None,
    description: str = "",
    output: Output = "table",
) -> None:
    """Declare a meter, or change one; events recorded before are read by the new declaration."""
    price_usd = decimal_of(price, param="price") if price is not None else None
    meter = Meter(name, unit, aggregation, price_usd, description=description)
    with_library(lambda lib: lib.meters().declare(meter))
    print_done(f"{name}: {aggregation} of {unit}" + (f", {price} USD each" if price else ""), asdict(meter), output)
