"""Controller of incidents, their refunds, and capacity."""

from uuid import UUID

from faregate.analytics.insights.errors import UnknownIncidentError
from faregate.analytics.insights.operations.capacity.service import CapacityService
from faregate.analytics.insights.operations.incidents.refunds import IncidentRefunds
from faregate.analytics.insights.operations.incidents.service import IncidentService
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, KeyConflictError, MissingExtraError
from faregate.gateway.http.operation import Audit, Call, Controller, link, operation
from faregate.gateway.schemas.insights import insight_answer
from faregate.gateway.schemas.operations import (
    CapacityAnswer,
    CapacityQuery,
    IncidentAnswer,
    IncidentQuery,
    IncidentRefundsAnswer,
    IncidentRefundsBody,
    capacity_answer,
    refunds_answer,
)
from faregate.gateway.security.auth import Scope

__all__ = ["OperationsController"]

_READ = Scope.ANALYTICS_READ
_ASKED = (InvalidError, MissingExtraError)
_AT_ONCE = 4


class OperationsController(Controller):
    """Insights for those who operate the deployment."""

    def __init__(
        self, incidents: IncidentService, refunds: IncidentRefunds, capacity: CapacityService, clock: IClock
    ) -> None:
        self._incidents = incidents
        self._refunds = refunds
        self._capacity = capacity
        self._clock = clock

    @operation(
        "GET",
        "/api/analytics/incident",
        scope=_READ,
        answer=IncidentAnswer,
        errors=_ASKED,
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
        links={"refund": link("analytics.refund_incident", path={"incident_id": "id"})},
    )
    async def incident(self, query: IncidentQuery) -> IncidentAnswer:
        """Return what changed in a span of time, whom it hit, what it cost, and the uses to give back.

        The span is compared with those of equal length before and after it, and with the same one a week before. Nothing is
        booked: `POST /api/analytics/incidents/{incident_id}/refunds` with the `id` of this answer refunds the listed uses.
        """
        question = query.question(now=self._clock.now())
        found = await self._incidents.incident(question, query.give_back(), limit=query.limit, user_id=query.person)
        return insight_answer(IncidentAnswer, found)

    @operation(
        "POST",
        "/api/analytics/incidents/{incident_id}/refunds",
        scope=Scope.WALLETS_WRITE,
        answer=IncidentRefundsAnswer,
        status=201,
        idempotent=False,
        errors=(UnknownIncidentError, KeyConflictError, InvalidError),
        rehearsable=True,
    )
    async def refund_incident(self, call: Call, incident_id: UUID, body: IncidentRefundsBody) -> IncidentRefundsAnswer:
        """Refund the uses that an incident lists, `limit` of them from place `first` on.

        Each use is given back once, however often the call is repeated. What was refunded otherwise meanwhile is skipped, and
        says why.
        """
        done = await self._refunds.refund(
            incident_id, actor=call.principal.id, reason=body.reason, first=body.first, limit=body.limit
        )
        return refunds_answer(done)

    @operation(
        "GET", "/api/analytics/capacity", scope=_READ, answer=CapacityAnswer, errors=_ASKED, concurrency=_AT_ONCE
    )
    async def capacity(self, query: CapacityQuery) -> CapacityAnswer:
        """Return what a request costs the database in bytes, rows and time, its growth, and when it reaches `limitBytes`.

        All of it is measured from PostgreSQL's own statistics; the worker keeps one result a day.
        """
        return capacity_answer(await self._capacity.capacity(query.timezone), query.limitBytes)
