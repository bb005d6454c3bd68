"""`faregate usage`: usage events, statistics, exports and archives."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from faregate.analytics.answers.terms import Dimension
from faregate.analytics.exports.formats import Format
from faregate.analytics.question.filters import Question
from faregate.cli.commands.catalog.meters import meters
from faregate.cli.shared.analytics_options import About, Shape, UnitWord, tell, tell_omissions, unit_of
from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import console, errors, print_done, print_json, print_table, shows_pictures
from faregate.cli.shared.plots import bar, sparkline
from faregate.cli.shared.session import with_library
from faregate.core.clock import SystemClock
from faregate.core.errors import InvalidError
from faregate.core.runtime.private_files import make_private_directory, private_file
from faregate.core.values.time_zones import time_zone
from faregate.wire import exact_json

if TYPE_CHECKING:
    from faregate.analytics.answers.meter_totals import MeterTotal
    from faregate.analytics.exports.service import Export
    from faregate.worker.container import WorkerContainer

__all__ = ["usage"]

usage = App(name="usage", help="Record usage events, query, export and archive them.")
usage.command(meters)

_ABOUT = About()
_BATCH_LINES = 10_000
_Meter = Annotated[
    str, Parameter(help="A meter such as api; or requests, tokens, credits, cost (USD); or all: the number of events.")
]


_TOTALS = ["meter", "value", "unit", "read as", "events", "unit price (USD)", "cost (USD)"]
_By = Annotated[UnitWord, Parameter(help="hour, day, week or month; hourly, daily, … are accepted, too.")]


@usage.command
def record(
    meter: str | None = None,
    quantity: str = "1",
    *,
    user: Annotated[str | None, Parameter(help="User who used it.")] = None,
    organization: Annotated[str | None, Parameter(help="Organisation that the use is for.")] = None,
    event_id: Annotated[
        str | None, Parameter(name="--id", help="Idempotency id of the event: the same id is counted once.")
    ] = None,
    metadata: Annotated[str | None, Parameter(help="Metadata of the event, a JSON object.")] = None,
    file: Annotated[
        Path | None,
        Parameter(
            allow_leading_hyphen=True, help="File of events as NDJSON instead, one per line; - for standard input."
        ),
    ] = None,
    output: Output = "table",
) -> int:
    """Record one quantity of a meter, or many events from a file; exit 1 if one was rejected."""
    if file is None:
        return _record([_event(meter, quantity, user, organization, event_id, metadata)], output)
    text = sys.stdin.read() if str(file) == "-" else file.read_text()
    return _record([exact_json.loads(line) for line in text.splitlines() if line.strip()], output)


@usage.command
def stats(meter: _Meter = "requests", *, about: About = _ABOUT, output: Shape = "table") -> None:
    """Print count, sum, average, median, p95 and p99 of single events."""
    from faregate.analytics.answers.trends import counted_as

    question, amount = counted_as(meter, about.question())
    found = with_library(lambda lib: lib.patterns().stats(question, amount=amount))
    tell_omissions(question)
    facts = asdict(found)
    if output == "json":
        print_json({"meter": meter, **facts})
        return
    tell(output, f"{meter}, per event", ["statistic", "value"], list(facts.items()))


@usage.command
def trends(meter: _Meter = "requests", *, about: About = _ABOUT, output: Shape = "table") -> None:
    """Print each day's total beside the day before and the same day of the week before."""
    from faregate.analytics.answers.trends import counted_as

    question, amount = counted_as(meter, about.question())
    points = with_library(lambda lib: lib.patterns().trends(question, amount=amount))
    tell_omissions(question)
    zone = time_zone(about.timezone)
    rows = [
        (p.period.astimezone(zone).date().isoformat(), p.amount, _percent(p.change), _percent(p.week_change))
        for p in points
    ]
    tell(output, f"{meter} per day", ["day", "total", "day over day %", "week over week %"], rows)
    if output == "table" and shows_pictures():
        console.print(f"{meter} {sparkline([point.amount for point in points])}")


