"""`faregate plans`: features, terms and recurring credits of subscribers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited, note
from faregate.cli.shared.definition_files import changes_between, entries_in, show_changes
from faregate.cli.shared.options import Actor, Output
from faregate.cli.shared.output import console, print_json, print_table
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library

if TYPE_CHECKING:
    from faregate.worker.container import WorkerContainer

__all__ = ["plans"]

plans = App(name="plans", help="Show plans, and define them from a file.")


@plans.command(name="list")
def list_plans(*, output: Output = "table") -> None:
    """List all plans."""
    from faregate.usage.features.documents import plan_content

    catalog = with_library(lambda lib: lib.catalog().current())
    found = [catalog.plans[key] for key in sorted(catalog.plans)]
    if output == "json":
        print_json([plan_content(plan) for plan in found])
        return
    rows = [(p.key, p.name, p.margin_percent, ", ".join(sorted(p.features)), len(p.grants)) for p in found]
    print_table("Plans", ["key", "name", "margin %", "features", "grants"], rows)


@plans.command
@audited("plans.apply", when="yes")
def apply(
    file: Path,
    *,
    yes: Annotated[
        bool, Parameter(name=["--yes", "-y"], help="Apply the changes; without it they are only shown.")
    ] = False,
    output: Output = "table",
    actor: Actor = None,
) -> None:
    """Define the plans of a TOML or JSON file; plans that the file does not name stay as they are."""
    from faregate.usage.features.documents import PlanDocument, plan_content, read_document

    entries = entries_in(file, "plans")
    wanted = [read_document(PlanDocument, entry, name=key).plan(key) for key, entry in entries.items()]

    async def work(lib: WorkerContainer) -> None:
        catalog = lib.catalog()
        known = (await catalog.current()).plans
        differing = [
            changes_between(p.key, plan_content(known[p.key]) if p.key in known else None, plan_content(p))
            for p in wanted
        ]
        show_changes([change for changes in differing for change in changes], output=output)
        if yes:
            note(before=[known[key] for key in sorted(entries) if key in known], after=wanted, keys=sorted(entries))
            await catalog.save_all([], wanted, actor=actor_of(actor))

    with_library(work)
    if output == "table":
        console.print(f"{len(wanted)} plans applied" if yes else "not applied; --yes does it")
