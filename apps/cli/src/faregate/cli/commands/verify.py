"""`faregate verify`: prove that every balance follows from the transfers."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from faregate.cli.output import Format, console, print_json, print_table
from faregate.core import aio
from faregate.core.container import make_database
from faregate.core.settings import Settings, load_settings
from faregate.credit.verify import Verification, Verifier

__all__ = ["verify"]


def verify(*, output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table") -> int:
    """Derive every balance again from the transfers; exit 1 and name the first divergence if there is one."""
    found = aio.run(run_verify(load_settings()))
    if output == "json":
        print_json({**asdict(found), "clean": not found.drifts})
    else:
        show(found)
    return 1 if found.drifts else 0


async def run_verify(settings: Settings) -> Verification:
    """Verify the database that `settings` name."""
    database = make_database(settings)
    await database.open()
    try:
        return await Verifier(database).verify()
    finally:
        await database.close()


def show(found: Verification) -> None:
    """Print the result for people."""
    looked = f"{found.wallets:,} wallets, {found.charges:,} charges, {found.transfers:,} transfers"
    if not found.drifts:
        console.print(f"[green]verified[/]: {looked}; every balance follows from its transfers")
        return
    first = found.drifts[0]
    console.print(f"[red]drift[/] in {looked}; first: wallet {first.wallet_id}, {first.check}")
    rows = [(drift.wallet_id, drift.check, drift.stored, drift.derived) for drift in found.drifts]
    print_table("Stored numbers that do not follow from the transfers", ["wallet", "check", "stored", "derived"], rows)