@usage.command
def peaks(
    meter: _Meter = "requests",
    by: _By = "hour",
    limit: Annotated[int, Parameter(help="Number of periods.")] = 10,
    *,
    about: About = _ABOUT,
    output: Shape = "table",
) -> None:
    """Print the hours, days, weeks or months with the most use."""
    from faregate.analytics.answers.trends import counted_as

    question, amount = counted_as(meter, about.question())
    peaks = with_library(lambda lib: lib.patterns().peaks(question, unit=unit_of(by), amount=amount, limit=limit))
    tell_omissions(question)
    found = [(peak.point.period, peak.amount, peak.point.measures.facts) for peak in peaks]
    if output != "table":
        tell(output, "", ["period", "total", "events"], found)
        return
    most = max((total for _, total, _ in found), default=Decimal(0))
    pictures = [""] if shows_pictures() else []
    rows = [
        [f"{at:%Y-%m-%d %H:%M}", total, events, *(bar(total, most) for _ in pictures)] for at, total, events in found
    ]
    print_table(f"Peaks of {meter} by {unit_of(by)} (UTC)", ["from", "total", "events", *pictures], rows)


@usage.command
def series(meter: _Meter, by: _By = "day", *, about: About = _ABOUT, output: Shape = "table") -> None:
    """Print a meter's value in each hour, day, week or month, as it is declared; empty periods too."""
    from faregate.analytics.answers.trends import counted_as

    question, amount = counted_as(meter, about.question())
    found = with_library(lambda lib: lib.patterns().amounts(question, unit=unit_of(by), amount=amount))
    tell_omissions(question)
    zone = time_zone(about.timezone)
    rows = [(each.point.period.astimezone(zone).isoformat(), each.amount, each.point.measures.facts) for each in found]
    tell(output, f"{meter} by {unit_of(by)} ({about.timezone})", ["from", "total", "events"], rows)


@usage.command
def distribution(
    by: Annotated[Dimension, Parameter(help="Dimension to divide by.")] = "country",
    *,
    meter: Annotated[str | None, Parameter(help="Only this meter; quantities of different meters are not added.")] = (
        None
    ),
    about: About = _ABOUT,
    output: Shape = "table",
) -> None:
    """Print requests, tokens, credits and errors by a dimension, and quantities of one meter."""
    question = about.question()
    question = replace(question, filters=replace(question.filters, meter=meter))
    found = with_library(lambda lib: lib.patterns().distribution(question, by))
    tell_omissions(question)
    columns = [by, "requests", "tokens", "credits", "errors", "quantity"]
    rows = [
        (p.value, p.measures.requests, p.measures.tokens, p.measures.total_credits, p.measures.errors, p.quantity)
        for p in found
    ]
    tell(output, f"Usage by {by}", columns, rows)


@usage.command
def totals(
    *,
    detailed: Annotated[
        bool, Parameter(help="Also print users, and average, median, p95 and maximum of the single quantities.")
    ] = False,
    about: About = _ABOUT,
    output: Shape = "table",
) -> None:
    """Print the value of each meter, as it is declared, and its cost at the meter's unit price."""
    question = about.question()
    if detailed:
        _tell_details(question, output)
        return
    found = with_library(lambda lib: lib.meter_totals().totals(question))
    tell_omissions(question)
    tell(output, "Usage by meter", _TOTALS, [_total_row(total) for total in found])


def _tell_details(question: Question, output: Shape) -> None:
    found = with_library(lambda lib: lib.meter_totals().details(question))
    tell_omissions(question)
    columns = [*_TOTALS, "users", "average", "median", "p95", "highest"]
    rows = [
        (*_total_row(each.total), each.users, stats.average, stats.median, stats.p95, stats.most)
        for each in found
        for stats in (each.stats,)
    ]
    tell(output, "Usage by meter", columns, rows)


def _total_row(total: MeterTotal) -> tuple[Any, ...]:
    value, unit = total.value, total.unit
    return total.meter, value, unit, total.aggregation, total.events, total.unit_price_usd, total.cost_usd


@usage.command
@audited("analytics.export", target=("kind",), apart=True)
def export(
    kind: Format = Format.CSV,
    path: Annotated[
        Path | None,
        Parameter(
            allow_leading_hyphen=True,
            help="File or directory; - for standard output; by default a file in FAREGATE_EXPORT_DIR or here, named by dates.",
        ),
    ] = (None),
    *,
    raw: Annotated[
        bool, Parameter(help="Leave text unchanged, even if a spreadsheet would run it as a formula.")
    ] = False,
    bom: Annotated[bool, Parameter(help="Begin CSV with a byte order mark, so that Excel reads it as UTF-8.")] = False,
    meter: Annotated[str | None, Parameter(help="Only this meter.")] = None,
    about: About = _ABOUT,
) -> None:
    """Write usage events as csv, json, ndjson, xlsx or parquet."""
    asked = about.question()
    question = replace(asked, filters=replace(asked.filters, meter=meter))

    async def work(lib: WorkerContainer) -> None:
        made = lib.exports().events(question, kind, safe=not raw, bom=bom)
        await _write(made, path, lib.settings().export_dir)

    with_library(work)
    tell_omissions(question)


