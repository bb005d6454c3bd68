"""`faregate bench growth`: costs of settlements and events in growing tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.cli.shared.options import Output
from faregate.cli.shared.output import errors, print_json, print_table
from faregate.core.errors import InvalidError
from faregate.core.runtime import event_loop
from faregate.core.runtime.gc_tuning import raise_gc_thresholds

if TYPE_CHECKING:
    from faregate.benchmarks.growth import Grown

__all__ = ["growth"]

_DIVISORS = (50, 7, 1)
_LIMIT = 1.15


def growth(
    *,
    rows: Annotated[
        int, Parameter(help="Rows in the tables that grow at the end; a fiftieth and a seventh of them before.")
    ] = 50_000_000,
    wallets: Annotated[int, Parameter(help="Number of wallets that the uses are distributed over.")] = 20_000,
    block: Annotated[int, Parameter(help="Settlements, and events, in each of the measured blocks.")] = 2_500,
    output: Output = "table",
) -> int:
    """Growth: measure settlements and events while the tables are filled; exit 1 if one costs over 15 % more processor time.

    A row of a use is its charge, transfer, slice, line, event or claim: 7 in all. The history is a ledger that verifies.
    """
    from faregate.benchmarks.ground import machine, private_ground
    from faregate.benchmarks.growth import measure_growth
    from faregate.benchmarks.growth_sql import ROWS_OF_A_USE

    fewest = max(_DIVISORS) * ROWS_OF_A_USE * wallets
    if rows < fewest:
        raise InvalidError(f"{rows:,} rows are too few for {wallets:,} wallets; give at least {fewest:,}", param="rows")

    async def run() -> tuple[Sequence[Grown], Mapping[str, str]]:
        sizes = [rows // divisor for divisor in _DIVISORS]
        server = {"max_wal_size": "8GB", "checkpoint_timeout": "1h", "shared_buffers": "2GB"}
        async with private_ground(wallets=0, **server) as small, private_ground(wallets=0, **server) as ground:
            raise_gc_thresholds()
            found = await measure_growth(small, ground, sizes, wallets=wallets, block=block, on_progress=_tell)
            return found, machine(ground)

    found, on = event_loop.run(run())
    passed = all(max(each.settlement_ratio, each.event_ratio) <= _LIMIT and not each.drifts for each in found)
    if output == "json":
        told = [{**asdict(grown), "ratios": [grown.settlement_ratio, grown.event_ratio]} for grown in found]
        print_json({"sizes": told, "limit": _LIMIT, "machine": on, "passed": passed})
    else:
        columns = [
            "rows",
            "GB",
            "months",
            "settlement, µs",
            "x",
            "on the clock",
            "event, µs",
            "x",
            "on the clock",
            "drifts",
        ]
        print_table(f"Processor time beside that at {found[0].rows:,} rows", columns, list(map(_row, found)))
        print_table("Measured on", ["", "value"], list(on.items()))
    return 0 if passed else 1


def _tell(rows: int) -> None:
    if errors.is_terminal:
        errors.print(f"{rows:,} rows", end="\r")


def _row(grown: Grown) -> tuple[str, ...]:
    settlement, event = grown.settlement, grown.event
    return (
        *(f"{grown.rows:,}", f"{grown.gigabytes:.2f}", str(grown.partitions)),
        *(f"{settlement.processor:.0f}", f"{grown.settlement_ratio:.2f}", f"{settlement.clock:.0f}"),
        *(f"{event.processor:.1f}", f"{grown.event_ratio:.2f}", f"{event.clock:.1f}", str(grown.drifts)),
    )
