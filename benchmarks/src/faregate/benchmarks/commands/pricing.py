"""`faregate bench pricing`: time to price one line."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.cli.shared.output import Format, print_json, print_table

if TYPE_CHECKING:
    from faregate.benchmarks.line_pace import LinePace

__all__ = ["pricing"]

_LIMIT_US = 50


def pricing(
    *,
    calls: Annotated[int, Parameter(help="Number of calls in each of five rounds.")] = 2_000,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> int:
    """Time the pricing of one line, compared with genai-prices (limit: 50 µs); exit 1 if one is slower or gives another price."""
    from faregate.benchmarks.line_pace import CASES, measure_line

    found = [measure_line(case, calls=calls) for case in CASES]
    passed = all(pace.same_price and pace.ours_us <= _LIMIT_US for pace in found)
    if output == "json":
        print_json({"limit_us": _LIMIT_US, "cases": [asdict(pace) for pace in found], "passed": passed})
    else:
        columns = ["case", "Faregate", "genai-prices", "times", "same price"]
        print_table(f"Pricing one line, µs (limit {_LIMIT_US})", columns, [_row(pace) for pace in found])
    return 0 if passed else 1


def _row(pace: LinePace) -> tuple[str, str, str, str, str]:
    times = f"{pace.genai_prices_us / pace.ours_us:.1f}"
    return (pace.case, f"{pace.ours_us:.1f}", f"{pace.genai_prices_us:.1f}", times, "yes" if pace.same_price else "NO")