@usage.command
@audited("usage-events.archive", target=("keep_days",), apart=True)
def archive(
    keep_days: Annotated[
        int | None, Parameter(help="Archive months older than this; FAREGATE_USAGE_RETENTION_DAYS by default.")
    ] = None,
    *,
    output: Shape = "table",
) -> None:
    """Archive months that are older than the retention time, verify each archive, then drop the month from the database."""
    found = with_library(lambda lib: lib.event_archive().archive(keep_days=keep_days))
    tell(
        output, "Archived", ["month", "rows", "bytes", "sha256"], [(m.month, m.rows, m.bytes, m.sha256) for m in found]
    )


@usage.command
@audited("usage-events.restore", target=("month",), apart=True)
def restore(
    month: Annotated[str, Parameter(help="Month, such as 2026-01.")],
    *,
    days: Annotated[int, Parameter(help="Days that it stays before it is archived again.")] = 30,
    output: Output = "table",
) -> None:
    """Restore an archived month; its events are not counted again."""
    found = with_library(lambda lib: lib.event_archive().restore(month, days=days))
    sentence = f"{found.month}: {found.rows:,} events are back until {found.restored_until:%Y-%m-%d}"
    facts = {"month": str(found.month), "rows": found.rows, "restored_until": found.restored_until}
    print_done(sentence, facts, output)


@usage.command
def rollup(
    *,
    rebuild: Annotated[bool, Parameter(help="Rebuild all rollups from the events that are in the database.")] = False,
    output: Output = "table",
) -> None:
    """Add new events to the rollups that answers are read from; the worker does so continuously."""

    async def work(lib: WorkerContainer) -> int:
        roller = lib.roller()
        return await (roller.rebuild() if rebuild else roller.run())

    added = with_library(work)
    print_done(f"{added:,} events added to the sums", {"added": added}, output)


def _percent(change: Decimal | None) -> Decimal | None:
    return None if change is None else (change * 100).quantize(Decimal("0.1"))


def _event(
    meter: str | None,
    quantity: str,
    user: str | None,
    organization: str | None,
    event_id: str | None,
    metadata: str | None,
) -> dict[str, Any]:
    if meter is None or user is None:
        raise InvalidError("name a meter and --user, as in `faregate usage record api 5 --user ada`; or give --file")
    given = {
        "meter": meter,
        "quantity": exact_json.loads(quantity),
        "user_id": user,
        "organization_id": organization,
        "id": event_id,
        "source": "cli" if event_id else None,
        "metadata": exact_json.loads(metadata) if metadata else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _record(events: list[dict[str, Any]], output: str) -> int:
    async def chunks() -> AsyncGenerator[list[dict[str, Any]]]:
        for first in range(0, len(events), _BATCH_LINES):
            yield events[first : first + _BATCH_LINES]

    clock = SystemClock()
    began = clock.monotonic()
    report = with_library(lambda lib: lib.recorder().record_stream(chunks()))
    seconds = clock.monotonic() - began
    sentence = f"{report.accepted:,} recorded, {report.duplicates:,} known before, {len(report.rejected):,} rejected"
    rejected = [{"item": item.index, "error": item.error} for item in report.rejected]
    facts = {"recorded": report.accepted, "duplicates": report.duplicates, "rejected": rejected}
    print_done(sentence, facts, output)
    if report.accepted > _BATCH_LINES and output == "table":
        console.print(f"{report.accepted / seconds:,.0f} per second")
    for item in report.rejected[:20]:
        errors.print(f"item {item.index}: {item.error}")
    return 1 if report.rejected else 0


async def _write(made: Export, path: Path | None, directory: Path | None) -> None:
    if path is not None and str(path) == "-":
        await _pour(made, sys.stdout.buffer)
        return
    target = _target(made.name, path, directory)
    unfinished = target.with_name(target.name + ".part")
    try:
        with private_file(unfinished) as file:
            await _pour(made, file)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    errors.print(f"{target} ({target.stat().st_size:,} bytes)")


def _target(name: str, path: Path | None, directory: Path | None) -> Path:
    """Return the file to write: `path`, or a file of that `name` in it, or in the `directory` of the settings."""
    if path is not None:
        return path / name if path.is_dir() else path
    place = directory or Path()
    make_private_directory(place)
    return place / name


async def _pour(made: Export, file: Any) -> None:
    async with aclosing(made.chunks) as chunks:
        async for chunk in chunks:
            file.write(chunk)
