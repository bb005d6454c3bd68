"""Bodies and answers of `/api/meters` and `/api/analytics/meters`."""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from faregate.analytics.answers.meter_totals import MeterDetail, MeterTotal
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import Body, Note, Text, Usd
from faregate.gateway.schemas.base import Answer
from faregate.usage.meters.meter import Aggregation, Meter

__all__ = ["MeterAnswer", "MeterBody", "MeterName", "MeterTotalAnswer", "meter_answer", "meter_total_answer"]

MeterName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._:/@ -]{1,100}$", examples=["seats"]), AfterValidator(name_checked)
]


class MeterBody(Body):
    """`PUT /api/meters/{name}`: the declaration of a meter."""

    unit: Annotated[Text, Field(min_length=1, max_length=50, examples=["seat"]), AfterValidator(name_checked)]
    aggregation: Aggregation = "sum"
    unit_price_usd: Usd | None = None
    description: Annotated[Note, Field(max_length=500)] = ""

    def meter(self, name: str) -> Meter:
        """Return the declaration."""
        return Meter(name, self.unit, self.aggregation, self.unit_price_usd, description=self.description)


class MeterAnswer(Answer):
    """One meter; `units` are the units of events that are accepted besides its own `unit`."""

    name: str
    unit: str
    aggregation: Aggregation
    unit_price_usd: Decimal | None
    units: list[str]
    description: str


class MeterTotalAnswer(Answer):
    """The reading and cost of one meter; without a declaration it has no unit, and without a price no cost.

    With `detailed=true` also its number of users, and statistics of its single quantities.
    """

    meter: str
    unit: str | None
    aggregation: Aggregation
    events: int
    value: Decimal
    unitPriceUsd: Decimal | None  # noqa: N815
    costUsd: Decimal | None  # noqa: N815
    uniqueUsers: int | None = None  # noqa: N815
    average: Decimal | None = None
    median: Decimal | None = None
    p95: Decimal | None = None
    p99: Decimal | None = None
    highest: Decimal | None = None


def meter_answer(meter: Meter) -> MeterAnswer:
    """Return one meter."""
    return MeterAnswer.of(meter, units=list(meter.factors))


def meter_total_answer(total: MeterTotal) -> MeterTotalAnswer:
    """Return the reading and cost of one meter."""
    return MeterTotalAnswer(
        meter=total.meter,
        unit=total.unit,
        aggregation=total.aggregation,
        events=total.events,
        value=total.value,
        unitPriceUsd=total.unit_price_usd,
        costUsd=total.cost_usd,
    )


def meter_detail_answer(detail: MeterDetail) -> MeterTotalAnswer:
    """Return the reading and cost of one meter, with its users and statistics."""
    stats = detail.stats
    found = {
        "uniqueUsers": detail.users,
        "average": stats.average,
        "median": stats.median,
        "p95": stats.p95,
        "p99": stats.p99,
        "highest": stats.most,
    }
    return meter_total_answer(detail.total).model_copy(update=found)
