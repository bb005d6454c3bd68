"""`faregate bench ingest` and `queries`: usage events and questions over them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from faregate.benchmarks.commands.main import private_database
from faregate.cli.shared.output import Format, console, print_json, print_table
from faregate.core.clock import SystemClock
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.usage.events.recorder import UsageRecorder

__all__ = ["ingest", "queries"]

_Output = Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")]
_CLOCK = SystemClock()


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
    events: Annotated[
        int, Parameter(help="Number of events of 30 days; 10000000 is the second size with limits.")
    ] = 1_000_000,
    rounds: Annotated[int, Parameter(help="How many times each question is asked; the median counts.")] = 7,
    output: _Output = "table",
) -> int:
    """P5: time the dashboard's questions over 30 days, without cache; some are also asked of the raw facts. Exit 1 above
    the limits.
    """
    found = event_loop.run(_queries(events, rounds))
    passed = all(took["ms"] <= took["limit_ms"] for took in found["questions"])
    if output == "json":
        print_json({**found, "passed": passed})
    else:
        _show_questions({**found, "passed": passed})
    return 0 if passed else 1


async def _queries(count: int, rounds: int) -> dict[str, Any]:
    from faregate.benchmarks.asking import ask_all
    from faregate.benchmarks.metering import fill, memory_mib, roll_up

    async with private_database(10, shared_buffers="1GB") as database:
        _, filled, _ = await fill(database, count)
        rolled = await roll_up(database)
        asked = await ask_all(database, rounds)
    return {
        "events": count,
        "fill_seconds": round(filled, 1),
        "roll_up_seconds": round(rolled, 1),
        "roll_up_facts_per_second": round(count / rolled),
        "questions": [asdict(one) | {"limit_ms": one.limit_ms} for one in asked],
        "memory_mib": memory_mib(),
    }


def _show_questions(found: dict[str, Any]) -> None:
    columns = ["question", "ms", "most ms", "limit ms", "raw facts ms"]
    rows = [(q["name"], q["ms"], q["most_ms"], q["limit_ms"], q["raw_ms"]) for q in found["questions"]]
    print_table(f"Questions over {found['events']:,} events of 30 days", columns, rows)
    for name in ("fill_seconds", "roll_up_seconds", "roll_up_facts_per_second", "memory_mib", "passed"):
        console.print(f"{name}: {found[name]}")


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
