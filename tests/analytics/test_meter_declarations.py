"""Meter declarations: units convert exactly, and each aggregation reads the same facts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from analytics.conftest import Lab

from faregate.analytics.answers.meter_totals import MeterTotal
from faregate.analytics.answers.trends import counted_as
from faregate.analytics.question.filters import Question, TimeRange
from faregate.analytics.quotas.totals import FactTotals
from faregate.analytics.quotas.values import UsageQuestion
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError, NotFoundError
from faregate.usage.meters.catalog import MeterCatalog
from faregate.usage.meters.meter import BUILT_IN, Meter, in_unit_of

NOW = datetime.now(UTC)
EVERYTHING = Question(TimeRange(NOW - timedelta(days=1), NOW + timedelta(days=1)))


def test_units_convert_exactly() -> None:
    assert in_unit_of(BUILT_IN["bandwidth"], Decimal(1500), "MB") == Decimal("1.5")
    assert in_unit_of(BUILT_IN["storage"], Decimal(2), "GB-month") == 1460
    assert in_unit_of(BUILT_IN["compute"], Decimal("0.5"), "CPU-hour") == 1800
    assert BUILT_IN["api"].price(Decimal(10_000)) == 1
    with pytest.raises(InvalidError, match="GB-hour"):
        in_unit_of(BUILT_IN["storage"], Decimal(1), "miles")


async def test_events_may_come_in_other_units(lab: Lab) -> None:
    report = await lab.recorder.record(
        [
            {"user_id": "anna", "meter": "bandwidth", "quantity": 1500, "unit": "MB"},
            {"user_id": "anna", "meter": "bandwidth", "quantity": 2},
            {"user_id": "anna", "meter": "bandwidth", "quantity": 2, "unit": "miles"},
        ]
    )

    assert (report.accepted, len(report.rejected)) == (2, 1)
    question, amount = counted_as("bandwidth", EVERYTHING)
    assert (await lab.analytics.patterns().stats(question, amount=amount)).total == Decimal("3.5")


@pytest.mark.parametrize("rolled", [False, True])
async def test_a_custom_meter_is_read_as_it_is_declared(lab: Lab, rolled: bool) -> None:
    catalog = lab.library.usage.meters()
    seats = [("anna", 3), ("bob", 9), ("anna", 4), ("carl", 100)]
    await lab.recorder.record([
        {"id": user + str(n), "source": "s", "user_id": user, "meter": "seats", "quantity": n,
         "time": NOW - timedelta(minutes=10 - place)}
        for place, (user, n) in enumerate(seats)
    ])  # fmt: skip
    await lab.library.usage.history().void("s", "carl100")
    if rolled:
        await lab.analytics.roller().run()

    totals, quotas = lab.analytics.meter_totals(), FactTotals(lab.database)
    asked = UsageQuestion(None, False, "seats", NOW - timedelta(days=1), NOW + timedelta(days=1))
    values: dict[str, Decimal] = {}
    in_totals: dict[str, Decimal] = {}
    limited: dict[str, Decimal] = {}
    for how in ("sum", "count", "max", "unique", "latest"):
        await catalog.declare(Meter("seats", "seat", how, Decimal(5)))
        values[how] = await totals.value(EVERYTHING, "seats")
        in_totals[how] = (await totals.totals(EVERYTHING))[0].value
        async with lab.database.transaction() as session:
            (limited[how],) = await quotas.totals(session, [asked])

    assert values == in_totals == limited == {"sum": 16, "count": 3, "max": 9, "unique": 2, "latest": 4}
    with pytest.raises(NotFoundError):
        await catalog.get("nothing")
    with pytest.raises(InvalidError):
        await catalog.declare(Meter("storage", "TB"))


async def test_the_cost_is_exactly_the_reading_times_the_price_of_a_unit(lab: Lab) -> None:
    await lab.library.usage.meters().declare(Meter("seats", "seat", "max", Decimal("4.99")))
    await lab.recorder.record([
        {"user_id": user, "meter": meter, "quantity": quantity}
        for user, meter, quantity in [
            ("anna", "seats", 3), ("bob", "seats", 9), ("anna", "bandwidth", Decimal("1.1")),
            ("bob", "bandwidth", Decimal("2.2")), ("anna", "smiles", 7),
        ]
    ])  # fmt: skip

    assert await lab.analytics.meter_totals().totals(EVERYTHING) == [
        MeterTotal("bandwidth", "GB", "sum", 2, Decimal("3.3"), Decimal("0.09"), Decimal("0.297")),
        MeterTotal("seats", "seat", "max", 2, Decimal(9), Decimal("4.99"), Decimal("44.91")),
        MeterTotal("smiles", None, "sum", 1, Decimal(7), None, None),
    ]


@pytest.mark.parametrize(
    "meter",
    [
        Meter("no\nname", "seat"),
        Meter("", "seat"),
        Meter("seats", "seat", unit_price_usd=Decimal("NaN")),
        Meter("seats", "seat", unit_price_usd=Decimal("Infinity")),
        Meter("seats", "seat", unit_price_usd=Decimal(-1)),
    ],
)
async def test_an_invalid_declaration_is_refused(database: Database, meter: Meter) -> None:
    meters = MeterCatalog(database)

    with pytest.raises(InvalidError):
        await meters.declare(meter)
    assert (await meters.all()).keys() == BUILT_IN.keys()
