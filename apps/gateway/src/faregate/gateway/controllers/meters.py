"""Controller of `/api/meters` and `/api/analytics/meters`.

The first declares meters, the second returns their readings and costs.
"""

from faregate.analytics.answers.meter_totals import MeterTotals
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, NotFoundError
from faregate.gateway.http.operation import Controller, Reply, link, operation
from faregate.gateway.schemas.analytics_query import MeterTotalsQuery
from faregate.gateway.schemas.meters import (
    MeterAnswer,
    MeterBody,
    MeterName,
    MeterTotalAnswer,
    meter_answer,
    meter_detail_answer,
    meter_total_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownMeterError
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["MetersController"]


class MetersController(Controller):
    """Declarations and readings of meters over HTTP."""

    def __init__(self, meters: MeterCatalog, totals: MeterTotals, clock: IClock) -> None:
        self._meters = meters
        self._totals = totals
        self._clock = clock

    @operation("GET", "/api/meters", scope=Scope.USAGE_READ, answer=list[MeterAnswer])
    async def list_meters(self) -> Reply:
        """List the built-in and declared meters, by name."""
        meters = await self._meters.all()
        return Reply([meter_answer(meters[name]).model_dump() for name in sorted(meters)])

    @operation("GET", "/api/meters/{name:path}", scope=Scope.USAGE_READ, answer=MeterAnswer, errors=(NotFoundError,))
    async def get_meter(self, name: MeterName) -> MeterAnswer:
        """Return one meter."""
        return meter_answer(await self._meters.get(name))

    @operation(
        "PUT",
        "/api/meters/{name:path}",
        scope=Scope.QUOTAS_WRITE,
        answer=MeterAnswer,
        errors=(InvalidError,),
        links={"read": link("meters.get_meter", path={"name": "name"})},
        rehearsable=True,
    )
    async def put_meter(self, name: MeterName, body: MeterBody) -> MeterAnswer:
        """Declare a meter, or change one: its unit, how it is read, and what a unit costs.

        Earlier events are read by the new declaration, too. A built-in meter keeps its unit.
        """
        await self._meters.declare(body.meter(name))
        return meter_answer(await self._meters.get(name))

    @operation(
        "GET",
        "/api/analytics/meters",
        scope=Scope.ANALYTICS_READ,
        answer=list[MeterTotalAnswer],
        errors=(InvalidError, UnknownMeterError),
    )
    async def meter_totals(self, query: MeterTotalsQuery) -> Reply:
        """Return the reading of each meter, by its declaration, and its cost at the price of its unit."""
        question = query.question(now=self._clock.now())
        if query.detailed:
            details = await self._totals.details(question)
            return Reply([meter_detail_answer(detail).model_dump() for detail in details])
        totals = await self._totals.totals(question)
        return Reply([meter_total_answer(total).model_dump() for total in totals])
