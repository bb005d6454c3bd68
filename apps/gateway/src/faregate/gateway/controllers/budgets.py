"""Controller of `/api/budgets`."""

from faregate.analytics.insights.budgets.service import BudgetService
from faregate.analytics.insights.errors import UnknownBudgetError
from faregate.core.errors import InvalidError
from faregate.gateway.http.operation import Controller, Page, link, operation
from faregate.gateway.schemas.budgets import BudgetAnswer, BudgetBody, budget_answer
from faregate.gateway.security.auth import Scope

__all__ = ["BudgetsController"]


class BudgetsController(Controller):
    """Budgets over HTTP. They refuse no use: quotas do."""

    def __init__(self, budgets: BudgetService) -> None:
        self._budgets = budgets

    @operation("GET", "/api/budgets", scope=Scope.ANALYTICS_READ, answer=list[BudgetAnswer])
    async def list_budgets(self) -> Page:
        """List the budgets by name, each with its use so far, its burn and its outlook."""
        return Page([budget_answer(status) for status in await self._budgets.statuses()])

    @operation(
        "GET",
        "/api/budgets/{name}",
        scope=Scope.ANALYTICS_READ,
        answer=BudgetAnswer,
        errors=(UnknownBudgetError,),
    )
    async def get_budget(self, name: str) -> BudgetAnswer:
        """Return one budget with its use so far, its burn and its outlook."""
        return budget_answer(await self._budgets.status(name))

    @operation(
        "PUT",
        "/api/budgets/{name}",
        scope=Scope.QUOTAS_WRITE,
        answer=BudgetAnswer,
        errors=(InvalidError,),
        links={
            "read": link("budgets.get_budget", path={"name": "name"}),
            "delete": link("budgets.delete_budget", path={"name": "name"}),
        },
        rehearsable=True,
    )
    async def put_budget(self, name: str, body: BudgetBody) -> BudgetAnswer:
        """Declare a budget of the business, a feature, a model or an organisation, or change it.

        The worker checks budgets every hour; each threshold alerts once in a period, by the channels of quota alerts. With another
        amount its alerts may fire again.
        """
        await self._budgets.put(body.spec(name))
        return budget_answer(await self._budgets.status(name))

    @operation(
        "DELETE", "/api/budgets/{name}", scope=Scope.QUOTAS_WRITE, errors=(UnknownBudgetError,), rehearsable=True
    )
    async def delete_budget(self, name: str) -> dict[str, str]:
        """Delete a budget and its alerts."""
        await self._budgets.remove(name)
        return {"name": name}
