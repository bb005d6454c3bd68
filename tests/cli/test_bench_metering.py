"""Short runs of the metering benchmarks.

They measure everything, compare the figures with the limits, and their exit code is the result.
"""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from faregate.benchmarks.varied_events import make_varied_events
from faregate.wire import exact_json
from support.processes import run_command

_DIMENSIONS = ("service", "model", "feature_key", "organization_id", "country", "device", "status", "meter")


async def test_the_exit_code_of_the_export_bench_says_whether_it_is_within_its_limit() -> None:
    """A short run of P6: checks that all 20,000 events are exported; the speed is not judged."""
    done = await run_command("bench", "export", "--rows", "20000", "--rounds", "1", "--formats", "csv", "-o", "json")
    found = exact_json.loads(done.out.splitlines()[-1].encode())

    assert found["rows"] == 20_000
    assert found["exports"][0]["size_bytes"] > 20_000 * 100
    assert found["exports"][0]["memory_growth_mib"] < 64
    assert done.code == (0 if found["passed"] else 1)


async def test_an_export_by_http_streams_and_health_checks_are_answered_meanwhile() -> None:
    """A short run; the limits are judged on a machine at rest."""
    done = await run_command("bench", "export-beside", "--rows", "20000", "--formats", "xlsx", "-o", "json")
    found = exact_json.loads(done.out.splitlines()[-1].encode())

    first, health = found["figures"]
    whole = re.search(r"\(([\d.]+) s and", first["what"])
    assert whole is not None
    whole_seconds = float(whole[1])

    assert (first["target"], health["target"]) == ("<= 1,000 ms", "<= 10 ms")
    assert 0 < float(first["measured"]) < (whole_seconds + 0.05) * 1000  # seconds are rounded to a tenth
    assert 0 < float(health["measured"]) < whole_seconds * 1000 + 1000


@pytest.mark.parametrize("form", [(), ("--varied",)], ids=["month", "varied"])
async def test_the_queries_bench_reports_a_time_for_every_question(form: tuple[str, ...]) -> None:
    done = await run_command("bench", "queries", *form, "--events", "3000", "--rounds", "1", "-o", "json")
    found = exact_json.loads(done.out.splitlines()[-1].encode())

    assert found["events"] == 3000
    assert {one["limit_ms"] for one in found["questions"]} == {30, 60, 100, 150, 300}
    assert all(0 < one["ms"] <= one["most_ms"] for one in found["questions"])
    assert found["passed"] is (done.code == 0)
    assert found["memory_mib"] > 0
    assert float(found["sums_mb"]) == pytest.approx(sum(map(float, found["sums_mb_by_table"].values())), abs=0.1)
    assert found["facts_mb"] > 0
    assert found["sums_mb_by_table"]["usage_rollup"] > 0
    assert found["roll_up_processor_seconds"] > 0


def test_varied_events_are_the_same_each_time_and_hardly_two_share_all_dimensions() -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    events = [event for chunk in make_varied_events(20_000, now=now) for event in chunk]
    cells = Counter(tuple(event.get(name) for name in _DIMENSIONS) for event in events)

    assert events == [event for chunk in make_varied_events(20_000, now=now) for event in chunk]
    assert len(cells) > 0.5 * len(events)
    assert {event["time"].date() for event in events} >= {(now - timedelta(days=days)).date() for days in range(1, 70)}
    assert Counter(event["user_id"] for event in events).most_common(1)[0][0] == "user-0"
