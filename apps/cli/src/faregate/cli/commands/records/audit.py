"""`faregate audit`: search in the audit log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from faregate.cli.shared.deployment import existing_deployment
from faregate.cli.shared.output import Format, print_json, print_table
from faregate.core.db.subjects import Subjects
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.core.access.audit import AuditEntry, AuditFilter
    from faregate.core.settings import Settings

__all__ = ["audit"]


def audit(
    *,
    actor: Annotated[str | None, Parameter(help="Credential, such as key:4fQZk2vN8sLx or bootstrap.")] = None,
    actor_user: Annotated[str | None, Parameter(help="User who performed the action.")] = None,
    owner: Annotated[str | None, Parameter(help="User or org:<id> that the action concerned.")] = None,
    action: Annotated[
        str | None, Parameter(help="Action such as wallets.add_grant, or a pattern such as wallets.*")
    ] = None,
    request_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: Annotated[int, Parameter(help="Highest number of rows.")] = 100,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> None:
    """Search administrative and money actions, newest first."""
    from faregate.core.access.audit import AuditFilter

    wanted = AuditFilter(actor, actor_user, owner, action, request_id, _aware(since), _aware(until))
    settings = existing_deployment()
    found = event_loop.run(_search(settings, wanted, limit))
    if output == "json":
        print_json([{**asdict(entry), "id": str(entry.id)} for entry in found])
        return
    rows = [(e.created_at, e.actor_user_id or e.actor, e.action, e.owner_id, e.address, e.request_id) for e in found]
    print_table("Audit log", ["when", "who", "what", "whom", "from", "request"], rows)


async def _search(settings: Settings, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
    from faregate.core.access.audit import AuditLog
    from faregate.core.container import make_database

    database = make_database(settings)
    await database.open()
    try:
        log = AuditLog(database, Subjects(database))
        found: list[AuditEntry] = []
        async for entry in log.all(wanted):
            found.append(entry)
            if len(found) >= limit:
                break
        return found
    finally:
        await database.close()


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
