"""`faregate bills`: bills of providers, and how they differ from the ledger."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited, note
from faregate.cli.shared.options import Actor, Limit, Output, decimal_of, moment_of
from faregate.cli.shared.output import console, print_done, print_json, print_table
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError

if TYPE_CHECKING:
    from faregate.analytics.bills.values import BillImport, Comparison, Difference
    from faregate.worker.container import WorkerContainer

__all__ = ["bills"]

bills = App(name="bills", help="Import bills of providers, and compare them with the ledger.")

Source = Annotated[str, Parameter(help="openai, anthropic, openrouter or csv.")]
ImportId = Annotated[str, Parameter(help="Id of an import, as `faregate bills list` shows it.")]
_IMPORT = ["import", "source", "provider", "from", "to", "lines", "known", "replaced", "cost (USD)", "file"]
_DIFFERENCE = ["kind", "day", "about", "billed (USD)", "ledger (USD)", "lines of the bill", "uses"]
_ROWS_SHOWN = 3


@bills.command(name="import")
@audited("bills.import_bill", target=("source", "provider"), apart=True)
def import_bill(
    source: Source,
    file: Annotated[Path, Parameter(help="An answer of the provider's API as JSON, or a CSV.")],
    *column: Annotated[str, Parameter(help="For csv: field=Column, such as time=Date model=Model cost_usd=Total.")],
    provider: Annotated[str | None, Parameter(help="For csv: the provider whose bill it is.")] = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Import the export of a provider, as a whole or not at all. Safe to repeat."""
    from faregate.analytics.bills.values import BillSource

    if source not in list(BillSource):
        raise InvalidError(f"source {source!r} is none of {', '.join(BillSource)}", param="source")
    content, mapping = file.read_bytes(), dict(_pair(each) for each in column)

    async def work(lib: WorkerContainer) -> BillImport:
        return await lib.bills().import_file(
            content,
            BillSource(source),
            provider=provider,
            mapping=mapping or None,
            file_name=file.name,
            actor=actor_of(actor),
        )

    made = with_library(work)
    sentence = (
        f"{made.lines:,} lines of {made.provider}: {made.added:,} new, {made.known:,} known, {made.replaced:,} replaced"
    )
    print_done(sentence, asdict(made), output)


@bills.command(name="list")
def list_bills(*, limit: Limit = 100, output: Output = "table") -> None:
    """List the imports, newest first."""
    found = with_library(lambda lib: lib.bills().imports(limit=limit))
    if output == "json":
        print_json([asdict(made) for made in found])
        return
    rows = [
        (str(m.import_id), m.source, m.provider, _day(m.start), _day(m.end), m.lines, m.known, m.replaced, m.cost_usd, m.file_name)
        for m in found
    ]  # fmt: skip
    print_table("Imported bills", _IMPORT, rows)


@bills.command
def lines(
    import_id: ImportId,
    *,
    after: Annotated[int, Parameter(help="Number of the line to begin behind.")] = 0,
    limit: Limit = 100,
    output: Output = "table",
) -> None:
    """List the lines that an import added, in the order of the file."""
    found = with_library(lambda lib: lib.bills().lines(_id(import_id), after=after, limit=limit))
    if output == "json":
        print_json([asdict(each.line) for each in found])
        return
    rows = [
        (n.number, n.start, n.model, n.token_type, sum(n.tokens.values()), n.cost_usd, n.request_id)
        for n in (each.line for each in found)
    ]
    print_table("Lines", ["line", "from", "model", "type", "tokens", "cost (USD)", "request"], rows)


@bills.command
def compare(
    provider: str,
    *,
    since: Annotated[
        str | None, Parameter(name="--from", help="First day (UTC); by default the first of the bills.")
    ] = (None),
    until: Annotated[
        str | None, Parameter(name="--to", help="Day after the last one; by default after the last of the bills.")
    ] = (None),
    tolerance_usd: Annotated[str, Parameter(help="How far two costs may be apart.")] = "0",
    late_days: Annotated[int, Parameter(help="How many days apart a use may stand on both sides.")] = 2,
    output: Output = "table",
) -> int:
    """Compare the bills of a provider with the ledger, and print each difference with its rows; exit 1 if there is one."""
    start = moment_of(since, param="since") if since else None
    end = moment_of(until, param="until") if until else None
    tolerance = decimal_of(tolerance_usd, param="tolerance_usd")

    async def work(lib: WorkerContainer) -> Comparison:
        return await lib.bills().compare(provider, start=start, end=end, tolerance_usd=tolerance, late_days=late_days)

    found = with_library(work)
    if output == "json":
        differences = [_facts(each) for each in found.differences]
        print_json({**asdict(found), "counts": dict(found.counts), "differences": differences})
        return 1 if found.differences else 0
    console.print(
        f"{found.provider}, {found.start:%Y-%m-%d} to {found.end:%Y-%m-%d}: {found.bill_lines:,} lines of the bill, "
        f"{found.billed_usd} USD; {found.ledger_lines:,} lines of the ledger, {found.ledger_usd} USD",
        highlight=False,
        soft_wrap=True,
    )
    if not found.differences:
        console.print("no difference")
        return 0
    print_table("Differences", _DIFFERENCE, [_row(each) for each in found.differences])
    return 1


@bills.command
@audited("bills.remove_bill", target=("import_id",), apart=True)
def remove(import_id: ImportId, *, output: Output = "table") -> None:
    """Remove an import; the lines that it took the place of count again."""
    wanted = _id(import_id)
    with_library(lambda lib: lib.bills().remove(wanted))
    note(import_id=str(wanted))
    print_done(f"import {wanted} removed", {"import_id": str(wanted)}, output)


def _facts(each: Difference) -> dict[str, Any]:
    days = {"day": str(each.day), "other_day": str(each.other_day) if each.other_day else None}
    return {**asdict(each), **days, "amount_usd": each.amount_usd}


def _row(each: Difference) -> tuple[Any, ...]:
    day = f"{each.day} ({each.other_day})" if each.other_day else str(each.day)
    rows = [f"{str(made)[-6:]}:{number}" for made, number in each.bill_rows]
    uses = [f"{key}/{number}" for key, number in each.lines]
    kind = f"{each.kind} ({each.side})" if each.side else each.kind
    about = " ".join(part for part in (each.model, each.token_type, each.request_id) if part)
    return kind, day, about, each.billed_usd, each.ledger_usd, _some(rows), _some(uses)


def _some(items: list[str]) -> str:
    more = f" and {len(items) - _ROWS_SHOWN} more" if len(items) > _ROWS_SHOWN else ""
    return ", ".join(items[:_ROWS_SHOWN]) + more


def _day(moment: Any) -> str | None:
    return f"{moment:%Y-%m-%d}" if moment is not None else None


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidError(
            f"import_id {text!r} is no id such as `faregate bills list` shows", param="import_id"
        ) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise InvalidError(f"{text!r} is not of the form field=Column, such as cost_usd=Total", param="column")
    return name, value
