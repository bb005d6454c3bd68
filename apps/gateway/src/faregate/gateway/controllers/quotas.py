"""Controller of `/api/quotas` and `/api/alerts`."""

from uuid import UUID

from faregate.analytics.quotas.errors import UnknownQuotaError
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.quotas.values import AlertFilter
from faregate.gateway.http.operation import Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.schemas.quotas import (
    AlertAnswer,
    AlertsQuery,
    QuotaAnswer,
    QuotaBody,
    QuotaCheckQuery,
    QuotasQuery,
    QuotaStatusAnswer,
    alert_answer,
    quota_answer,
    status_answer,
)
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownMeterError

__all__ = ["QuotasController"]


class QuotasController(Controller):
    """Quotas, their status and their alerts over HTTP."""

    def __init__(self, quotas: QuotaService) -> None:
        self._quotas = quotas

    @operation(
        "GET",
        "/api/quotas",
        scope=Scope.USAGE_READ,
        own="owner_id",
        answer=list[QuotaAnswer],
        errors=(UnknownMeterError,),
    )
    async def list_quotas(self, query: QuotasQuery) -> Page:
        """List quotas in the order of their creation."""
        position = position_of(query.cursor, UUID)
        found = await self._quotas.quotas(
            owner_id=query.owner_id,
            meter=query.meter,
            after=position[0] if position else None,
            limit=query.limit,
        )
        cursor = cursor_of(found[-1].id) if len(found) == query.limit else None
        return Page([quota_answer(quota) for quota in found], cursor)

    @operation(
        "PUT",
        "/api/quotas",
        scope=Scope.QUOTAS_WRITE,
        answer=QuotaAnswer,
        errors=(UnknownMeterError,),
        links={
            "read": link("quotas.get_quota", path={"quota_id": "id"}),
            "status": link("quotas.quota_status", path={"quota_id": "id"}),
            "delete": link("quotas.delete_quota", path={"quota_id": "id"}),
        },
        rehearsable=True,
    )
    async def put_quota(self, body: QuotaBody) -> QuotaAnswer:
        """Set the quota of an owner for a meter and a period.

        Setting the same quota again changes nothing; with another limit its alerts may fire again. Once a hard quota is used
        up, the start of uses is refused (`quota_exceeded`); any other quota only fires alerts.
        """
        return quota_answer(await self._quotas.put(body.spec()))

    @operation(
        "GET",
        "/api/quotas/check",
        scope=Scope.USAGE_READ,
        own="owner_id",
        answer=list[QuotaStatusAnswer],
        errors=(UnknownMeterError,),
    )
    async def check_quotas(self, query: QuotaCheckQuery) -> Reply:
        """Return the current status of an owner's quotas, for all meters or for one; fires no alert."""
        found = await self._quotas.check_owner(query.owner_id, query.meter)
        return Reply([status_answer(status).model_dump() for status in found])

    @operation("GET", "/api/quotas/{quota_id}", scope=Scope.USAGE_READ, answer=QuotaAnswer, errors=(UnknownQuotaError,))
    async def get_quota(self, quota_id: UUID) -> QuotaAnswer:
        """Return one quota."""
        return quota_answer(await self._quotas.get(quota_id))

    @operation(
        "DELETE",
        "/api/quotas/{quota_id}",
        scope=Scope.QUOTAS_WRITE,
        errors=(UnknownQuotaError,),
        rehearsable=True,
    )
    async def delete_quota(self, quota_id: UUID) -> dict[str, str]:
        """Delete a quota and its alerts."""
        await self._quotas.remove(quota_id)
        return {"id": str(quota_id)}

    @operation(
        "GET",
        "/api/quotas/{quota_id}/status",
        scope=Scope.USAGE_READ,
        answer=QuotaStatusAnswer,
        errors=(UnknownQuotaError,),
    )
    async def quota_status(self, quota_id: UUID) -> QuotaStatusAnswer:
        """Return the use so far, and when the quota will run out at the current pace."""
        return status_answer(await self._quotas.status(quota_id))

    @operation(
        "GET",
        "/api/alerts",
        scope=Scope.USAGE_READ,
        own="owner_id",
        answer=list[AlertAnswer],
        errors=(UnknownMeterError,),
    )
    async def list_alerts(self, query: AlertsQuery) -> Page:
        """List the fired alerts, latest first, with their deliveries."""
        position = position_of(query.cursor, UUID)
        wanted = AlertFilter(
            owner_id=query.owner_id,
            quota_id=query.quota_id,
            meter=query.meter,
            level=query.level,
            since=query.since,
            until=query.until,
            limit=query.limit,
            before=position[0] if position else None,
        )
        found = await self._quotas.alerts(wanted)
        cursor = cursor_of(found[-1].id) if len(found) == query.limit else None
        return Page([alert_answer(alert) for alert in found], cursor)
