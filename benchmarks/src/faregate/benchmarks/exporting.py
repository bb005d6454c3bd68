"""P6: time and memory of exports, compared with `psql`."""

import asyncio
import resource
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faregate.analytics.exports.formats import Format
from faregate.analytics.exports.service import ExportService
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.question.filters import Question, TimeRange
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.rollups.repository import RollupRepository
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.embedded import postgres_program
from faregate.core.db.partitions import Month, Partitions
from faregate.core.errors import ConfigurationError
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["Measured", "fill_events", "measure_export", "psql_seconds"]

_USERS = 5_000
_SUBJECTS = """
insert into faregate.subject (external_id) select 'user-' || n from generate_series(1, :users) n
on conflict (external_id) do nothing
"""

_EVENTS = """
insert into faregate.usage_event (time, event_key, kind, subject_id, service, feature_key, usage_key, model, provider,
  requests, calls, input_tokens, output_tokens, credits, charged, cost, latency_ms, status, country, device, source,
  external_id, metadata)
select cast(:start as timestamptz) + n * interval '1 second', gen_random_uuid(), 0,
  (select min(subject_id) from faregate.subject) + n % :users, 'chat', 'chat_v1', 'use-' || n, 'gpt-4o', 'openai',
  1, 1, 1000 + n % 500, 100 + n % 50, 420000 + n % 1000, 420000 + n % 1000, 3500000000 + n, 300 + n % 900,
  case when n % 50 = 0 then 500 else 200 end, 'DE', 'desktop', 'bench', 'e' || n,
  jsonb_build_object('endpoint', '/chat', 'n', n)
from generate_series(cast(:first as bigint), cast(:last as bigint)) n
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one export."""

    format: Format
    seconds: float
    size_bytes: int
    memory_growth_mib: float


async def fill_events(database: Database, rows: int) -> Question:
    """Write `rows` events, one per second, and return the question that selects all of them."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    end = start + timedelta(seconds=rows + 1)
    months = [Month.of(start + timedelta(days=days)) for days in range((end - start).days + 2)]
    await Partitions(database, "usage_event").ensure(sorted(set(months)))
    async with database.transaction() as session:
        await database.rows(session, _SUBJECTS, users=_USERS)
    for first in range(1, rows + 1, 100_000):
        async with database.transaction() as session:
            last = min(first + 99_999, rows)
            await database.rows(session, _EVENTS, start=start, users=_USERS, first=first, last=last)
    connection = await database.connect()
    await connection.execute("set statement_timeout = 0")
    await connection.execute(database.sql.text("vacuum analyze faregate.usage_event"))
    await connection.close()
    return Question(TimeRange(start, end))


async def psql_seconds(database: Database) -> float:
    """Return the seconds that `psql` needs to COPY the whole table to /dev/null."""
    clock, statement = (
        SystemClock(),
        database.sql.text("copy (select * from faregate.usage_event) to stdout csv header"),
    )
    began = clock.monotonic()
    with Path("/dev/null").open("wb") as target:  # noqa: ASYNC230  it never blocks
        process = await asyncio.create_subprocess_exec(_psql(), database.url, "-qc", statement, stdout=target)
        if await process.wait() != 0:
            raise ConfigurationError("psql failed; its message is printed above")
    return clock.monotonic() - began


async def measure_export(database: Database, question: Question, kind: Format) -> Measured:
    """Export everything to /dev/null; the memory figure is the growth of the process at its peak."""
    clock, archived = SystemClock(), ArchivedMonths(database)
    rollups = RollupRepository(database, archived)
    meters = KnownMeters(database, MeterCatalog(database), rollups)
    service = ExportService(database, clock, archived, KnownModels(rollups), meters)
    before, began, size = _peak_mib(), clock.monotonic(), 0
    with Path("/dev/null").open("wb") as target:  # noqa: ASYNC230  it never blocks
        async with aclosing(service.events(question, kind).chunks) as chunks:
            async for chunk in chunks:
                size += target.write(chunk)
    return Measured(kind, clock.monotonic() - began, size, _peak_mib() - before)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _psql() -> str:
    """Return the `psql` of the embedded server, or else the one on the path."""
    try:
        return str(postgres_program("psql"))
    except ConfigurationError:
        return "psql"
