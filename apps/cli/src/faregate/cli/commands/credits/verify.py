"""`faregate verify`: the proof of all balances from the transfers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from faregate.cli.shared.deployment import database_name, existing_deployment
from faregate.cli.shared.output import Format, console, errors, print_json, print_table
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faregate.core.db.database import Database
    from faregate.core.settings import Settings
    from faregate.credit.proof.verify import Drift, Verification

__all__ = ["prove", "run_verify", "show", "show_drifts", "verify"]


def verify(
    *,
    new: Annotated[
        bool, Parameter(help="Check only transfers after the last clean run, and trust that run.", negative="")
    ] = False,
    remember: Annotated[bool, Parameter(help="After a clean run, store how far it came, for --new.")] = True,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> int:
    """Derive every balance again from the transfers; if any differs, print the first divergence and exit 1."""
    settings = existing_deployment()
    found = event_loop.run(run_verify(settings, since_heads=new, remember=remember))
    if output == "json":
        print_json({**asdict(found), "clean": not found.drifts})
    else:
        show(found)
        console.print(f"in {database_name(settings)}", highlight=False, markup=False, soft_wrap=True)
    return 1 if found.drifts else 0


async def run_verify(settings: Settings, *, since_heads: bool = False, remember: bool = False) -> Verification:
    """Verify the database that `settings` name."""
    from faregate.core.container import make_database

    database = make_database(settings)
    await database.open()
    try:
        return await prove(database, since_heads=since_heads, remember=remember)
    finally:
        await database.close()


async def prove(database: Database, *, since_heads: bool = False, remember: bool = False) -> Verification:
    """Verify an open database, with a progress bar on a terminal."""
    from faregate.credit.proof.verify import Verifier

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("verifying", total=None)
        return await Verifier(database).verify(
            since_heads=since_heads,
            remember=remember,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def show(found: Verification) -> None:
    """Print the result for people."""
    looked = f"{found.wallets:,} wallets, {found.charges:,} charges, {found.transfers:,} transfers"
    if not found.drifts:
        console.print(f"[green]verified[/]: {looked}; every balance follows from its transfers")
        return
    console.print(f"[red]drift[/] in {looked}; first divergence: {_sentence(found.drifts[0])}", highlight=False)
    show_drifts(found.drifts)


def show_drifts(drifts: Sequence[Drift]) -> None:
    """Print divergences as a table."""
    rows = [
        (str(d.wallet_id or ""), str(d.seq or ""), d.item or "", d.check, _text(d.stored), _text(d.derived))
        for d in drifts
    ]
    columns = ["wallet", "seq", "of", "check", "stored", "derived"]
    print_table("Stored values that do not follow from the transfers", columns, rows)


def _sentence(drift: Drift) -> str:
    place = [f"wallet {drift.wallet_id}"] if drift.wallet_id is not None else []
    place += [f"seq {drift.seq}"] if drift.seq is not None else []
    place += [drift.item] if drift.item is not None else []
    where = ", ".join(place)
    return f"{where}: {drift.check} is {_text(drift.stored)}, expected {_text(drift.derived)}"


def _text(value: int | str | None) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if value is None:
        return "nothing"
    return f"{value[:12]}…" if len(value) == 64 else value
