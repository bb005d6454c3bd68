"""Queries and answers of `/api/audit`."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import Field

from faregate.core.access.audit import AuditEntry
from faregate.core.values.fields import ExternalId, Moment
from faregate.gateway.schemas.base import Answer, PageQuery

__all__ = ["AuditAnswer", "AuditQuery", "audit_answer"]


class AuditQuery(PageQuery):
    """Filters of audit entries; `from` is included, `to` is excluded; `action` may end with `*`."""

    actor: ExternalId | None = None
    actor_user_id: ExternalId | None = None
    owner_id: ExternalId | None = None
    action: str | None = Field(default=None, max_length=100, examples=["wallets.*"])
    request_id: ExternalId | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")


class AuditAnswer(Answer):
    """One audit entry. The hashes are SHA-256 of the object before and after; equal hashes mean that nothing changed."""

    id: str
    actor: str
    actor_user_id: str | None
    action: str
    owner_id: str | None
    target: Mapping[str, Any]
    status: int
    before_hash: str | None
    after_hash: str | None
    address: str | None
    request_id: str
    created_at: datetime


def audit_answer(entry: AuditEntry) -> AuditAnswer:
    """Return one audit entry."""
    return AuditAnswer.model_validate({**asdict(entry), "id": str(entry.id)})
