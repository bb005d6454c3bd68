"""`faregate bench dashboard`: size and drawing time of the dashboard."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from faregate.cli.shared.output import Format, errors, print_json, print_table

__all__ = ["dashboard"]

_SIZE_LIMIT = 60_000
_DRAW_LIMIT_MS = 300


def dashboard(
    *,
    points: Annotated[int, Parameter(help="Number of points to draw.")] = 100_000,
    rounds: Annotated[int, Parameter(help="Number of drawings; the best one counts.")] = 5,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> int:
    """Measure the first view (limit: 60 kB after gzip) and the drawing of a series in Debian's Chromium (limit: 300 ms)."""
    from faregate.benchmarks.drawing import first_view, measure_drawing

    chromium = shutil.which("chromium")
    if chromium is None:
        errors.print("chromium is missing; `apt-get install chromium`")
        return 2
    sizes = first_view()
    drawing = asyncio.run(measure_drawing(chromium, points=points, rounds=rounds))
    size = sum(sizes.values())
    passed = size <= _SIZE_LIMIT and drawing.milliseconds <= _DRAW_LIMIT_MS
    if output == "json":
        print_json({"files": sizes, "bytes": size, "drawing": asdict(drawing), "passed": passed})
    else:
        rows = [*sorted(sizes.items(), key=lambda item: -item[1]), ("all", size)]
        print_table(f"First view, bytes after gzip (limit {_SIZE_LIMIT})", ["file", "bytes"], rows)
        print_table(
            f"Drawing, ms (limit {_DRAW_LIMIT_MS})", ["points", "ms"], [(drawing.points, f"{drawing.milliseconds:.0f}")]
        )
    return 0 if passed else 1
