"""Controller of `/api/analytics/budgets`: quotas and spending limits beside their use."""

from decimal import Decimal

from faregate.analytics.quotas.service import QuotaService
from faregate.credit.services.bookkeeping import Bookkeeping
from faregate.gateway.http.operation import Audit, Controller, Reply, operation
from faregate.gateway.schemas.budgets import BudgetAnswer, BudgetsQuery, limit_budget, quota_budget
from faregate.gateway.security.auth import Scope

__all__ = ["BudgetsController"]


class BudgetsController(Controller):
    """Budgets over HTTP."""

    def __init__(self, quotas: QuotaService, books: Bookkeeping) -> None:
        self._quotas = quotas
        self._books = books

    @operation(
        "GET", "/api/analytics/budgets", scope=Scope.WALLETS_READ, answer=list[BudgetAnswer], audit=Audit.PERSONAL
    )
    async def list_budgets(self, query: BudgetsQuery) -> Reply:
        """List quotas and spending limits of users, members and API keys, those that are nearest to their end first."""
        quotas = [quota_budget(status) for status in await self._quotas.all_statuses()]
        limits = [limit_budget(owned) for owned in await self._books.all_limits()]
        found = sorted([*quotas, *limits], key=lambda budget: -(budget.percent or Decimal(0)))
        return Reply(found[: query.limit])
