"""`faregate bench lease`: time of one local decision."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.cli.shared.output import Format, print_json, print_table

if TYPE_CHECKING:
    from faregate.benchmarks.lease_pace import LeasePace

__all__ = ["lease"]

_LIMIT_US = 200
_UNLIMITED = "journal, fsync"
"""Its time is the disk's."""


def lease(
    *,
    uses: Annotated[int, Parameter(help="Number of uses decided in each case; with fsync a hundredth.")] = 20_000,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> int:
    """Time local decisions of a lease, with and without a journal (limit: p99 0.2 ms); exit 1 if one without fsync is slower."""
    from faregate.benchmarks.lease_pace import CASES, measure_lease

    found = [
        asyncio.run(measure_lease(case, uses=max(1, uses // 100) if case == _UNLIMITED else uses)) for case in CASES
    ]
    passed = all(pace.p99_us <= _LIMIT_US for pace in found if pace.case != _UNLIMITED)
    if output == "json":
        print_json({"limit_us": _LIMIT_US, "cases": [asdict(pace) for pace in found], "passed": passed})
    else:
        columns = ["case", "uses", "p50", "p99", "worst", "limit of p99"]
        print_table("Decision of one use, µs", columns, [_row(pace) for pace in found])
    return 0 if passed else 1


def _row(pace: LeasePace) -> tuple[str, str, str, str, str, str]:
    limit = "none" if pace.case == _UNLIMITED else str(_LIMIT_US)
    return (pace.case, f"{pace.uses:,}", f"{pace.p50_us:.1f}", f"{pace.p99_us:.1f}", f"{pace.worst_us:.1f}", limit)
