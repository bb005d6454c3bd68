"""Controller of insights: forecasts, run-outs, anomalies, cohorts, churn, segments, upsell."""

from uuid import UUID

from faregate.analytics.insights.anomalies.service import AnomalyService
from faregate.analytics.insights.customers.service import CustomerService
from faregate.analytics.insights.errors import UnknownAnomalyError, UnknownSegmentError
from faregate.analytics.insights.forecasting.service import ForecastService
from faregate.analytics.insights.run_outs.service import RunOutService
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, MissingExtraError
from faregate.core.values.fields import ExternalId
from faregate.gateway.http.operation import Audit, Call, Controller, Page, Reply, link, operation
from faregate.gateway.schemas.base import cursor_of
from faregate.gateway.schemas.insights import (
    AdoptionAnswer,
    AnomalyAnswer,
    ChurnAnswer,
    CohortsAnswer,
    ForecastAnswer,
    RunOutsAnswer,
    SegmentRuleAnswer,
    SegmentsAnswer,
    UpsellAnswer,
    anomaly_answer,
    insight_answer,
    rule_answer,
)
from faregate.gateway.schemas.insights_query import (
    AnomaliesQuery,
    CohortsQuery,
    ForecastQuery,
    InsightQuery,
    PeopleQuery,
    RunOutsQuery,
    SegmentRuleBody,
    VerdictBody,
)
from faregate.gateway.security.auth import Scope

__all__ = ["InsightsController"]

_READ, _WRITE = Scope.ANALYTICS_READ, Scope.QUOTAS_WRITE
_ASKED = (InvalidError, MissingExtraError)
_AT_ONCE = 4
"""An insight with filters is computed when it is first asked for, which takes seconds of a processor."""


