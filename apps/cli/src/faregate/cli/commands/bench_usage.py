"""`faregate bench ingest | queries`: usage events beside raw COPY, and the dashboard's questions over them."""

import gc
import io
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, timedelta
from statistics import median
from typing import Annotated, Any, cast

from cyclopts import Parameter

from faregate.analytics.facts import FactReader
from faregate.analytics.filters import Filters, Question, TimeRange
from faregate.analytics.raw_repository import RawRepository
from faregate.analytics.rolling import Roller
from faregate.analytics.rollup_repository import RollupRepository
from faregate.analytics.service import AnalyticsService
from faregate.cli.benches.events import make_events
from faregate.cli.commands.bench import private_database
from faregate.cli.output import Format, console, print_json
from faregate.core import aio
from faregate.core.clock import SystemClock
from faregate.core.database import Database
from faregate.core.partitions import Partitions
from faregate.core.subjects import Subjects
from faregate.usage.buffering import BufferedRecorder
from faregate.usage.event_repository import EventRepository
from faregate.usage.events import UsageEvent
from faregate.usage.recording import EventLike, IngestReport, UsageRecorder

__all__ = ["ingest", "queries"]

_Output = Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")]
_CLOCK = SystemClock()


def ingest(
    *, events: Annotated[int, Parameter(help="Events to take in.")] = 1_000_000, output: _Output = "table"
) -> int:
    """P4, P7: take in events by library, beside COPY of the same rows into the same table; exit 1 below the targets."""
    found = aio.run(_ingest(events))
    passed = found["ratio"] >= 0.5 and found["events_per_second"] >= 70_000 and found["buffered_us"] <= 50
    _show({**found, "passed": passed}, output)
    return 0 if passed else 1


def queries(
    *,
    events: Annotated[int, Parameter(help="Events of 30 days.")] = 1_000_000,
    rounds: Annotated[int, Parameter(help="How often each question is asked.")] = 7,
    output: _Output = "table",
) -> int:
    """P5: the dashboard's questions over 30 days, without cache, beside the same asked of the raw facts."""
    found = aio.run(_queries(events, rounds))
    passed = all(took["ms"] <= took["limit_ms"] for took in found["questions"].values())
    _show({**found, "passed": passed}, output)
    return 0 if passed else 1


def _recorder(database: Database) -> UsageRecorder:
    partitions = Partitions(database, "usage_event")
    return UsageRecorder(database, Subjects(database), EventRepository(database), partitions, _CLOCK)


