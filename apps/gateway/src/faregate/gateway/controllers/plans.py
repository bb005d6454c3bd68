"""Controller of `/api/plans`: features, terms and recurring credits of subscribers."""

from faregate.core.errors import InvalidError
from faregate.gateway.http.operation import Call, Controller, Page, link, operation
from faregate.gateway.schemas.features import DeletedAnswer
from faregate.gateway.schemas.prices import PlanAnswer, plan_answer
from faregate.gateway.security.auth import Scope
from faregate.usage.errors import UnknownPlanError
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.features.documents import PlanDocument

__all__ = ["PlansController"]


class PlansController(Controller):
    """Plans over HTTP."""

    def __init__(self, catalog: FeatureCatalog) -> None:
        self._catalog = catalog

    @operation("GET", "/api/plans", scope=Scope.USAGE_READ, answer=list[PlanAnswer])
    async def list_plans(self) -> Page:
        """List all plans."""
        plans = (await self._catalog.current()).plans
        return Page([plan_answer(plans[key]) for key in sorted(plans)])

    @operation("GET", "/api/plans/{key}", scope=Scope.USAGE_READ, answer=PlanAnswer, errors=(UnknownPlanError,))
    async def get_plan(self, key: str) -> PlanAnswer:
        """Return one plan."""
        plans = (await self._catalog.current()).plans
        if key not in plans:
            raise UnknownPlanError(key, plans)
        return plan_answer(plans[key])

    @operation(
        "PUT",
        "/api/plans/{key}",
        scope=Scope.FEATURES_WRITE,
        answer=PlanAnswer,
        links={
            "read": link("plans.get_plan", path={"key": "key"}),
            "delete": link("plans.delete_plan", path={"key": "key"}),
            "subscribe": link("wallets.put_wallet", body={"plan": "key"}),
        },
        rehearsable=True,
    )
    async def put_plan(self, call: Call, key: str, body: PlanDocument) -> PlanAnswer:
        """Define a plan; its terms apply from the next start on, its grants to new subscribers."""
        if body.key is not None and body.key != key:
            raise InvalidError(f"key must be {key!r}, as in the path, or left out", param="key")
        return plan_answer(await self._catalog.save_plan(body.plan(key), actor=call.principal.id))

    @operation(
        "DELETE",
        "/api/plans/{key}",
        scope=Scope.FEATURES_WRITE,
        answer=DeletedAnswer,
        errors=(UnknownPlanError,),
        rehearsable=True,
    )
    async def delete_plan(self, call: Call, key: str) -> DeletedAnswer:
        """Delete a plan; its subscribers keep the grants already made."""
        await self._catalog.delete_plan(key, actor=call.principal.id)
        return DeletedAnswer(key=key)