class InsightsController(Controller):
    """Insights over HTTP. The insights without filters are made by the worker; others when they are first asked for."""

    def __init__(
        self,
        forecasts: ForecastService,
        anomalies: AnomalyService,
        customers: CustomerService,
        run_outs: RunOutService,
        clock: IClock,
    ) -> None:
        self._forecasts = forecasts
        self._anomalies = anomalies
        self._customers = customers
        self._run_outs = run_outs
        self._clock = clock

    @operation(
        "GET", "/api/analytics/forecast", scope=_READ, answer=ForecastAnswer, errors=_ASKED, concurrency=_AT_ONCE
    )
    async def forecast(self, query: ForecastQuery) -> ForecastAnswer:
        """Return the forecast of the running period and those after it, with intervals and the back-test on one's own data.

        One made in the same period is returned again.
        """
        question = query.question(now=self._clock.now())
        insight = await self._forecasts.forecast(question, of=query.of, unit=query.groupBy, horizon=query.horizon)
        return insight_answer(ForecastAnswer, insight)

    @operation(
        "GET",
        "/api/analytics/run-outs",
        scope=_READ,
        answer=RunOutsAnswer,
        errors=_ASKED,
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
    )
    async def run_outs(self, query: RunOutsQuery) -> RunOutsAnswer:
        """Return when wallets and quotas run out, the earliest first.

        Each wallet is simulated with its renewals, expiries, automatic top-ups and spending limits.
        """
        insight = await self._run_outs.run_outs(query.timezone, owner_id=query.ownerId, limit=query.limit)
        return insight_answer(RunOutsAnswer, insight)

    @operation(
        "GET",
        "/api/analytics/anomalies",
        scope=_READ,
        answer=list[AnomalyAnswer],
        audit=Audit.PERSONAL,
        links={"judge": link("analytics.judge_anomaly", path={"anomaly_id": "0/id"})},
    )
    async def anomalies(self, query: AnomaliesQuery) -> Page:
        """List unusual hours, the latest first; the worker looks for them every hour."""
        found = await self._anomalies.anomalies(query.filter())
        cursor = cursor_of(found[-1].id) if len(found) == query.limit else None
        return Page([anomaly_answer(each) for each in found], cursor)

    @operation(
        "POST",
        "/api/analytics/anomalies/{anomaly_id}/verdict",
        scope=_WRITE,
        answer=AnomalyAnswer,
        status=200,
        errors=(UnknownAnomalyError,),
        rehearsable=True,
    )
    async def judge_anomaly(self, call: Call, anomaly_id: UUID, body: VerdictBody) -> AnomalyAnswer:
        """Say whether it is an anomaly. What is like one that is none, or less, is not reported again."""
        return anomaly_answer(await self._anomalies.judge(anomaly_id, body.verdict, actor=call.principal.id))

    @operation("GET", "/api/analytics/cohorts", scope=_READ, answer=CohortsAnswer, errors=_ASKED, concurrency=_AT_ONCE)
    async def cohorts(self, query: CohortsQuery) -> CohortsAnswer:
        """Return users by the week or month of their first use, and how many were active in each one after it."""
        insight = await self._customers.cohorts(query.question(now=self._clock.now()), query.groupBy)
        return insight_answer(CohortsAnswer, insight)

    @operation(
        "GET", "/api/analytics/adoption", scope=_READ, answer=AdoptionAnswer, errors=_ASKED, concurrency=_AT_ONCE
    )
    async def adoption(self, query: InsightQuery) -> AdoptionAnswer:
        """Return the fraction of users that used each feature in the last 28 days, and in the 28 days before."""
        return insight_answer(AdoptionAnswer, await self._customers.adoption(query.question(now=self._clock.now())))

    @operation(
        "GET",
        "/api/analytics/churn",
        scope=_READ,
        answer=ChurnAnswer,
        errors=_ASKED,
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
    )
    async def churn(self, query: PeopleQuery) -> ChurnAnswer:
        """Return users by the chance that they are gone for good, the highest first, and what changed before."""
        question = query.question(now=self._clock.now())
        insight = await self._customers.churn(question, limit=query.limit, user_id=query.person)
        return insight_answer(ChurnAnswer, insight)

    @operation(
        "GET",
        "/api/analytics/segments",
        scope=_READ,
        answer=SegmentsAnswer,
        errors=_ASKED,
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
    )
    async def segments(self, query: PeopleQuery) -> SegmentsAnswer:
        """Return segments by recency, frequency and money, declared segments, and the users in them."""
        question = query.question(now=self._clock.now())
        insight = await self._customers.segments(question, limit=query.limit, user_id=query.person)
        return insight_answer(SegmentsAnswer, insight)

    @operation("GET", "/api/analytics/segments/rules", scope=_READ, answer=list[SegmentRuleAnswer])
    async def list_rules(self) -> Reply:
        """List the declared segments by name."""
        return Reply([rule_answer(rule).model_dump() for rule in await self._customers.rules()])

    @operation(
        "PUT",
        "/api/analytics/segments/rules/{name}",
        scope=_WRITE,
        answer=SegmentRuleAnswer,
        errors=(InvalidError,),
        links={"delete": link("analytics.delete_rule", path={"name": "name"})},
        rehearsable=True,
    )
    async def put_rule(self, name: ExternalId, body: SegmentRuleBody) -> SegmentRuleAnswer:
        """Declare a segment, or replace it. Results of the next day contain it."""
        rule = body.rule(name)
        await self._customers.put_rule(rule)
        return rule_answer(rule)

    @operation(
        "DELETE", "/api/analytics/segments/rules/{name}", scope=_WRITE, errors=(UnknownSegmentError,), rehearsable=True
    )
    async def delete_rule(self, name: ExternalId) -> dict[str, str]:
        """Delete a declared segment."""
        await self._customers.remove_rule(name)
        return {"name": name}

    @operation(
        "GET",
        "/api/analytics/upsell",
        scope=_READ,
        answer=UpsellAnswer,
        errors=_ASKED,
        concurrency=_AT_ONCE,
        audit=Audit.PERSONAL,
    )
    async def upsell(self, query: PeopleQuery) -> UpsellAnswer:
        """Return users near the credits of their plan, growing, or on another plan than fits, with the cost on each plan."""
        question = query.question(now=self._clock.now())
        insight = await self._customers.upsell(question, limit=query.limit, user_id=query.person)
        return insight_answer(UpsellAnswer, insight)
