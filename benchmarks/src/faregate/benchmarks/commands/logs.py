"""`faregate bench redaction` and `faregate bench logs`."""

from typing import Annotated

from cyclopts import Parameter

from faregate.benchmarks.commands.main import private_database
from faregate.cli.shared.output import console, print_table
from faregate.core.clock import SystemClock
from faregate.core.db.subjects import Subjects
from faregate.core.runtime import event_loop

__all__ = ["logs", "redaction"]

_REDACTION_MICROSECONDS = 100
_INGEST_RATIO = 0.2
_SEARCH_MILLISECONDS = 20


def redaction(
    *,
    documents: Annotated[int, Parameter(help="Number of payloads of about one kB to time.")] = 5_000,
    payloads: Annotated[int, Parameter(help="Number of random payloads to check for secrets that survive.")] = 10_000,
    seed: Annotated[int, Parameter(help="Seed of the payloads; the same seed gives the same payloads.")] = 7,
) -> int:
    """Time redaction (limit: 100 µs per kB at p50) and fuzz it; exit 1 if it is slower or a secret survives."""
    from faregate.benchmarks.logs import fuzz, measure_redaction

    pace = measure_redaction(documents=documents, seed=seed)
    console.print(
        f"{pace.name}: p50 {pace.p50:.0f} (limit {_REDACTION_MICROSECONDS}), p95 {pace.p95:.0f}, p99 {pace.p99:.0f}"
    )
    survived = fuzz(payloads=payloads, seed=seed)
    console.print(f"{payloads:,} random payloads with secrets: {survived} still contain one, none failed")
    return 0 if pace.p50 <= _REDACTION_MICROSECONDS and not survived else 1


def logs(
    *,
    ingest: Annotated[int, Parameter(help="Number of logs to record.")] = 64_000,
    batch: Annotated[int, Parameter(help="Number of logs per transaction.")] = 1_000,
    stored: Annotated[int, Parameter(help="Number of logs to search.")] = 1_000_000,
    queries: Annotated[int, Parameter(help="Number of queries per filter.")] = 200,
) -> int:
    """Compare ingest with raw COPY of the same rows (limit: 0.2 of its rate), and time searches (limit: p95 of 20 ms a filter)."""
    return event_loop.run(_logs(ingest, batch, stored, queries))


async def _logs(ingest: int, batch: int, stored: int, queries: int) -> int:
    from faregate.benchmarks.logs import fill, measure_ingest, measure_search
    from faregate.core.settings import isolated_settings
    from faregate.feature_log.container import FeatureLogContainer

    async with private_database(10) as database:
        container = FeatureLogContainer(
            settings=isolated_settings(), database=database, subjects=Subjects(database), clock=SystemClock()
        )
        done = await measure_ingest(container, database, logs=ingest, batch=batch)
        console.print(
            f"ingest: {done.per_second:,.0f} logs/s with validation, redaction and deduplication, two batches at a time; "
            f"raw COPY of the same rows into the same table with its indexes, batch after batch, {done.raw_per_second:,.0f}/s; "
            f"ratio {done.ratio:.2f} (limit {_INGEST_RATIO})"
        )
        await fill(container, database, logs=stored)
        paces = await measure_search(container, queries=queries, logs=stored)
    rows = [(pace.name, pace.p50, pace.p95, "yes" if pace.p95 <= _SEARCH_MILLISECONDS else "NO") for pace in paces]
    print_table(f"Search over {stored:,} logs, ms", ["filter", "p50", "p95", f"≤ {_SEARCH_MILLISECONDS} ms"], rows)
    kept = done.ratio >= _INGEST_RATIO and all(pace.p95 <= _SEARCH_MILLISECONDS for pace in paces)
    return 0 if kept else 1
