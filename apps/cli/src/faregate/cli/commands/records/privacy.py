"""`faregate privacy`: export and erasure of a user's personal data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited, in_audit, note
from faregate.cli.shared.deployment import existing_deployment
from faregate.cli.shared.options import Actor, Output
from faregate.cli.shared.output import print_done, print_json, print_table
from faregate.core.errors import ConfigurationError
from faregate.core.runtime import event_loop
from faregate.core.runtime.private_files import private_file
from faregate.wire import exact_json

if TYPE_CHECKING:
    from faregate.feature_log.privacy import Erased, PrivacyService

__all__ = ["privacy"]

T = TypeVar("T")

privacy = App(name="privacy", help="Export everything that is stored about a user, and erase personal data.")


@privacy.command
@audited("privacy.export", owner="user", apart=True)
def export(
    user: str,
    file: Annotated[Path, Parameter(help="File to write, one JSON object per line.")],
    *,
    output: Output = "table",
) -> None:
    """Write everything that is stored about a user, one record per line with its kind."""

    async def write(service: PrivacyService) -> int:
        count = 0
        with private_file(file) as target:
            async for kind, record in service.export(user):
                target.write(exact_json.dumps({"kind": kind, **record}) + b"\n")
                count += 1
        return count

    count = _with_privacy(write)
    print_done(f"{count:,} records written to {file}", {"file": file, "records": count}, output)


@privacy.command
@audited("privacy.erase", when="yes")
def erase(
    user: str,
    *,
    yes: Annotated[bool, Parameter(help="Confirm; an erasure cannot be undone.", negative="")] = False,
    by: Actor = None,  # noqa: ARG001  the audit entry names it
    output: Output = "table",
) -> None:
    """Erase the personal data of a user: row, bodies of logs, archives, metadata, messages. Sums and counts stay."""
    if not yes:
        raise ConfigurationError("an erasure cannot be undone; export the data first, then repeat with --yes")

    async def work(service: PrivacyService) -> Erased:
        erased = await service.erase(user)
        note(after=None, **erased.target)  # no hash: it would prove who the user was
        return erased

    erased = _with_privacy(work).rows
    if output == "json":
        print_json(dict(erased))
        return
    print_table("Erased", ["kind", "rows"], [(kind, rows) for kind, rows in erased.items() if rows])


def _with_privacy(work: Callable[[PrivacyService], Awaitable[T]]) -> T:
    from faregate.host.container import FaregateContainer

    settings = existing_deployment()

    async def run() -> T:
        container = FaregateContainer(settings=settings)
        async with container.engines() as database:
            return await in_audit(database, container.audit(), lambda: work(container.privacy()))

    return event_loop.run(run())
