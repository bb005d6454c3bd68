"""Commands for usage, quotas and alerts."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from faregate.cli.shared import analytics_options, output
from faregate.cli.shared.plots import bar, share_bar, sparkline
from faregate.wire import exact_json
from support.processes import Finished, run_command


class Desk:
    """Runs commands on one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def type(self, *arguments: str, **environment: str) -> Finished:
        return await run_command(*arguments, FAREGATE_DATABASE_URL=self._url, **environment)


@pytest.fixture
def desk(database_url: str) -> Desk:
    return Desk(database_url)


async def test_recorded_events_are_in_statistics_and_exports(desk: Desk, tmp_path: Path) -> None:
    lines = tmp_path / "events.ndjson"
    lines.write_text('{"user_id":"ada","meter":"api","quantity":2.5,"id":"1","source":"t"}\n\n{"user_id":"ada"}\n')
    one = await desk.type("usage", "record", "api", "4", "--user", "ada x", "--id", "k")
    bad = await desk.type("usage", "record", "api", "4", "--user", "ada", "--id", "k2")
    many = await desk.type("usage", "record", "--file", str(lines))
    rebuilt = await desk.type("usage", "rollup", "--rebuild")
    stats = exact_json.loads((await desk.type("usage", "stats", "api", "-o", "json")).out.encode())
    peaks = list(csv.reader(io.StringIO((await desk.type("usage", "peaks", "api", "-o", "csv")).out)))
    trends = await desk.type("usage", "trends", "api")
    exported = await desk.type("usage", "export", "csv", str(tmp_path), "--user", "ada")

    assert (one.code, bad.code, many.code) == (1, 0, 1)
    assert "1 recorded, 0 known before, 1 rejected" in many.out
    assert "2 events added to the sums" in rebuilt.out
    assert (stats["count"], stats["total"]) == (2, Decimal("6.5"))
    assert (peaks[0], peaks[1][1:]) == (["period", "total", "events"], ["6.5", "2"])
    assert trends.code == 0, trends.err
    assert not set("▁▂▃▄▅▆▇█") & set(trends.out), "sparklines are printed on terminals only"
    (file,) = tmp_path.glob("usage-events_*.csv")
    assert (exported.code, len(list(csv.DictReader(io.StringIO(file.read_text()))))) == (0, 2)


async def test_series_distribution_and_peaks_of_a_meter(desk: Desk) -> None:
    """`usage peaks api hourly 10`, by position; quantities of different meters are not added."""
    for meter, quantity in (("api", "4"), ("api", "2.5"), ("storage", "7")):
        assert (await desk.type("usage", "record", meter, quantity, "--user", "ada")).code == 0
    peaks = list(csv.reader(io.StringIO((await desk.type("usage", "peaks", "api", "hourly", "10", "-o", "csv")).out)))
    series = exact_json.loads((await desk.type("usage", "series", "api", "monthly", "-o", "json")).out.encode())
    mixed = exact_json.loads((await desk.type("usage", "distribution", "country", "-o", "json")).out.encode())
    meters = exact_json.loads((await desk.type("usage", "distribution", "meter", "-o", "json")).out.encode())
    wrong = await desk.type("usage", "series", "storrage")

    assert sum(Decimal(total) for _, total, _ in peaks[1:]) == Decimal("6.5")
    assert sum(row["total"] for row in series) == Decimal("6.5")
    assert [row["quantity"] for row in mixed] == [None]
    assert {row["meter"]: row["quantity"] for row in meters} == {"api": Decimal("6.5"), "storage": 7}
    assert (wrong.code, "storage" in wrong.err) == (1, True)


async def test_the_quota_of_one_owner_for_one_meter_is_checked(desk: Desk) -> None:
    """Exit 1 means that the quota is used up; no alert is created."""
    await desk.type("usage", "record", "api", "4", "--user", "ada")
    for meter, limit in (("api", "4"), ("storage", "9")):
        await desk.type("quotas", "set", "ada", meter, limit)
    used_up = await desk.type("quotas", "check", "ada", "api", "-o", "json")
    fine = await desk.type("quotas", "check", "ada", "storage")
    both = exact_json.loads((await desk.type("quotas", "check", "ada", "-o", "json")).out.encode())
    none = await desk.type("quotas", "check", "bea", "api")
    wrong = await desk.type("quotas", "check", "ada", "storrage")
    fired = await desk.type("alerts", "list", "-o", "csv")

    assert (used_up.code, fine.code, none.code, wrong.code) == (1, 0, 0, 1)
    assert [row["meter"] for row in exact_json.loads(used_up.out.encode())] == ["api"]
    assert [row["meter"] for row in both] == ["api", "storage"]
    assert "faregate quotas set bea api" in none.err
    assert "Did you mean 'storage'" in wrong.err
    assert len(fired.out.splitlines()) == 1


