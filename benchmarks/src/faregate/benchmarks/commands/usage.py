"""`faregate bench ingest` and `queries`: usage events and questions over them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from faregate.benchmarks.commands.main import private_database
from faregate.cli.shared.output import Format, console, print_json, print_table
from faregate.core.clock import SystemClock
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.core.db.database import Database
    from faregate.core.settings import Settings
    from faregate.usage.events.recorder import UsageRecorder

__all__ = ["ingest", "queries"]

_Output = Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")]
_CLOCK = SystemClock()
_DAYS = 30
_MANY, _SCALE = 10_000_000, 3
"""From so many varied events on, questions may take so many times as long."""


def ingest(
    *,
    events: Annotated[int, Parameter(help="Number of events to record in each way.")] = 1_000_000,
    broker: Annotated[str | None, Parameter(help="RabbitMQ to use; without it PostgreSQL is the queue.")] = None,
    processes: Annotated[int, Parameter(help="Number of gateway processes, and of worker processes.")] = 2,
    output: _Output = "table",
) -> int:
    """P4, P7: record events by library, HTTP and queue, compared with COPY of the same rows; fsync on. Exit 1 below the targets."""
    found = event_loop.run(_ingest(events, broker, processes))
    passed = all(row["reached"] for row in found["figures"])
    if output == "json":
        print_json({**found, "passed": passed})
    else:
        columns = ["what", "measured", "target", "reached"]
        print_table(f"{events:,} usage events", columns, [tuple(row.values()) for row in found["figures"]])
        print_table("More", ["", "value"], [*found["more"].items(), *found["machine"].items()])
    return 0 if passed else 1


def queries(
    *,
    events: Annotated[int, Parameter(help="Number of events; 10000000 is the second size with limits.")] = 1_000_000,
    rounds: Annotated[int, Parameter(help="How many times each question is asked; the median counts.")] = 7,
    varied: Annotated[
        bool,
        Parameter(
            help="Ask over 70 days of events with many values in each dimension, by 20,000 users of 200 organisations.",
            negative=(),
        ),
    ] = False,
    columnar: Annotated[
        bool,
        Parameter(help="Read facts from a columnar copy (extra columnar), as with FAREGATE_COLUMNAR_DIR.", negative=()),
    ] = False,
    clickhouse: Annotated[
        str | None, Parameter(help="Read facts from a copy in this ClickHouse, as with FAREGATE_CLICKHOUSE_URL.")
    ] = None,
    output: _Output = "table",
) -> int:
    """P5: time the dashboard's questions over 30 days, without cache; some are also asked of the raw facts. Exit 1 above
    the limits.
    """
    found = event_loop.run(_queries(events, rounds, varied=varied, columnar=columnar, clickhouse=clickhouse))
    passed = all(took["ms"] <= took["limit_ms"] for took in found["questions"])
    if output == "json":
        print_json({**found, "passed": passed})
    else:
        _show_questions({**found, "passed": passed})
    return 0 if passed else 1


async def _queries(count: int, rounds: int, *, varied: bool, columnar: bool, clickhouse: str | None) -> dict[str, Any]:
    from faregate.benchmarks.asking import ask_all
    from faregate.benchmarks.events import make_events
    from faregate.benchmarks.metering import fill, memory_mib, roll_up, sizes_mb
    from faregate.benchmarks.varied_events import VARIED_DAYS, make_varied_events
    from faregate.core.settings import load_settings

    days, make = (VARIED_DAYS, make_varied_events) if varied else (_DAYS, make_events)
    scale = _SCALE if count >= _MANY else 1
    async with private_database(10, shared_buffers="1GB") as database:
        report, filled, _ = await fill(database, count, days=days, make=make)
        rolled, used = await roll_up(database)
        sizes = await sizes_mb(database)
        with TemporaryDirectory(prefix="faregate-bench-") as folder:
            place = load_settings(columnar_dir=Path(folder) if columnar else None, clickhouse_url=clickhouse)
            copied = await _copied(database, place, count) if columnar or clickhouse else {}
            asked = await ask_all(database, rounds, days=days, scale=scale, copy=place)
    facts = sizes.pop("usage_event")
    return {
        "events": report.accepted,
        "days": days,
        "varied": varied,
        "fill_seconds": round(filled, 1),
        "roll_up_seconds": round(rolled, 1),
        "roll_up_facts_per_second": round(count / rolled),
        "roll_up_processor_seconds": round(used.total, 1),
        "roll_up_facts_per_processor_second": round(count / used.total),
        "facts_mb": facts,
        "sums_mb": round(sum(sizes.values()), 1),
        "sums_mb_by_table": sizes,
        **copied,
        "questions": [asdict(one) for one in asked],
        "memory_mib": memory_mib(),
    }


async def _copied(database: Database, place: Settings, count: int) -> dict[str, float]:
    """Make the columnar copy, and return how long it took and how large its files are."""
    from faregate.benchmarks.metering import copy_columns

    seconds, used = await copy_columns(database, place)
    files = place.columnar_dir.rglob("*.parquet") if place.columnar_dir is not None else ()
    return {
        "copy_seconds": round(seconds, 1),
        "copy_facts_per_second": round(count / seconds),
        "copy_facts_per_processor_second": round(count / used.total),
        "columns_mb": round(sum(path.stat().st_size for path in files) / 1e6, 1),
    }


def _show_questions(found: dict[str, Any]) -> None:
    columns = ["question", "ms", "most ms", "limit ms", "server ms", "process ms", "raw facts ms"]
    names = ("name", "ms", "most_ms", "limit_ms", "server_ms", "process_ms", "raw_ms")
    rows = [tuple(question[name] for name in names) for question in found["questions"]]
    form = " with many values in each dimension" if found["varied"] else ""
    print_table(f"Questions over {found['events']:,} events of {found['days']} days{form}", columns, rows)
    for name, value in found.items():
        if name not in {"events", "days", "varied", "questions"}:
            console.print(f"{name}: {value}")


async def _ingest(count: int, broker: str | None, processes: int) -> dict[str, Any]:
    from faregate.benchmarks.copying import copy_seconds
    from faregate.benchmarks.events import make_events
    from faregate.benchmarks.ground import broker_versions, machine, private_ground
    from faregate.benchmarks.ingest_rate import measure_http, measure_queue
    from faregate.benchmarks.metering import fill, memory_mib, recorder_of

    async with private_ground(wallets=1, broker_url=broker) as ground:
        database = ground.library.database()
        report, seconds, cpu = await fill(database, count)
        copied = await copy_seconds(database)
        again = await recorder_of(database).record(next(make_events(count, now=_CLOCK.now())))
        buffered = _buffered_us(recorder_of(database))
        by_http = await measure_http(ground, count, processes=processes)
        by_queue = await measure_queue(ground, count, workers=processes)
        on = {**machine(ground), **await broker_versions(ground)}
    figures = [
        _at_least("by library, events/s", report.accepted / seconds, 50_000),
        _at_least("by library, beside raw COPY", copied / seconds, 0.5),
        _at_least(f"by HTTP, NDJSON, {processes} processes, events/s", by_http, 30_000),
        _at_least(f"by queue, arrays, {processes} processes, events/s", by_queue, 30_000),
        {"what": "a buffered record, µs", "measured": f"{buffered:.1f}", "target": "<= 50", "reached": buffered <= 50},
    ]
    more = {
        "raw COPY, events/s": f"{count / copied:,.0f}",
        "µs per event until it is stored, by library": f"{seconds * 1e6 / count:.1f}",
        "of these, processor time of this process": f"{cpu * 1e6 / count:.1f}",
        "sent again": f"{again.accepted} accepted, {again.duplicates} duplicates",
        "memory of this process at its highest, MiB": memory_mib(),
        "queue": "RabbitMQ" if broker else "PostgreSQL",
    }
    return {"events": count, "figures": figures, "more": more, "machine": on}


def _at_least(what: str, measured: float, target: float) -> dict[str, Any]:
    reached = measured >= target
    return {"what": what, "measured": f"{measured:,.2f}", "target": f">= {target:,}", "reached": reached}


def _buffered_us(recorder: UsageRecorder) -> float:
    from faregate.usage.events.buffer import BufferedRecorder
    from faregate.usage.events.event import UsageEvent

    buffered, event = BufferedRecorder(recorder, capacity=10**6), UsageEvent(user_id="anna", service="chat")
    began = _CLOCK.monotonic()
    for _ in range(10_000):
        buffered.record_nowait(event)
    return (_CLOCK.monotonic() - began) * 100
