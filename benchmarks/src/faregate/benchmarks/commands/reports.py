"""`faregate bench reports`: weekly reports of many tenants by mail."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from faregate.cli.shared.output import Format, print_json, print_table
from faregate.core.runtime import event_loop

__all__ = ["reports"]

_LIMIT_SECONDS_PER_THOUSAND = 300


def reports(
    *,
    tenants: Annotated[int, Parameter(help="Number of organisations, each with a weekly report.")] = 1_000,
    uses: Annotated[int, Parameter(help="Number of uses of each in each of two weeks.")] = 50,
    attach: Annotated[bool, Parameter(help="Attach the figures as XLSX.")] = True,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> int:
    """Mail the weekly reports of many tenants to a mail server; exit 1 above 5 minutes for a thousand, or if one is wrong."""
    found = event_loop.run(_reports(tenants, uses, attach=attach))
    if output == "json":
        print_json(found)
    else:
        rows = [(name, value) for name, value in found.items() if name != "machine"]
        print_table("Weekly reports by mail", ["", "value"], [*rows, *found["machine"].items()])
    return 0 if found["passed"] else 1


async def _reports(tenants: int, uses: int, *, attach: bool) -> dict[str, Any]:
    from faregate.benchmarks.ground import machine, private_ground
    from faregate.benchmarks.report_pace import mail_reports

    async with private_ground(wallets=1) as ground:
        sent = await mail_reports(ground, tenants, uses, attach=attach)
        on = machine(ground)
    limit = _LIMIT_SECONDS_PER_THOUSAND * max(tenants, 100) / 1000
    complete = sent.mails == sent.recipients == tenants and sent.stated == sent.recorded
    return {
        "tenants": tenants,
        "mails": sent.mails,
        "seconds": round(sent.seconds, 1),
        "limit, seconds": limit,
        "ms per mail": round(sent.seconds * 1000 / max(1, sent.mails), 1),
        "kB per mail": round(sent.kilobytes, 1),
        "credits in all mails": sent.stated,
        "credits recorded": sent.recorded,
        "passed": complete and sent.seconds <= limit,
        "machine": on,
    }
