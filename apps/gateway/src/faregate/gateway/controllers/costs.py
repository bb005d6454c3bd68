"""Controller of returns on cost, savings and what-if calculations."""

from faregate.analytics.insights.costs.service import CostService
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, MissingExtraError
from faregate.gateway.http.operation import Audit, Controller, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.costs import ReturnsAnswer, ReturnsQuery, SavingsAnswer, WhatIfAnswer, WhatIfBody
from faregate.gateway.schemas.insights import insight_answer
from faregate.gateway.schemas.insights_query import InsightQuery
from faregate.gateway.security.auth import Scope

__all__ = ["CostsController"]

_READ = Scope.ANALYTICS_READ
_ASKED = (InvalidError, MissingExtraError)
_AT_ONCE = 4
"""An insight with filters is computed when it is first asked for, which takes seconds of a processor."""


class CostsController(Controller):
    """Insights about money over HTTP. The worker makes those without filters every night."""

    def __init__(self, costs: CostService, clock: IClock) -> None:
        self._costs = costs
        self._clock = clock

    @operation(
        "GET",
        "/api/analytics/returns",
        scope=_READ,
        answer=ReturnsAnswer,
        errors=_ASKED,
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
    )
    async def returns(self, query: ReturnsQuery) -> ReturnsAnswer:
        """Return what each feature, plan or user brought beyond its provider cost in the last 28 days, the lowest first.

        Uses with a call without a price stand apart. `model`, `provider` and `meter` are no filters here.
        """
        question = query.question(now=self._clock.now())
        insight = await self._costs.returns(question, query.by, limit=query.limit, user_id=query.person)
        return insight_answer(ReturnsAnswer, insight)

    @operation("GET", "/api/analytics/savings", scope=_READ, answer=SavingsAnswer, errors=_ASKED, concurrency=_AT_ONCE)
    async def savings(self, query: InsightQuery) -> SavingsAnswer:
        """Return what the lines of the last 28 days could have cost: with cached input, a cheaper model, or the batch tier.

        Filters are feature, model, provider, user and organisation.
        """
        return insight_answer(SavingsAnswer, await self._costs.savings(query.question(now=self._clock.now())))

    @operation(
        "POST",
        "/api/analytics/what-if",
        scope=_READ,
        answer=WhatIfAnswer,
        errors=_ASKED,
        concurrency=_AT_ONCE,
        audit=Audit.NEVER,
        personal=Personal.NONE,
    )
    async def what_if(self, body: WhatIfBody) -> WhatIfAnswer:
        """Return what the settled uses of a range would have cost and brought under other margins, prices or plans.

        Every line is priced again, exactly; nothing is changed. The most specific margin counts; lines without one keep theirs.
        """
        insight = await self._costs.what_if(body.question(now=self._clock.now()), body.proposal())
        return insight_answer(WhatIfAnswer, insight)