async def test_a_test_alert_reports_the_result_of_each_channel(desk: Desk, tmp_path: Path) -> None:
    went = await desk.type("alerts", "test", "-o", "json", FAREGATE_ALERT_LOG_FILE=str(tmp_path / "alerts.log"))
    failed = await desk.type("alerts", "test", "-o", "json", FAREGATE_ALERT_LOG_FILE=str(tmp_path))
    history = await desk.type("alerts", "list", "-o", "csv")

    assert (went.code, failed.code, len(history.out.splitlines())) == (0, 1, 1)
    assert [row["result"] for row in exact_json.loads(went.out.encode())] == ["sent", "sent"]
    assert "cannot be written" in exact_json.loads(failed.out.encode())[1]["result"]
    assert "TEST: " in went.err


async def test_an_export_without_a_path_goes_into_the_directory_of_the_settings(desk: Desk, tmp_path: Path) -> None:
    """The directory is created if it is missing, and is readable by its owner only."""
    directory = tmp_path / "not" / "there"
    done = await desk.type("usage", "export", "csv", FAREGATE_EXPORT_DIR=str(directory))

    assert done.code == 0, done.err
    (file,) = directory.iterdir()
    assert file.name.startswith("usage-events_")
    assert (file.stat().st_mode & 0o777, directory.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_an_export_to_standard_output_prints_the_file_only(desk: Desk) -> None:
    done = await desk.type("usage", "export", "ndjson", "-")
    wrong = await desk.type("usage", "export", "csv", "-", "--from", "2026-02-02", "--to", "2026-01-01")

    assert (done.code, done.out) == (0, "")
    assert wrong.code == 1
    assert "--from must be before --to" in wrong.err


async def test_a_quota_is_set_checked_logged_and_listed(desk: Desk, tmp_path: Path) -> None:
    """`faregate alerts check 2>&1 | grep EXCEEDED`: the pipe of the brief works."""
    log = tmp_path / "alerts.log"
    await desk.type("quotas", "set", "ada", "api", "10", "--period", "year")
    await desk.type("usage", "record", "api", "11", "--user", "ada")
    checked = await desk.type("alerts", "check", FAREGATE_ALERT_LOG_FILE=str(log))
    again = await desk.type("alerts", "check", "-o", "csv", FAREGATE_ALERT_LOG_FILE=str(log))
    status = exact_json.loads((await desk.type("quotas", "status", "-o", "json")).out.encode())
    history = list(csv.DictReader(io.StringIO((await desk.type("alerts", "list", "-o", "csv")).out)))

    assert "EXCEEDED: ada has used 11 of 10 api this year" in checked.err + checked.out
    assert len(log.read_text().splitlines()) == 1
    assert len(again.out.splitlines()) == 1
    assert [(row["owner"], row["percent"], row["level"]) for row in status] == [("ada", 110, "exceeded")]
    assert {row["level"]: row["delivered"] for row in history} == {
        "exceeded": "file: delivered, log: delivered",
        "critical": "passed over",
        "warning": "passed over",
    }


@pytest.mark.parametrize(("percent", "width"), [("0", 0), ("50", 8), ("100", 16), ("250", 16), (None, 16)])
def test_the_bar_of_a_quota_is_proportional_to_its_share(percent: str | None, width: int) -> None:
    """An unused quota has no bar; a limit of 0 is shown as used up."""
    assert share_bar(None if percent is None else Decimal(percent)) == "█" * width


@pytest.mark.parametrize(
    ("terminal", "no_color", "encoding", "shown"),
    [
        (True, False, "utf-8", True),
        (False, False, "utf-8", False),
        (True, True, "utf-8", False),
        (True, False, "ascii", False),
    ],
)
def test_bars_are_printed_only_on_terminals_that_can_show_them(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, no_color: bool, encoding: str, shown: bool
) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(output, "console", Console(file=file, force_terminal=terminal, no_color=no_color))

    assert output.shows_pictures() is shown


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15), max_value=10**15))
@example(Decimal("2E-7"))
@example(Decimal("0E-12"))
@example(Decimal("1E+5"))
def test_numbers_are_printed_exactly_and_without_an_exponent(value: Decimal) -> None:
    """Holds for CSV, JSON and tables."""
    written = [
        str(analytics_options._cell(value)),
        exact_json.dumps(value).decode(),
        output.number(value).replace(",", ""),
    ]

    assert not [text for text in written if "e" in text.lower()]
    assert [Decimal(text) for text in written] == [value] * 3


