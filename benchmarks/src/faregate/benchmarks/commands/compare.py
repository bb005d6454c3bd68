"""`faregate bench compare`: figures beside those of earlier commits."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.cli.shared.options import Output
from faregate.cli.shared.output import console, print_json, print_table
from faregate.core.clock import SystemClock
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.benchmarks.history import FigureChange

__all__ = ["compare"]

_HISTORY = Path("docs/evidence/history.jsonl")
_TOLERANCE_PERCENT = 20


def compare(
    *,
    history: Annotated[Path, Parameter(help="The file with the figures of earlier commits.")] = _HISTORY,
    keep: Annotated[bool, Parameter(help="Add the figures of this run to the file.")] = False,
    size: Annotated[int, Parameter(help="Number of settlements; the other counts follow from it.")] = 9_000,
    output: Output = "table",
) -> int:
    """Run short forms of settle, start, ingest and export, each beside its reference, and compare with the last five
    measurements in the history. A run is short: look at the benchmark itself before you believe a figure. Exit 1 if one is
    slower by over 20 %.
    """
    from faregate.benchmarks import history as kept
    from faregate.benchmarks.ground import machine, private_ground
    from faregate.benchmarks.short_runs import measure_short

    earlier = kept.read(history)

    async def run() -> tuple[Mapping[str, float], Mapping[str, str]]:
        async with private_ground(wallets=1_000) as ground:
            return await measure_short(ground, wallets=1_000, size=size), machine(ground)

    figures, on = event_loop.run(run())
    now = kept.FigureEntry(_commit(), SystemClock().now().strftime("%Y-%m-%d"), on["cpu"], _rounded(figures))
    found = kept.changes(earlier, now)
    slower = [change for change in found if change.is_slower(_TOLERANCE_PERCENT)]
    if earlier and output != "json":
        console.print(
            f"{len(earlier)} measurements before, the last one on {earlier[-1].measured_on}: {earlier[-1].cpu}"
        )
    _show(found, output, passed=not slower)
    if keep:
        kept.keep(history, now)
    return 1 if slower else 0


def _rounded(figures: Mapping[str, float]) -> Mapping[str, float]:
    return {name: round(figure, 3) for name, figure in figures.items()}


def _show(found: Sequence[FigureChange], output: str, *, passed: bool) -> None:
    rows = [(change.name, change.before, change.now, change.ratio) for change in found]
    if output == "json":
        names = ("name", "before", "now", "ratio")
        print_json({"figures": [dict(zip(names, row, strict=True)) for row in rows], "passed": passed})
        return
    print_table("Short runs, each beside its reference (more is faster)", ["figure", "before", "now", "times"], rows)
    console.print("none is slower by over 20 %" if passed else "[red]slower by over 20 %[/]: run its benchmark in full")


def _commit() -> str:
    done = subprocess.run(
        ["/usr/bin/env", "git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
