"""Short forms of the benchmarks with a reference in the same run."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from faregate.analytics.exports.formats import Format
from faregate.benchmarks.copying import copy_seconds
from faregate.benchmarks.exporting import fill_events, measure_export, psql_seconds
from faregate.benchmarks.ground import Ground
from faregate.benchmarks.metering import fill
from faregate.benchmarks.settle_rate import measure_settlements
from faregate.benchmarks.start_rate import measure_starts
from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.db.migrate import upgrade

__all__ = ["measure_short"]

_ROUNDS = 3
"""Short runs are easily disturbed: the best of some counts."""
_FORMATS = (Format.CSV, Format.NDJSON, Format.PARQUET)


async def measure_short(ground: Ground, *, wallets: int, size: int) -> Mapping[str, float]:
    """Return rates divided by those of their references: pgbench, a bare endpoint, raw COPY, `psql`.

    Args:
        size: number of settlements; thirty times as many events are recorded, and fifteen times as many exported.
    """
    settled = await measure_settlements(
        ground, wallets=wallets, messages=size, workers=2, on_progress=_unseen, clients=(8,), seconds=2
    )
    started = [
        await measure_starts(ground, users=wallets, seconds=3, connections=50, processes=1) for _ in range(_ROUNDS)
    ]
    report, seconds, _ = await fill(ground.library.database(), 30 * size)
    copied = await copy_seconds(ground.library.database())
    return {
        "settle beside pgbench": settled.ratio,
        "start beside a bare endpoint": max(found.ratio for found in started),
        "record events beside raw COPY": copied / seconds * report.accepted / (30 * size),
        **await _exports(15 * size),
    }


def _unseen(_what: str, _done: int) -> None:
    """Show no progress: a short run is over soon."""


async def _exports(rows: int) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="faregate-bench-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        database = Database(server=EmbeddedServer(Path(directory) / "pg", durable=False), statement_timeout_seconds=600)
        await upgrade(database)
        try:
            question = await fill_events(database, rows)
            psql = min([await psql_seconds(database) for _ in range(_ROUNDS)])
            found = [await measure_export(database, question, kind) for kind in _FORMATS for _ in range(_ROUNDS)]
        finally:
            await database.close()
    fastest = {one.format: one.seconds for one in sorted(found, key=lambda one: one.seconds, reverse=True)}
    return {f"export {kind.value} beside psql": psql / fastest[kind] for kind in _FORMATS}
