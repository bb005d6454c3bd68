"""`faregate bench otlp`: spans of OpenTelemetry."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from faregate.cli.shared.output import Format, print_json, print_table
from faregate.core.runtime import event_loop

__all__ = ["otlp"]

_LIMIT = 5_000


def otlp(
    *,
    spans: Annotated[int, Parameter(help="Number of spans to send each time.")] = 100_000,
    processes: Annotated[int, Parameter(help="Number of gateway processes.")] = 1,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> int:
    """Send spans by OTLP over HTTP, and read back that each is counted; exit 1 below 5,000 spans/s."""
    found = event_loop.run(_otlp(spans, processes))
    if output == "json":
        print_json(found)
    else:
        rows = [(name, value) for name, value in found.items() if name != "machine"]
        print_table("OTLP over HTTP", ["", "value"], [*rows, *found["machine"].items()])
    return 0 if found["passed"] else 1


async def _otlp(spans: int, processes: int) -> dict[str, Any]:
    from faregate.benchmarks.ground import machine, private_ground
    from faregate.benchmarks.otlp_rate import measure_spans

    async with private_ground(wallets=1) as ground:
        rate = await measure_spans(ground, spans, processes=processes)
        database = ground.library.database()
        async with database.transaction(read_only=True) as session:
            ((counted,),) = await database.rows(session, "select sum(requests) from faregate.usage_event")
        on = machine(ground)
    return {
        "spans": spans,
        "processes": processes,
        "spans/s": round(rate),
        "limit, spans/s": _LIMIT,
        "counted": int(counted),
        "passed": rate >= _LIMIT and counted == spans + 1,
        "machine": on,
    }
