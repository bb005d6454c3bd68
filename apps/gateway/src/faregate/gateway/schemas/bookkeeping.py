"""Bodies and answers of corrections, statements and spending limits."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from faregate.core.values.fields import AtMost, Body, Credits, ExternalId, LooseBody, Moment, Note
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
Key = Annotated[
    ExternalId | None, Field(description="calls with the same key make one correction; default: the Idempotency-Key")
]


class AdjustmentBody(Body):
    """Adjust a balance manually, up or down."""

    credits: Credits
    reason: Reason
    key: Key = None


class RefundBody(Body):
    """Refund a charge: `credits` of it, or without `credits` all that is not refunded yet."""

    credits: Annotated[Credits, Field(gt=0)] | None = None
    reason: Reason
    key: Key = None


class ChargebackBody(Body):
    """Reverse a purchase whose payment was charged back."""

    reason: Reason
    key: Key = None


class VoidGrantBody(Body):
    """Void a grant."""

    reason: Reason


class BalanceQuery(LooseBody):
    """The moment; transactions that took effect before it count."""

    at: Moment


class BalanceAnswer(Answer):
    """A balance as of a moment."""

    owner_id: str
    at: datetime
    balance: Decimal


class StatementQuery(LooseBody):
    """The period: `from` is included, `to` is excluded."""

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
    """One hash over the last hashes of all wallets' chains: stored elsewhere, it proves the state of the ledger up to now."""

    wallets: int
    transfers: int
    digest: str


class LimitBody(Body):
    """The limits of a period: a start beyond `soft` gets a warning, a start beyond `hard` is refused; without both: no limit."""

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
    """The limits of one member of a pool; without `member`, of every member without own limits."""

    member: ExternalId | None = None


class LimitAnswer(Answer):
    """A limit and the amount used in the period that began at `since`."""

    period: str
    soft: Decimal | None
    hard: Decimal | None
    spent: Decimal
    held: Decimal
    since: datetime


class MemberLimitAnswer(LimitAnswer):
    """A limit of one member of a pool; with `member` null, of every member without own limits."""

    member: str | None


def member_limit_answer(member: str | None, limit: SpendingLimit) -> MemberLimitAnswer:
    """Return one limit of a member."""
    return MemberLimitAnswer(member=member, **limit_answer(limit).model_dump())


def limit_answer(limit: SpendingLimit) -> LimitAnswer:
    """Return one limit."""
    return LimitAnswer.of(limit)


def statement_answer(owner_id: str | None, statement: AccountStatement) -> StatementAnswer:
    """Return a statement."""
    return StatementAnswer(owner_id=owner_id, **asdict(statement))


def _micros(credits: Decimal | None) -> int | None:
    return to_micros(credits) if credits is not None else None
