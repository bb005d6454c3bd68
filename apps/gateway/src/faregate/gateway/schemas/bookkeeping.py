"""Bodies and answers of corrections, statements and spending limits."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from faregate.core.fields import AtMost, Body, Credits, ExternalId, LooseBody, Moment, Note
from faregate.credit.ledger.limits import LimitPeriod
from faregate.credit.services.accounting import AccountStatement
from faregate.credit.services.bookkeeping import LimitBounds
from faregate.credit.services.spending_limits import SpendingLimit
from faregate.gateway.schemas.base import Answer
from faregate.wire.credits import to_micros

__all__ = [
    "AdjustmentBody",
    "BalanceAnswer",
    "BalanceQuery",
    "ChargebackBody",
    "DigestAnswer",
    "LimitAnswer",
    "LimitBody",
    "LimitsBody",
    "MemberLimitAnswer",
    "MemberLimitsBody",
    "RefundBody",
    "StatementAnswer",
    "StatementQuery",
    "VoidGrantBody",
    "limit_answer",
    "member_limit_answer",
    "statement_answer",
]

Reason = Annotated[Note, Field(min_length=1)]
Key = Annotated[ExternalId | None, Field(description="the same key makes one correction; else the Idempotency-Key")]


class AdjustmentBody(Body):
    """Correct a balance by hand, up or down."""

    credits: Credits
    reason: Reason
    key: Key = None


class RefundBody(Body):
    """Give back a charge, in part with `credits`, else all that is left of it."""

    credits: Annotated[Credits, Field(gt=0)] | None = None
    reason: Reason
    key: Key = None


class ChargebackBody(Body):
    """Undo a purchase whose payment was reversed."""

    reason: Reason
    key: Key = None


class VoidGrantBody(Body):
    """Take a grant back."""

    reason: Reason


class BalanceQuery(LooseBody):
    """Which moment: what took effect before it counts."""

    at: Moment


class BalanceAnswer(Answer):
    """A balance as of a moment."""

    owner_id: str
    at: datetime
    balance: Decimal


class StatementQuery(LooseBody):
    """Which period: `from` is included, `to` is not."""

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")


class StatementAnswer(Answer):
    """opening + granted - used - expired - voided + refunded + adjusted - charged_back = closing, all in credits."""

    owner_id: str | None
    since: datetime
    until: datetime
    opening: Decimal
    granted: dict[str, Decimal]
    used: Decimal
    used_on_limit: Decimal
    expired: Decimal
    voided: Decimal
    refunded: Decimal
    adjusted: Decimal
    charged_back: Decimal
    shortfall: Decimal
    closing: Decimal
    deferred_opening: Decimal
    deferred_closing: Decimal
    breakage_paid: Decimal


class DigestAnswer(Answer):
    """One hash over the heads of all wallets' chains: kept elsewhere, it anchors the ledger up to now."""

    wallets: int
    transfers: int
    digest: str


class LimitBody(Body):
    """What may be spent in a period: beyond `soft` the start says so, beyond `hard` it is refused; neither: no limit."""

    period: LimitPeriod
    soft: Annotated[Credits, Field(ge=0)] | None = None
    hard: Annotated[Credits, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.soft is not None and self.hard is not None and self.soft > self.hard:
            raise ValueError("soft must not be above hard")
        return self

    def bounds(self) -> LimitBounds:
        """Return the bounds in micro-credits."""
        return self.period, _micros(self.soft), _micros(self.hard)


class LimitsBody(Body):
    """The limits to set; periods that are not named stay as they are."""

    limits: Annotated[list[LimitBody], AtMost(4, least=1)]


class MemberLimitsBody(LimitsBody):
    """The limits of one member of a pool; without `member`, of every member that has none of the own."""

    member: ExternalId | None = None


class LimitAnswer(Answer):
    """A limit and what is used of it in the period that began at `since`."""

    period: str
    soft: Decimal | None
    hard: Decimal | None
    spent: Decimal
    held: Decimal
    since: datetime


class MemberLimitAnswer(LimitAnswer):
    """A limit of one member of a pool; `member` null: of every member that has none of the own."""

    member: str | None


def member_limit_answer(member: str | None, limit: SpendingLimit) -> MemberLimitAnswer:
    """Return one limit of a member."""
    return MemberLimitAnswer(member=member, **limit_answer(limit).model_dump())


def limit_answer(limit: SpendingLimit) -> LimitAnswer:
    """Return one limit."""
    return LimitAnswer(
        period=limit.period, soft=limit.soft, hard=limit.hard, spent=limit.spent, held=limit.held, since=limit.since
    )


def statement_answer(owner_id: str | None, statement: AccountStatement) -> StatementAnswer:
    """Return a statement."""
    return StatementAnswer(owner_id=owner_id, **asdict(statement))


def _micros(credits: Decimal | None) -> int | None:
    return to_micros(credits) if credits is not None else None
