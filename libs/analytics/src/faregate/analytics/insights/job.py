"""Scheduled making of insights."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from faregate.analytics.insights.anomalies.service import AnomalyService
from faregate.analytics.insights.budgets.service import BudgetService
from faregate.analytics.insights.costs.service import CostService
from faregate.analytics.insights.costs.values import ReturnBy
from faregate.analytics.insights.customers.service import CustomerService
from faregate.analytics.insights.feedback.service import FeedbackService
from faregate.analytics.insights.feedback.values import SatisfactionBy
from faregate.analytics.insights.forecasting.service import ForecastAmount, ForecastService
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.numeric import is_installed
from faregate.analytics.insights.run_outs.service import RunOutService
from faregate.analytics.question.filters import Question, TimeRange
from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.core.clock import IClock
from faregate.core.logging import get_logger

__all__ = ["InsightJobs"]

log = get_logger(__name__)

_AMOUNTS: tuple[ForecastAmount, ...] = ("requests", "tokens", "credits", "cost")
_RETURNS: tuple[ReturnBy, ...] = ("feature", "plan", "user")
_SATISFACTION: tuple[SatisfactionBy, ...] = ("feature", "model", "price")


class InsightJobs:
    """Makes the insights without filters, so that reading them waits for nothing; without the extra it makes none of them.

    Budgets are checked, and feedback is rated and forgotten, with or without the extra.
    """

    def __init__(
        self,
        forecasts: ForecastService,
        anomalies: AnomalyService,
        customers: CustomerService,
        run_outs: RunOutService,
        costs: CostService,
        budgets: BudgetService,
        feedback: FeedbackService,
        keeper: InsightKeeper,
        deliverers: Sequence[AlertDeliverer],
        clock: IClock,
        *,
        timezone: str,
    ) -> None:
        self._forecasts = forecasts
        self._anomalies = anomalies
        self._customers = customers
        self._run_outs = run_outs
        self._costs = costs
        self._budgets = budgets
        self._feedback = feedback
        self._keeper = keeper
        self._deliverers = deliverers
        self._clock = clock
        self._timezone = timezone

    async def hourly(self) -> None:
        """Check the budgets, rate new feedback, look for anomalies, and renew the run-out dates."""
        fired = await self._budgets.check()
        if fired:
            log.info("budgets_reached", alerts=fired)
        await self._feedback.read_sentiment()
        if not is_installed():
            return
        found = await self._anomalies.check()
        if found:
            log.info("anomalies_found", anomalies=len(found))
        await self._run_outs.run_outs(self._timezone)

    async def anew(self) -> None:
        """Make all insights now, those that were made today as well."""
        self._keeper.refuse_older()
        await self.hourly()
        await self.daily()

    async def deliver(self) -> None:
        """Deliver the alerts of anomalies and budgets that are due."""
        for deliverer in self._deliverers:
            await deliverer.deliver_due()

    async def daily(self) -> None:
        """Make the forecasts and the insights about users and money, and forget old results and old feedback."""
        await self._feedback.forget()
        if not is_installed():
            return
        for name, make in self.makers().items():
            await make()
            log.debug("insight_made", insight=name)
        await self._keeper.forget()

    def makers(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Return what makes each insight of the day, by name."""
        now = self._clock.now()
        asked = Question(TimeRange(now - timedelta(days=1), now, self._timezone))

        def forecast(of: ForecastAmount) -> Callable[[], Awaitable[object]]:
            return lambda: self._forecasts.forecast(asked, of=of, unit="day")

        def returns(by: ReturnBy) -> Callable[[], Awaitable[object]]:
            return lambda: self._costs.returns(asked, by)

        def satisfaction(by: SatisfactionBy) -> Callable[[], Awaitable[object]]:
            return lambda: self._feedback.satisfaction(asked, by)

        customers = self._customers
        return {
            **{f"forecast of {of}": forecast(of) for of in _AMOUNTS},
            "cohorts by week": lambda: customers.cohorts(asked, "week"),
            "cohorts by month": lambda: customers.cohorts(asked, "month"),
            "adoption": lambda: customers.adoption(asked),
            "churn": lambda: customers.churn(asked),
            "segments": lambda: customers.segments(asked),
            "upsell": lambda: customers.upsell(asked),
            **{f"return by {by}": returns(by) for by in _RETURNS},
            "savings": lambda: self._costs.savings(asked),
            **{f"satisfaction by {by}": satisfaction(by) for by in _SATISFACTION},
        }
