"""`faregate bench dashboard`: size, drawing time and answers of the dashboard."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.benchmarks.commands.main import private_database
from faregate.cli.shared.output import Format, errors, print_json, print_table
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.benchmarks.exploring import Explored

__all__ = ["dashboard"]

_SIZE_LIMIT = 60_000
_DRAW_LIMIT_MS = 300
_ANSWER_LIMIT_MS = 300
_SHOWN = 12


def dashboard(
    *,
    points: Annotated[int, Parameter(help="Number of points to draw.")] = 100_000,
    rounds: Annotated[
        int, Parameter(help="Number of drawings, of which the best counts, and of answers, of which the median counts.")
    ] = 5,
    events: Annotated[
        int, Parameter(help="Number of usage events behind the answers; 0 measures no answers.")
    ] = 1_000_000,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> int:
    """Measure the first view (limit: 60 kB after gzip), the drawing of a series in Debian's Chromium (limit: 300 ms), and
    explorations of a month with every two filters (limit: 300 ms). Exit 1 above a limit.
    """
    from faregate.benchmarks.drawing import first_view, measure_drawing

    chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if chromium is None:
        errors.print("chromium is missing; `apt-get install chromium`")
        return 2
    sizes = first_view()
    drawing = event_loop.run(measure_drawing(chromium, points=points, rounds=rounds))
    explored = event_loop.run(_explored(events, rounds)) if events else []
    size = sum(sizes.values())
    slowest = max((each.ms for each in explored), default=0)
    passed = size <= _SIZE_LIMIT and drawing.milliseconds <= _DRAW_LIMIT_MS and slowest <= _ANSWER_LIMIT_MS
    if output == "json":
        answers = [asdict(each) for each in explored]
        found = {"files": sizes, "bytes": size, "drawing": asdict(drawing), "events": events, "answers": answers}
        print_json({**found, "passed": passed})
        return 0 if passed else 1
    rows = [*sorted(sizes.items(), key=lambda item: -item[1]), ("all", size)]
    print_table(f"First view, bytes after gzip (limit {_SIZE_LIMIT})", ["file", "bytes"], rows)
    drawn = [(drawing.points, f"{drawing.milliseconds:.0f}")]
    print_table(f"Drawing, ms (limit {_DRAW_LIMIT_MS})", ["points", "ms"], drawn)
    title = f"Explorations of {events:,} events, the slowest of {len(explored)}, ms (limit {_ANSWER_LIMIT_MS})"
    slow = [(each.name, each.ms, each.most_ms) for each in explored[:_SHOWN]]
    print_table(title, ["filters", "ms", "most ms"], slow)
    return 0 if passed else 1


async def _explored(events: int, rounds: int) -> list[Explored]:
    from faregate.benchmarks.exploring import explore_all
    from faregate.benchmarks.metering import fill, roll_up

    async with private_database(10, shared_buffers="1GB") as database:
        await fill(database, events)
        await roll_up(database)
        return await explore_all(database, rounds)
