"""`faregate insights` for objectives, incidents and capacity, as people type it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from faregate.cli.commands.records.insight_operations import bytes_of
from faregate.core.errors import InvalidError
from faregate.wire import exact_json
from support.processes import Finished, run_command

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "size"),
    [("200GB", 200 * 10**9), ("64GiB", 64 * 2**30), ("5 tb", 5 * 10**12), ("1024", 1024), ("3k", 3000)],
)
def test_a_size_has_decimal_or_binary_units(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1.5GB", "5 apples"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="200GB"):
        bytes_of(text)


async def test_objectives_incidents_and_capacity_on_the_command_line(database_url: str, tmp_path: Path) -> None:
    async def type_(*arguments: str) -> Finished:
        return await run_command("insights", *arguments, FAREGATE_DATABASE_URL=database_url)

    events = tmp_path / "events.ndjson"
    facts = [
        {
            "user_id": "ada",
            "service": "web",
            "time": NOW - timedelta(minutes=30, seconds=n),
            "status": 500 if n < 30 else 200,
        }
        for n in range(300)
    ]
    events.write_bytes(b"\n".join(exact_json.dumps(fact) for fact in facts))
    recorded = await run_command("usage", "record", "--file", str(events), FAREGATE_DATABASE_URL=database_url)
    assert recorded.code == 0, recorded.err

    declared = await type_("objective", "set", "up", "availability", "99.9")
    wrong = await type_("objective", "set", "slow", "latency", "99")
    (listed,) = exact_json.loads((await type_("objectives", "--check", "-o", "json")).out.encode())
    start, end = (NOW - timedelta(hours=1)).isoformat(), NOW.isoformat()
    told = await type_("incident", "--from", start, "--to", end)
    advised = re.search(r"refund-incident (\S+)", " ".join(told.out.split()))
    assert advised is not None, told.out + told.err
    refunds = await type_("refund-incident", advised[1], "--reason", "outage", "-o", "json")
    capacity = await type_("capacity", "--limit", "1TB")

    assert declared.code == 0, declared.err
    assert wrong.code != 0
    assert "thresholdMs" in wrong.err
    assert (listed["total"], listed["bad"], listed["good"]) == (300, 30, 90)
    assert "ada" in told.out
    assert (refunds.code, exact_json.loads(refunds.out.encode())) == (0, []), refunds.err
    assert capacity.code == 1
    assert "needs 1000" in capacity.err
