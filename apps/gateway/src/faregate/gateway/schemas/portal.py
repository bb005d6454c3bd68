"""Bodies, queries and answers of the customers' page."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from faregate.analytics.answers.exploration import Exploration, Slice
from faregate.analytics.quotas.values import QuotaStatus
from faregate.core.values.fields import AtMost, Body, ExternalId
from faregate.credit.services.spending_limits import SpendingLimit
from faregate.gateway.schemas.analytics_query import AnalyticsQuery
from faregate.gateway.schemas.base import Answer, PageQuery
from faregate.gateway.schemas.bookkeeping import StatementQuery
from faregate.gateway.schemas.portal_look import Kind, PortalLook
from faregate.gateway.schemas.wallets import TransactionAnswer, transaction_answer
from faregate.usage.service import UsageStory
from faregate.usage.values import UsageLine

__all__ = [
    "PortalAnswer",
    "PortalLimitAnswer",
    "PortalLinkAnswer",
    "PortalLinkBody",
    "PortalRevokedAnswer",
    "PortalStatementQuery",
    "PortalUsageAnswer",
    "PortalUsageQuery",
    "PortalUseAnswer",
    "PortalUsesQuery",
    "portal_limit_answer",
    "portal_quota_answer",
    "portal_usage_answer",
    "portal_use_answer",
]

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?")


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError("must be scheme and host without a path, such as https://app.example.com")
    return value


class PortalLinkBody(Body):
    """A link for one user or one organisation. `allowed_origins`: pages that may show it in a frame."""

    user_id: ExternalId | None = None
    organization_id: ExternalId | None = None
    expires_in_seconds: Annotated[int, Field(ge=60, le=86_400, strict=True)] = 900
    allowed_origins: Annotated[
        list[Annotated[str, Field(max_length=255, examples=["https://app.example.com"]), AfterValidator(_origin)]],
        AtMost(20),
    ] = Field(default_factory=list[str])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.user_id is None) == (self.organization_id is None):
            raise ValueError("give either user_id or organization_id")
        return self

    @property
    def owner_id(self) -> str:
        """The owner of the wallet."""
        return self.user_id if self.user_id is not None else f"org:{self.organization_id}"


class PortalLinkAnswer(Answer):
    """A link: open `url` in a browser, or put `frame` into a page of one of the allowed origins. Both are shown once."""

    id: str
    owner_id: str
    url: str | None
    frame: str | None
    expires_at: datetime


class PortalRevokedAnswer(Answer):
    """The id of the revoked link."""

    id: str


class PortalAnswer(Answer):
    """The owner's balance and the appearance of the page. `credits` are the free credits; `hidden`: parts that are not shown."""

    owner_id: str
    title: str
    color: str | None
    color_dark: str | None
    hidden: Sequence[str]
    credits: Decimal
    balance: Decimal
    held: Decimal
    plan: str | None
    link_expires_at: datetime


class PortalUsageQuery(AnalyticsQuery):
    """The range, the time zone, and the dimension; `all`: everything together, where the page hides the dimensions."""

    by: Literal["feature", "model", "user", "all"] = "feature"


class PortalSliceAnswer(Answer):
    """One value of the dimension; `series` holds its credits by day, `isRest`: all other values."""

    value: str | None
    isRest: bool  # noqa: N815
    requests: int
    credits: Decimal
    series: Sequence[Decimal]


class PortalUsageAnswer(Answer):
    """Usage by day, without the seller's costs and margins."""

    start: datetime
    end: datetime
    requests: int
    tokens: int
    credits: Decimal
    periods: Sequence[datetime]
    series: Sequence[Decimal]
    slices: Sequence[PortalSliceAnswer]


class PortalUsesQuery(PageQuery):
    """The page of the list."""


class PortalLineAnswer(Answer):
    """One line of a use, without the seller's cost; `ai_model` is null where models are hidden."""

    ai_model: str | None
    input_tokens: int
    output_tokens: int
    credits: Decimal


class PortalUseAnswer(Answer):
    """One use explained: what was held, what it cost, and the transactions."""

    usage_key: str
    user_id: str | None
    feature_key: str | None
    status: str
    hold: Decimal
    credits_charged: Decimal
    lines: Sequence[PortalLineAnswer]
    transactions: Sequence[TransactionAnswer]
    created_at: datetime
    settled_at: datetime | None


class PortalStatementQuery(StatementQuery):
    """The period, the form of the file, and the time zone of a PDF."""

    format: Literal["json", "csv", "pdf"] = "json"
    timezone: Annotated[str, Field(max_length=64)] = "UTC"


