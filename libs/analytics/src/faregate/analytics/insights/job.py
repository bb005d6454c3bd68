"""Scheduled making of insights."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from faregate.analytics.insights.anomalies.service import AnomalyService
from faregate.analytics.insights.customers.service import CustomerService
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


class InsightJobs:
    """Makes the insights without filters, so that reading them waits for nothing. Does nothing without the extra."""

    def __init__(
        self,
        forecasts: ForecastService,
        anomalies: AnomalyService,
        customers: CustomerService,
        run_outs: RunOutService,
        keeper: InsightKeeper,
        deliverer: AlertDeliverer,
        clock: IClock,
        *,
        timezone: str,
    ) -> None:
        self._forecasts = forecasts
        self._anomalies = anomalies
        self._customers = customers
        self._run_outs = run_outs
        self._keeper = keeper
        self._deliverer = deliverer
        self._clock = clock
        self._timezone = timezone

    async def hourly(self) -> None:
        """Look for anomalies, and renew the run-out dates."""
        if not is_installed():
            return
        found = await self._anomalies.check()
        if found:
            log.info("anomalies_found", anomalies=len(found))
        await self._run_outs.run_outs(self._timezone)

    async def deliver(self) -> None:
        """Deliver the alerts of anomalies that are due."""
        await self._deliverer.deliver_due()

    async def daily(self) -> None:
        """Make the forecasts and the insights about users, and forget old results."""
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

        customers = self._customers
        return {
            **{f"forecast of {of}": forecast(of) for of in _AMOUNTS},
            "cohorts by week": lambda: customers.cohorts(asked, "week"),
            "cohorts by month": lambda: customers.cohorts(asked, "month"),
            "adoption": lambda: customers.adoption(asked),
            "churn": lambda: customers.churn(asked),
            "segments": lambda: customers.segments(asked),
            "upsell": lambda: customers.upsell(asked),
        }
