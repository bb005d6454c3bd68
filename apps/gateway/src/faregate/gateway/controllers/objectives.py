"""Controller of `/api/objectives`."""

from faregate.analytics.insights.errors import UnknownObjectiveError
from faregate.analytics.insights.operations.objectives.service import ObjectiveService
from faregate.core.errors import InvalidError
from faregate.core.values.fields import ExternalId
from faregate.gateway.http.operation import Controller, Reply, link, operation
from faregate.gateway.schemas.objectives import ObjectiveAnswer, ObjectiveBody, objective_answer
from faregate.gateway.security.auth import Scope

__all__ = ["ObjectivesController"]

_READ, _WRITE = Scope.ANALYTICS_READ, Scope.QUOTAS_WRITE


class ObjectivesController(Controller):
    """Service-level objectives over HTTP. The worker measures them every minute."""

    def __init__(self, objectives: ObjectiveService) -> None:
        self._objectives = objectives

    @operation(
        "GET",
        "/api/objectives",
        scope=_READ,
        answer=list[ObjectiveAnswer],
        links={"read": link("objectives.get_objective", path={"name": "0/name"})},
    )
    async def list_objectives(self) -> Reply:
        """List the objectives by name, each with its error budget, its burn rates and its newest alerts."""
        found = await self._objectives.objectives()
        return Reply([objective_answer(status).model_dump() for status in found])

    @operation("GET", "/api/objectives/{name}", scope=_READ, answer=ObjectiveAnswer, errors=(UnknownObjectiveError,))
    async def get_objective(self, name: ExternalId) -> ObjectiveAnswer:
        """Return one objective with its error budget, its burn rates and its newest alerts."""
        return objective_answer(await self._objectives.objective(name))

    @operation(
        "PUT",
        "/api/objectives/{name}",
        scope=_WRITE,
        answer=ObjectiveAnswer,
        errors=(InvalidError,),
        links={
            "read": link("objectives.get_objective", path={"name": "name"}),
            "delete": link("objectives.delete_objective", path={"name": "name"}),
        },
        rehearsable=True,
    )
    async def put_objective(self, name: ExternalId, body: ObjectiveBody) -> ObjectiveAnswer:
        """Declare an objective of availability or latency, or change it, and measure it.

        It is about all use, a service, a feature or a model. Alerts go out by the channels of quota alerts, once until the budget
        no longer burns too fast.
        """
        return objective_answer(await self._objectives.put(body.spec(name)))

    @operation("DELETE", "/api/objectives/{name}", scope=_WRITE, errors=(UnknownObjectiveError,), rehearsable=True)
    async def delete_objective(self, name: ExternalId) -> dict[str, str]:
        """Delete an objective and its alerts."""
        await self._objectives.remove(name)
        return {"name": name}
