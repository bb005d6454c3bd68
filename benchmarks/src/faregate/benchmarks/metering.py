"""A month of usage events in a database, and their rollups."""

import gc
import resource
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from faregate.analytics.columnar.container import make_place
from faregate.analytics.columnar.copier import ColumnarCopier, CopyLimits
from faregate.analytics.columnar.registry import Registry
from faregate.analytics.rollups.job import Roller
from faregate.benchmarks.events import make_events
from faregate.benchmarks.processor_time import ProcessorTime
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Partitions
from faregate.core.db.subjects import Subjects
from faregate.core.settings import Settings
from faregate.usage.events.recorder import EventLike, UsageRecorder
from faregate.usage.events.reports import IngestReport
from faregate.usage.events.repository import EventRepository
from faregate.usage.features.repository import DefinitionRepository
from faregate.usage.price_book.event_prices import EventPrices
from faregate.usage.price_book.repository import PriceRepository
from faregate.usage.price_book.service import PriceService
from faregate.wire.money import PricingPolicy

__all__ = ["MakeEvents", "copy_columns", "fill", "memory_mib", "recorder_of", "roll_up", "sizes_mb", "vacuum"]

_CLOCK = SystemClock()
_TABLES = ("usage_event", "usage_rollup", "usage_active", "usage_user")
"""The facts, and the tables of sums."""

MakeEvents = Callable[..., Iterator[list[dict[str, Any]]]]
"""A generator of `count` events of the last `days` before `now`, in chunks."""


def recorder_of(database: Database, *, late_days: float = 35) -> UsageRecorder:
    """Return a recorder on a database."""
    partitions = Partitions(database, "usage_event")
    return UsageRecorder(
        database,
        Subjects(database),
        EventRepository(database),
        partitions,
        _CLOCK,
        _prices_of(database),
        late_days=late_days,
    )


def _prices_of(database: Database) -> EventPrices:
    repository, definitions = PriceRepository(database), DefinitionRepository(database)
    return EventPrices(PriceService(database, PricingPolicy(), repository, definitions, _CLOCK))


async def fill(
    database: Database, count: int, *, days: int = 30, make: MakeEvents = make_events
) -> tuple[IngestReport, float, float]:
    """Record `count` events of the last `days`, as `make` generates them.

    Returns:
        The report, and seconds and processor seconds without those spent on generating the events.
    """
    making = making_cpu = 0.0

    async def chunks() -> AsyncIterator[Sequence[EventLike]]:
        nonlocal making, making_cpu
        source = make(count, now=_CLOCK.now(), days=days)
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
    report = await recorder_of(database, late_days=days + 5).record_stream(chunks())
    return report, _CLOCK.monotonic() - began - making, _cpu_seconds() - cpu - making_cpu


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def roll_up(database: Database) -> tuple[float, ProcessorTime]:
    """Make the rollups, and return the seconds and the processor time; table statistics are up to date before and after, as
    autovacuum keeps them.
    """
    await vacuum(database)
    before, began = await ProcessorTime.now(database), _CLOCK.monotonic()
    await Roller(database, Partitions(database, "usage_event")).run()
    seconds, used = _CLOCK.monotonic() - began, await ProcessorTime.now(database) - before
    await vacuum(database)
    return seconds, used


async def copy_columns(database: Database, settings: Settings) -> tuple[float, ProcessorTime]:
    """Make the columnar copy of all facts at the place that the settings name, and return the seconds and the processor time."""
    before, began = await ProcessorTime.now(database), _CLOCK.monotonic()
    await ColumnarCopier(database, Registry(database), make_place(settings), CopyLimits()).run()
    return _CLOCK.monotonic() - began, await ProcessorTime.now(database) - before


async def sizes_mb(database: Database) -> dict[str, float]:
    """Return the sizes of the table of facts and of the tables of sums, with their indexes, in megabytes (10⁶ bytes)."""
    sql = """
    select t.name, pg_total_relation_size(t.relation) / 1e6 + (
      select coalesce(sum(pg_total_relation_size(i.inhrelid)), 0) from pg_inherits i where i.inhparent = t.relation
    ) / 1e6 as size
    from (select name, cast('faregate.' || name as regclass) as relation from unnest(cast(:tables as text[])) as n (name)) t
    """
    async with database.transaction(read_only=True) as session:
        rows = await database.rows(session, sql, tables=list(_TABLES))
    return {row.name: round(float(row.size), 1) for row in rows}


def memory_mib() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def vacuum(database: Database) -> None:
    """Vacuum and analyze all tables."""
    connection = await database.connect()
    await connection.execute("set statement_timeout = 0")
    await connection.execute("vacuum analyze")
    await connection.close()
