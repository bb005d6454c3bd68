"""`faregate columnar`: the columnar copy of usage events."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from cyclopts import App

from faregate.cli.shared.options import Output
from faregate.cli.shared.output import print_done, print_facts
from faregate.cli.shared.session import with_library

if TYPE_CHECKING:
    from faregate.analytics.columnar.values import CopyStatus
    from faregate.worker.container import WorkerContainer

__all__ = ["columnar"]

columnar = App(name="columnar", help="Keep the columnar copy of usage events, and show how far it reaches.")


@columnar.command
def copy(*, output: Output = "table") -> None:
    """Copy new events to the files or to ClickHouse, which answer questions with filters; the worker does so every 15 seconds."""

    async def work(lib: WorkerContainer) -> int:
        copier = lib.columnar_copier()
        copier.check()
        return await copier.run(at_once=True)

    copied = with_library(work)
    print_done(f"{copied:,} events copied", {"copied": copied}, output)


@columnar.command
def status(*, output: Output = "table") -> None:
    """Show where the copy is, how many events are in it, and how many wait to be copied."""

    async def work(lib: WorkerContainer) -> CopyStatus:
        copier = lib.columnar_copier()
        copier.check()
        return await copier.status()

    print_facts("Columnar copy", asdict(with_library(work)), output)
