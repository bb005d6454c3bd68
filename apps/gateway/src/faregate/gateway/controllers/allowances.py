"""Controller of `/api/analytics/allowances`: quotas and spending limits beside their use."""

from decimal import Decimal

from faregate.analytics.quotas.service import QuotaService
from faregate.credit.services.bookkeeping import Bookkeeping
from faregate.gateway.http.operation import Audit, Controller, Reply, operation
from faregate.gateway.schemas.allowances import AllowanceAnswer, AllowancesQuery, limit_allowance, quota_allowance
from faregate.gateway.security.auth import Scope

__all__ = ["AllowancesController"]


class AllowancesController(Controller):
    """Allowances over HTTP."""

    def __init__(self, quotas: QuotaService, books: Bookkeeping) -> None:
        self._quotas = quotas
        self._books = books

    @operation(
        "GET", "/api/analytics/allowances", scope=Scope.WALLETS_READ, answer=list[AllowanceAnswer], audit=Audit.PERSONAL
    )
    async def list_allowances(self, query: AllowancesQuery) -> Reply:
        """List quotas and spending limits of users, members and API keys, those that are nearest to their end first."""
        quotas = [quota_allowance(status) for status in await self._quotas.all_statuses()]
        limits = [limit_allowance(owned) for owned in await self._books.all_limits()]
        found = sorted([*quotas, *limits], key=lambda each: -(each.percent or Decimal(0)))
        return Reply(found[: query.limit])