async def _ingest(count: int) -> dict[str, Any]:
    async with private_database(10) as database:
        report, seconds, cpu = await _fill(database, count)
        copied = await _copy_seconds(database)
        again = await _recorder(database).record(next(make_events(count, now=_CLOCK.now())))
        buffered = _buffered_us(_recorder(database))
    return {
        "events": report.accepted,
        "events_per_second": round(count / seconds),
        "copy_events_per_second": round(count / copied),
        "ratio": round(copied / seconds, 3),
        "microseconds_per_event": {
            "until it is stored": round(seconds * 1e6 / count, 1),
            "processor time of this process": round(cpu * 1e6 / count, 1),
            "copy alone": round(copied * 1e6 / count, 1),
        },
        "resent": {"accepted": again.accepted, "duplicates": again.duplicates},
        "buffered_us": round(buffered, 2),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


async def _fill(database: Database, count: int) -> tuple[IngestReport, float, float]:
    """Take in `count` events, and return seconds and processor seconds; those spent on making them up do not count."""
    making = making_cpu = 0.0

    async def chunks() -> AsyncIterator[Sequence[EventLike]]:
        nonlocal making, making_cpu
        source = make_events(count, now=_CLOCK.now())
        while True:
            began, cpu = _CLOCK.monotonic(), _cpu_seconds()
            chunk = next(source, None)
            making += _CLOCK.monotonic() - began
            making_cpu += _cpu_seconds() - cpu
            if chunk is None:
                return
            yield chunk

    gc.collect()
    began, cpu = _CLOCK.monotonic(), _cpu_seconds()
    report = await _recorder(database).record_stream(chunks())
    return report, _CLOCK.monotonic() - began - making, _cpu_seconds() - cpu - making_cpu


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _copy_seconds(database: Database) -> float:
    """Time raw COPY of the same rows into a table of the same form with the same indexes."""
    connection = await database.connect()
    try:
        await connection.execute("set statement_timeout = 0")
        rows = io.BytesIO()
        await connection.copy_from_query("select * from faregate.usage_event", output=rows, format="csv")
        await connection.execute(
            "create table raw_copy (like faregate.usage_event including all) partition by range (time)"
        )
        await connection.execute("create table raw_copy_1 partition of raw_copy default")
        rows.seek(0)
        began = _CLOCK.monotonic()
        await connection.copy_to_table("raw_copy", source=rows, format="csv")
        return _CLOCK.monotonic() - began
    finally:
        await connection.close()


def _buffered_us(recorder: UsageRecorder) -> float:
    buffered, event = BufferedRecorder(recorder, capacity=10**6), UsageEvent(user_id="anna", service="chat")
    began = _CLOCK.monotonic()
    for _ in range(10_000):
        buffered.record_nowait(event)
    return (_CLOCK.monotonic() - began) * 100


async def _queries(count: int, rounds: int) -> dict[str, Any]:
    async with private_database(10) as database:
        await _fill(database, count)
        began = _CLOCK.monotonic()
        await Roller(database, Partitions(database, "usage_event")).run()
        rolled = _CLOCK.monotonic() - began
        connection = await database.connect()
        await connection.execute("set statement_timeout = 0")
        await connection.execute("vacuum analyze")
        await connection.close()
        raw = RawRepository(database)
        analytics = AnalyticsService(
            database, FactReader(raw, RollupRepository(database), Subjects(database)), Subjects(database)
        )
        took = {name: await _timed(ask, rounds, limit) for name, (ask, limit) in _questions(analytics).items()}
        return {"events": count, "roll_up_seconds": round(rolled, 1), "questions": took}


def _questions(analytics: AnalyticsService) -> dict[str, tuple[Callable[[], Awaitable[object]], float]]:
    end = _CLOCK.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    span = TimeRange(end - timedelta(days=30), end)
    every, chat = Question(span), Question(span, Filters(service="chat"))
    two = Question(span, Filters(service="chat", country="DE"))
    india = Question(TimeRange(span.start, span.end, "Asia/Kolkata"))
    return {
        "metrics": (lambda: analytics.metrics(every), 30),
        "metrics, one service": (lambda: analytics.metrics(chat), 30),
        "services": (lambda: analytics.breakdown(every, "service"), 30),
        "models": (lambda: analytics.breakdown(every, "model"), 30),
        "models, one service": (lambda: analytics.breakdown(chat, "model"), 30),
        "series by day": (lambda: analytics.series(every, "day"), 30),
        "series by day in India": (lambda: analytics.series(india, "day"), 300),
        "series by hour, one service": (lambda: analytics.series(chat, "hour"), 30),
        "top users": (lambda: analytics.top_users(every), 60),
        "top users, one service": (lambda: analytics.top_users(chat), 60),
        "one user": (lambda: analytics.metrics(Question(span, Filters(user_id="user-1"))), 30),
        "services, two filters": (lambda: analytics.breakdown(two, "service"), 300),
        "metrics, two filters": (lambda: analytics.metrics(two), 300),
    }


async def _timed(ask: Callable[[], Awaitable[object]], rounds: int, limit_ms: float) -> dict[str, float]:
    took: list[float] = []
    for _ in range(rounds):
        began = _CLOCK.monotonic()
        await ask()
        took.append((_CLOCK.monotonic() - began) * 1000)
    return {"ms": round(median(took), 1), "limit_ms": limit_ms}


def _show(found: dict[str, Any], output: Format) -> None:
    if output == "json":
        print_json(found)
        return
    for name, value in found.items():
        if isinstance(value, dict) and name == "questions":
            for question, took in cast("dict[str, dict[str, float]]", value).items():
                console.print(f"  {question:32} {took['ms']:8.1f} ms   limit {took['limit_ms']:g} ms")
        else:
            console.print(f"{name}: {value}")
