"""Queries of `/api/analytics`, in the field names of the HTTP contract."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr

from faregate.analytics.question.filters import Filters, Question, time_range
from faregate.analytics.question.omissions import Omissions
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import LooseBody

__all__ = [
    "AnalyticsQuery",
    "DistributionQuery",
    "FilteredQuery",
    "MeterQuery",
    "MeterTotalsQuery",
    "MetricsQuery",
    "PeaksQuery",
    "SeriesQuery",
    "TopUsersQuery",
    "TrendsQuery",
    "UserPeriodsQuery",
]

Amount = Literal["requests", "credits", "tokens", "cost", "quantity", "events"]
_UNITS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}


def _unit(word: Any) -> Any:
    return _UNITS.get(word.lower(), word.lower()) if isinstance(word, str) else word


_GROUP_BY = "`hourly`, `daily`, `weekly` and `monthly` are accepted, too"
_Unit = Annotated[
    Literal["quarter-hour", "hour", "day", "week", "month"], BeforeValidator(_unit), Field(description=_GROUP_BY)
]
_LongUnit = Annotated[Literal["day", "week", "month"], BeforeValidator(_unit), Field(description=_GROUP_BY)]
_Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(name_checked)]


class FilteredQuery(LooseBody):
    """The facts that match all filters."""

    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    service: _Text | None = None
    model: _Text | None = None
    provider: _Text | None = None
    userId: _Text | None = None  # noqa: N815
    feature: _Text | None = None
    organizationId: _Text | None = None  # noqa: N815
    country: _Text | None = None
    device: _Text | None = None
    status: _Text | None = None

    def filters(self, *, user_id: str | None = None, meter: str | None = None) -> Filters:
        """Return the filters; only about the user `user_id`, if given."""
        return Filters(
            self.service,
            self.model,
            self.provider,
            self.feature,
            user_id or self.userId,
            self.organizationId,
            self.country,
            self.device,
            meter,
            self.status,
        )


class AnalyticsQuery(FilteredQuery):
    """The facts from `startDate` (included) to `endDate` (excluded), each a date or a time, that match all filters."""

    startDate: Annotated[str, Field(max_length=40)] | None = None  # noqa: N815
    endDate: Annotated[str, Field(max_length=40)] | None = None  # noqa: N815
    meter: _Text | None = None
    complete: bool = Field(
        default=False,
        description="refuse the query if it needs single facts that are archived, instead of leaving them out",
    )
    _omissions: Omissions = PrivateAttr(default_factory=Omissions)

    @property
    def answer_meta(self) -> dict[str, Any]:
        """The fields of `meta` about facts that were left out of the answer."""
        left_out = self._omissions
        if left_out.archived_before is None:
            return {}
        return {"archived_before": left_out.archived_before, "note": left_out.note}

    def question(self, *, now: datetime, user_id: str | None = None) -> Question:
        """Return the question; only about the user `user_id`, if given."""
        filters = self.filters(user_id=user_id, meter=self.meter)
        self._omissions.refused = self.complete
        return Question(time_range(self.startDate, self.endDate, self.timezone, now=now), filters, self._omissions)


class MetricsQuery(AnalyticsQuery):
    """`exact`: exact percentiles from the single facts; otherwise they are at most 1 % off."""

    exact: bool = False


class SeriesQuery(AnalyticsQuery):
    """The length of the periods."""

    groupBy: _Unit = "day"  # noqa: N815


class TopUsersQuery(AnalyticsQuery):
    """The number of users, and the amount by which they are ranked."""

    limit: Annotated[int, Field(ge=1, le=100)] = 10
    by: Literal["credits", "requests", "tokens", "cost"] = "credits"


class UserPeriodsQuery(TopUsersQuery):
    """The length of the periods, the number of users in each, and the amount by which they are ranked."""

    groupBy: _LongUnit = "day"  # noqa: N815
    limit: Annotated[int, Field(ge=1, le=100)] = 100
    by: Literal["credits", "requests", "tokens", "cost"] = "requests"


class MeterTotalsQuery(AnalyticsQuery):
    """`detailed`: also users, average, median, p95, p99 and highest quantity of each meter, from the single events."""

    detailed: bool = False


class MeterQuery(AnalyticsQuery):
    """The meter of the statistics."""

    meter: _Text  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]  # required here


class TrendsQuery(AnalyticsQuery):
    """The amount of the trend."""

    of: Amount = "requests"


class PeaksQuery(TrendsQuery):
    """The amount of the peaks, the length of the periods, and the number of peaks."""

    groupBy: _Unit = "hour"  # noqa: N815
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class DistributionQuery(AnalyticsQuery):
    """The dimension of the distribution."""

    by: Literal["country", "device", "hour", "provider", "feature", "organization", "status", "meter"] = "country"
