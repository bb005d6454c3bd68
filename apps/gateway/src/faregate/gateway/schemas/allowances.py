"""Queries and answers of `/api/analytics/allowances`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from faregate.analytics.quotas.values import QuotaStatus
from faregate.core.values.fields import LooseBody
from faregate.credit.services.bookkeeping import OwnedLimit
from faregate.gateway.schemas.base import Answer

__all__ = ["AllowanceAnswer", "AllowancesQuery", "limit_allowance", "quota_allowance"]


class AllowancesQuery(LooseBody):
    """How many allowances."""

    limit: Annotated[int, Field(ge=1, le=500)] = 20


class AllowanceAnswer(Answer):
    """A quota or a spending limit beside what is used of it in its running period.

    A limit is that of a user (`owner_id`), of a member of a pool (`organization_id`, too), or of an API key (`client`), and its
    `meter` is `credits`; a quota of everybody together has the owner `*`. `percent` is of `limit`, or of `soft` without it, and
    counts held credits as used; it is null where the limit is 0. `until` is null where the period has no end.
    """

    kind: Literal["quota", "limit"]
    meter: str
    owner_id: str | None
    organization_id: str | None
    client: str | None
    period: str
    since: datetime
    until: datetime | None
    soft: Decimal | None
    limit: Decimal | None
    used: Decimal
    held: Decimal
    percent: Decimal | None
    hard: bool


def quota_allowance(status: QuotaStatus) -> AllowanceAnswer:
    """Return a quota as an allowance."""
    spec = status.quota.spec
    return AllowanceAnswer(
        kind="quota",
        meter=spec.meter,
        owner_id=spec.owner_id,
        organization_id=None,
        client=None,
        period=spec.period,
        since=status.window.start,
        until=status.window.end,
        soft=None,
        limit=spec.limit,
        used=status.used,
        held=Decimal(0),
        percent=_percent(status.used, spec.limit),
        hard=spec.hard,
    )


def limit_allowance(owned: OwnedLimit) -> AllowanceAnswer:
    """Return a spending limit as an allowance."""
    limit = owned.limit
    return AllowanceAnswer(
        kind="limit",
        meter="credits",
        owner_id=owned.user_id,
        organization_id=owned.organization_id,
        client=owned.client,
        period=limit.period,
        since=limit.since,
        until=limit.until,
        soft=limit.soft,
        limit=limit.hard,
        used=limit.spent,
        held=limit.held,
        percent=_percent(limit.spent + limit.held, limit.hard if limit.hard is not None else limit.soft),
        hard=limit.hard is not None,
    )


def _percent(used: Decimal, of: Decimal | None) -> Decimal | None:
    return (used * 100 / of).quantize(Decimal("0.01")) if of else None
