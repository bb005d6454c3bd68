"""`faregate insights`, as people type it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from faregate.wire import exact_json
from support.processes import Finished, run_command

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


class InsightDesk:
    """Runs commands on one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def type(self, *arguments: str) -> Finished:
        return await run_command(*arguments, FAREGATE_DATABASE_URL=self._url, FAREGATE_LATE_EVENT_DAYS="3650")


@pytest.fixture
def desk(database_url: str) -> InsightDesk:
    return InsightDesk(database_url)


async def test_a_forecast_is_printed_with_its_evidence(desk: InsightDesk, tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    facts = [
        {"user_id": "ada", "service": "chat", "time": NOON - timedelta(days=back), "credits": 10 + back % 7}
        for back in range(1, 50)
    ]
    events.write_bytes(b"\n".join(exact_json.dumps(fact) for fact in facts))
    assert (await desk.type("usage", "record", "--file", str(events))).code == 0

    table = await desk.type("insights", "forecast", "credits", "--horizon", "7")
    told = exact_json.loads(
        (await desk.type("insights", "forecast", "credits", "--horizon", "7", "-o", "json")).out.encode()
    )
    churn = await desk.type("insights", "churn")

    assert table.code == 0, table.err
    evidence = " ".join(table.err.split())
    assert evidence.startswith("Method: seasonal naive (7)")
    assert "Sample: 49 days" in evidence
    assert (told["enough"], [row["expected"] for row in told["rows"]]) == (True, [10 + (7 - n) % 7 for n in range(7)])
    assert churn.code == 1
    assert "1 users with at least two active days; the model needs 50" in churn.err


async def test_a_segment_is_declared_by_conditions(desk: InsightDesk) -> None:
    declared = await desk.type("insights", "segment", "set", "vip", "credits>=100", "days_since_last<=14")
    wrong = await desk.type("insights", "segment", "set", "vip", "age>3")
    listed = await desk.type("insights", "segment", "list", "-o", "csv")
    removed = await desk.type("insights", "segment", "remove", "vip")

    assert declared.code == 0, declared.err
    assert wrong.code != 0
    assert "days_since_last" in wrong.err
    assert listed.out.splitlines() == ["name,conditions", "vip,credits>=100 and days_since_last<=14"]
    assert removed.code == 0


async def test_everything_scheduled_is_made_on_demand(desk: InsightDesk) -> None:
    made = await desk.type("insights", "make")
    anomalies = await desk.type("insights", "anomalies", "--check", "-o", "json")

    assert (made.code, made.out) == (0, "made\n"), made.err
    assert exact_json.loads(anomalies.out.encode()) == []


async def test_a_budget_is_declared_shown_and_removed(desk: InsightDesk) -> None:
    declared = await desk.type("insights", "budget", "set", "all", "1000", "--period", "year", "--unit", "cost_usd")
    wrong = await desk.type("insights", "budget", "set", "chat", "1000", "--feature", "nothing")
    listed = await desk.type("insights", "budgets", "-o", "json")
    removed = await desk.type("insights", "budget", "remove", "all")

    assert (declared.code, declared.out) == (0, "all: 1000 cost_usd each year\n"), declared.err
    assert wrong.code == 1
    assert "faregate features list" in wrong.err
    (row,) = exact_json.loads(listed.out.encode())
    assert (row["name"], row["for"], row["amount"], row["used"]) == ("all", "business", 1000, 0)
    assert removed.code == 0


async def test_money_and_satisfaction_say_what_is_missing(desk: InsightDesk) -> None:
    what_if = await desk.type("insights", "what-if", "--margin", "30", "--price", "gpt-4o input_mtok=1 output_mtok=4")
    wrong = await desk.type("insights", "what-if", "--margin", "30 country=DE")
    savings = await desk.type("insights", "savings")
    satisfaction = await desk.type("insights", "satisfaction", "--by", "model", "-o", "json")

    assert (what_if.code, savings.code, satisfaction.code) == (1, 1, 1), what_if.err + savings.err
    assert "Method: each line of each settled use priced again" in " ".join(what_if.err.split())
    assert wrong.code == 1
    assert "--margin" in wrong.err
    assert "fewer than 30 lines" in " ".join(savings.err.split())
    assert exact_json.loads(satisfaction.out.encode())["enough"] is False