class PortalLimitAnswer(Answer):
    """A spending limit or a quota beside what is used of it. `meter` is `credits` for limits; `held` counts as used for limits.

    `member`: of an organisation's page, whose limit it is; null for every member without own limits. `until` is null where the
    period has no end.
    """

    kind: Literal["limit", "quota"]
    meter: str
    member: str | None
    period: str
    soft: Decimal | None
    limit: Decimal | None
    used: Decimal
    held: Decimal
    since: datetime
    until: datetime | None


def portal_limit_answer(limit: SpendingLimit, member: str | None = None) -> PortalLimitAnswer:
    """Return a spending limit."""
    return PortalLimitAnswer(
        kind="limit",
        meter="credits",
        member=member,
        period=limit.period,
        soft=limit.soft,
        limit=limit.hard,
        used=limit.spent,
        held=limit.held,
        since=limit.since,
        until=limit.until,
    )


def portal_quota_answer(status: QuotaStatus, meter: str) -> PortalLimitAnswer:
    """Return a quota; `meter` is the name under which its meter is shown."""
    return PortalLimitAnswer(
        kind="quota",
        meter=meter,
        member=None,
        period=status.quota.spec.period,
        soft=None,
        limit=status.quota.spec.limit,
        used=status.used,
        held=Decimal(0),
        since=status.window.start,
        until=status.window.end,
    )


def portal_usage_answer(found: Exploration, by: Kind | None, look: PortalLook) -> PortalUsageAnswer:
    """Return usage by day. Hidden values are among all others (without `by` all values); those with the same shown name are one."""
    slices = _merged(found, by, look)
    return PortalUsageAnswer(
        start=found.range.start,
        end=found.range.end,
        requests=found.metrics.measures.requests,
        tokens=found.metrics.measures.tokens,
        credits=found.metrics.measures.total_credits,
        periods=found.periods,
        series=[sums.total_credits for sums in found.totals],
        slices=slices,
    )


def portal_use_answer(use: UsageStory, look: PortalLook) -> PortalUseAnswer:
    """Return one use explained."""
    charge = use.charge
    return PortalUseAnswer(
        usage_key=charge.usage_key,
        user_id=look.shown("user", use.user_id),
        feature_key=look.shown("feature", charge.feature_key),
        status=charge.status,
        hold=charge.hold,
        credits_charged=charge.credits_charged,
        lines=[_line(line, look) for line in use.lines],
        transactions=[_transaction(each, look) for each in map(transaction_answer, use.transactions)],
        created_at=charge.created_at,
        settled_at=charge.settled_at,
    )


def _transaction(found: TransactionAnswer, look: PortalLook) -> TransactionAnswer:
    """Return a transaction without the name of the operator."""
    return found.model_copy(update={"actor": None, "feature_key": look.shown("feature", found.feature_key)})


def _merged(found: Exploration, by: Kind | None, look: PortalLook) -> list[PortalSliceAnswer]:
    """Return the slices by the shown name, in their order; what has no shown name, but a name, is in the rest."""
    slices = [*found.slices, *([found.rest] if found.rest is not None else [])]
    merged: dict[tuple[str | None, bool], PortalSliceAnswer] = {}
    for each in slices:
        name = look.shown(by, each.value) if by is not None else None
        key = (name, each.is_rest or by is None or (name is None and each.value is not None))
        merged[key] = _added(merged.get(key), _slice(each, name, is_rest=key[1]))
    return sorted(merged.values(), key=lambda each: each.isRest)


def _added(one: PortalSliceAnswer | None, other: PortalSliceAnswer) -> PortalSliceAnswer:
    if one is None:
        return other
    series = [a + b for a, b in zip(one.series, other.series, strict=True)]
    sums = {"requests": one.requests + other.requests, "credits": one.credits + other.credits, "series": series}
    return one.model_copy(update=sums)


def _slice(found: Slice, name: str | None, *, is_rest: bool) -> PortalSliceAnswer:
    return PortalSliceAnswer(
        value=name,
        isRest=is_rest,
        requests=found.measures.requests,
        credits=found.measures.total_credits,
        series=[sums.total_credits for sums in found.series],
    )


def _line(line: UsageLine, look: PortalLook) -> PortalLineAnswer:
    return PortalLineAnswer(
        ai_model=look.shown("model", line.usage.model),
        input_tokens=line.usage.input_tokens,
        output_tokens=line.usage.output_tokens,
        credits=line.credits,
    )
