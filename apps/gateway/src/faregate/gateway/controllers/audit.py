"""Controller of `/api/audit`, the audit log."""

from uuid import UUID

from faregate.core.access.audit import AuditFilter, AuditLog
from faregate.gateway.http.operation import Controller, Page, operation
from faregate.gateway.schemas.audit import AuditAnswer, AuditQuery, audit_answer
from faregate.gateway.schemas.base import cursor_of, position_of
from faregate.gateway.security.auth import Scope

__all__ = ["AuditController"]


class AuditController(Controller):
    """The audit log over HTTP."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    @operation("GET", "/api/audit", scope=Scope.OPS_READ, answer=list[AuditAnswer])
    async def search(self, query: AuditQuery) -> Page:
        """Search administrative and money actions, newest first."""
        position = position_of(query.cursor, UUID)
        wanted = AuditFilter(
            actor=query.actor,
            actor_user_id=query.actor_user_id,
            owner_id=query.owner_id,
            action=query.action,
            request_id=query.request_id,
            since=query.since,
            until=query.until,
        )
        found = await self._audit.search(wanted, before=position[0] if position else None, limit=query.limit)
        cursor = cursor_of(found[-1].id) if len(found) == query.limit else None
        return Page([audit_answer(entry) for entry in found], cursor)
