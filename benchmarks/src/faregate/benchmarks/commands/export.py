"""`faregate bench export`: P6, exports compared with `psql`."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.analytics.exports.formats import Format
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import console, print_json, print_table
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.benchmarks.exporting import Measured

__all__ = ["export"]

_LIMIT_RATIOS = {Format.CSV: 1.5, Format.NDJSON: 3.0, Format.PARQUET: 3.0}
_MEMORY_LIMIT_MIB = 64


def export(
    *,
    rows: Annotated[int, Parameter(help="Number of events to export.")] = 1_000_000,
    formats: Annotated[
        list[Format] | None, Parameter(help="Formats to measure; csv, ndjson and parquet by default.")
    ] = None,
    rounds: Annotated[int, Parameter(help="How many times each is measured; the best counts.")] = 3,
    output: Output = "table",
) -> int:
    """P6: export events; exit 1 if CSV takes over 1.5 times as long as `psql COPY TO`, NDJSON or Parquet over 3 times, or if memory
    grows by over 64 MiB for CSV.
    """
    kinds = formats or [Format.CSV, Format.NDJSON, Format.PARQUET]
    psql, found = event_loop.run(_measure(rows, kinds, rounds))
    ratios = {one.format: one.seconds / psql for one in found}
    lean = all(one.memory_growth_mib <= _MEMORY_LIMIT_MIB for one in found if one.format is Format.CSV)
    passed = lean and all(ratio <= _LIMIT_RATIOS.get(kind, ratio) for kind, ratio in ratios.items())
    if output == "json":
        print_json({"rows": rows, "psql_seconds": psql, "passed": passed, "exports": [asdict(one) for one in found]})
    else:
        _show(rows, psql, found, passed=passed)
    return 0 if passed else 1


async def _measure(rows: int, kinds: list[Format], rounds: int) -> tuple[float, list[Measured]]:
    from faregate.benchmarks.exporting import fill_events, measure_export, psql_seconds
    from faregate.core.db.database import Database
    from faregate.core.db.embedded import EmbeddedServer
    from faregate.core.db.migrate import upgrade

    with tempfile.TemporaryDirectory(prefix="faregate-bench-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        database = Database(server=EmbeddedServer(Path(directory) / "pg", durable=False), statement_timeout_seconds=600)
        await upgrade(database)
        try:
            question = await fill_events(database, rows)
            psql: list[float] = []
            found: dict[Format, Measured] = {}
            for _ in range(rounds):
                psql.append(await psql_seconds(database))
                for kind in kinds:
                    one = await measure_export(database, question, kind)
                    found[kind] = _better(found.get(kind), one)
            return min(psql), list(found.values())
        finally:
            await database.close()


def _better(known: Measured | None, one: Measured) -> Measured:
    """Return the faster of two runs, with the larger memory growth of the two."""
    from faregate.benchmarks.exporting import Measured

    if known is None:
        return one
    growth = max(known.memory_growth_mib, one.memory_growth_mib)
    fast = min(known, one, key=lambda run: run.seconds)
    return Measured(fast.format, fast.seconds, fast.size_bytes, growth)


def _show(rows: int, psql: float, found: list[Measured], *, passed: bool) -> None:
    columns = ["", "seconds", "times psql", "rows/s", "MB", "memory +MiB"]
    lines = [("psql COPY TO (csv)", psql, 1.0, round(rows / psql), None, None)]
    made = [
        (
            one.format.value,
            one.seconds,
            one.seconds / psql,
            round(rows / one.seconds),
            one.size_bytes / 1e6,
            one.memory_growth_mib,
        )
        for one in found
    ]
    print_table(f"Export of {rows:,} events", columns, [*lines, *made])
    word = "[green]within[/]" if passed else "[red]beyond[/]"
    limits = ", ".join(f"{kind.value} {limit:g}" for kind, limit in _LIMIT_RATIOS.items())
    console.print(f"{word} the limits: times psql {limits}; csv {_MEMORY_LIMIT_MIB} MiB")