async def test_a_declared_meter_is_listed_and_priced(desk: Desk) -> None:
    declared = await desk.type("usage", "meters", "declare", "seats", "seat", "--aggregation", "max", "--price", "4.99")
    for quantity in ("9", "4"):
        await desk.type("usage", "record", "seats", quantity, "--user", "ada")
    listed = list(csv.DictReader(io.StringIO((await desk.type("usage", "meters", "list", "-o", "csv")).out)))
    totals = list(csv.DictReader(io.StringIO((await desk.type("usage", "totals", "-o", "csv")).out)))

    assert declared.code == 0, declared.err
    assert {"name": "seats", "unit": "seat", "aggregation": "max"}.items() <= next(
        meter for meter in listed if meter["name"] == "seats"
    ).items()
    assert [(t["meter"], t["value"], t["cost (USD)"]) for t in totals] == [("seats", "9", "44.91")]


async def test_a_removed_quota_is_not_listed(desk: Desk) -> None:
    await desk.type("quotas", "set", "ada", "api", "10")
    (quota,) = exact_json.loads((await desk.type("quotas", "status", "-o", "json")).out.encode())
    removed = await desk.type("quotas", "remove", quota["id"])
    again = await desk.type("quotas", "remove", quota["id"])

    assert (removed.code, again.code) == (0, 1)
    assert exact_json.loads((await desk.type("quotas", "status", "-o", "json")).out.encode()) == []


async def test_a_month_is_archived_and_restored(desk: Desk, tmp_path: Path) -> None:
    place = {"FAREGATE_USAGE_ARCHIVE_DIR": str(tmp_path), "FAREGATE_LATE_EVENT_DAYS": "400"}
    at = (datetime.now(UTC) - timedelta(days=120)).isoformat()
    event = {"user_id": "ada", "meter": "api", "quantity": 4, "time": at}
    lines = tmp_path / "events.ndjson"
    lines.write_bytes(exact_json.dumps(event))
    recorded = await desk.type("usage", "record", "--file", str(lines), **place)
    archived = await desk.type(
        "usage", "archive", "--keep-days", "40", "-o", "json", FAREGATE_USAGE_ARCHIVE_DIR=str(tmp_path)
    )
    (manifest,) = [month for month in exact_json.loads(archived.out.encode()) if month["rows"]]
    restored = await desk.type("usage", "restore", manifest["month"], FAREGATE_USAGE_ARCHIVE_DIR=str(tmp_path))

    assert recorded.code == 0, recorded.err
    assert f"{manifest['month']}: 1 events are back" in restored.out


async def test_events_are_copied_to_columns(desk: Desk, tmp_path: Path) -> None:
    place = {"FAREGATE_COLUMNAR_DIR": str(tmp_path / "columnar")}
    await desk.type("usage", "record", "api", "4", "--user", "ada")
    copied = await desk.type("columnar", "copy", "-o", "json", **place)
    await desk.type("usage", "record", "api", "5", "--user", "ada")
    status = await desk.type("columnar", "status", "-o", "json", **place)
    nowhere = await desk.type("columnar", "copy")

    assert exact_json.loads(copied.out.encode())["copied"] == 1, copied.err
    found = exact_json.loads(status.out.encode())
    assert (found["facts"], found["waiting"], found["files"]) == (1, 1, 1)
    assert nowhere.code == 2
    assert "neither FAREGATE_COLUMNAR_DIR nor FAREGATE_CLICKHOUSE_URL is set" in nowhere.err


async def test_events_are_copied_to_clickhouse(desk: Desk, clickhouse_url: str) -> None:
    place = {"FAREGATE_CLICKHOUSE_URL": clickhouse_url}
    await desk.type("usage", "record", "api", "4", "--user", "ada")
    copied = await desk.type("columnar", "copy", "-o", "json", **place)
    status = await desk.type("columnar", "status", "-o", "json", **place)

    assert exact_json.loads(copied.out.encode())["copied"] == 1, copied.err
    found = exact_json.loads(status.out.encode())
    server = clickhouse_url.rpartition("@")[2]
    assert (found["facts"], found["waiting"], found["files"]) == (1, 0, 1)
    assert found["place"].startswith(f"http://{server}/faregate_facts_")


async def test_archiving_needs_a_directory(desk: Desk) -> None:
    done = await desk.type("usage", "archive")

    assert done.code == 2
    assert "FAREGATE_USAGE_ARCHIVE_DIR" in done.err


def test_bars_and_sparklines_grow_with_their_values() -> None:
    assert sparkline([Decimal(0), Decimal(5), Decimal(10)]) == "▁▄█"
    assert sparkline([Decimal(0)]) == "▁"
    assert [bar(Decimal(n), Decimal(10), width=10) for n in (0, 5, 10, 20)] == ["", "█████", "█" * 10, "█" * 10]
    assert bar(Decimal("0.001"), Decimal(10)) != ""
