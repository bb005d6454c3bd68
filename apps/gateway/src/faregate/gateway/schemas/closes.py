"""Bodies and answers of closed months and payments for grants."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from faregate.core.values.fields import Body, ExternalId, Flag, LooseBody, Moment
from faregate.credit.closing.journal import JournalLine
from faregate.credit.closing.values import Close, LateFact, WalletClose
from faregate.gateway.schemas.base import Answer, PageQuery

__all__ = [
    "CloseAnswer",
    "CloseBody",
    "FlowAnswer",
    "JournalLineAnswer",
    "JournalQuery",
    "LateFactAnswer",
    "LateQuery",
    "PaidValuesAnswer",
    "PaymentAnswer",
    "PaymentBody",
    "WalletCloseAnswer",
    "close_answer",
    "journal_line_answer",
    "late_fact_answer",
    "wallet_close_answer",
]

_Usd = Annotated[Decimal, Field(gt=-(10**9), lt=10**9, decimal_places=2, examples=[49])]


class CloseBody(Body):
    """The month to close."""

    period: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])]
    timezone: Annotated[
        str | None,
        Field(max_length=64, description="zone whose midnight ends the month; default: that of the last close, or UTC"),
    ] = None
    catch_up: Annotated[Flag, Field(description="close the open months before it, too")] = False


class PaidValuesAnswer(Answer):
    """deferred_opening + received - repaid - revenue - breakage - forfeited = deferred_closing, all in USD."""

    deferred_opening: Decimal
    received: Decimal
    repaid: Decimal
    revenue: Decimal
    breakage: Decimal
    forfeited: Decimal
    deferred_closing: Decimal


class WalletCloseAnswer(Answer):
    """opening + granted - used - expired - voided + refunded + adjusted - charged_back = closing, all in credits."""

    owner_id: str | None
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
    value: PaidValuesAnswer


class FlowAnswer(Answer):
    """Credits that moved from one account of the ledger to another one."""

    debit: str
    credit: str
    credits: Decimal


class CloseAnswer(Answer):
    """A closed month: its bounds (`since` is null for the opening), its totals, and how many late facts it holds."""

    period: str
    timezone: str
    since: datetime | None
    until: datetime
    closed_at: datetime
    wallets: int
    transfers: int
    late: int
    unvalued: Decimal
    flows: list[FlowAnswer]
    statement: WalletCloseAnswer


class JournalQuery(LooseBody):
    """What the lines are about, and the form of the answer."""

    unit: Annotated[
        Literal["usd", "credits"],
        Field(description="usd: the paid value; credits: what moved between the accounts of the ledger"),
    ] = "usd"
    format: Literal["json", "csv"] = "json"


class JournalLineAnswer(Answer):
    """One line of the journal; either `debit` or `credit` is 0."""

    entry: str
    date: str
    account: str
    name: str
    memo: str
    debit: Decimal
    credit: Decimal
    unit: str


class LateQuery(PageQuery):
    """The page of late facts."""


class LateFactAnswer(Answer):
    """A fact of an earlier month that arrived after its close: a transfer (with `credits`) or a payment (with `usd`)."""

    kind: str
    owner_id: str
    happened_at: datetime
    recorded_at: datetime
    transaction_id: str | None
    credits: Decimal | None
    grant_id: UUID | None
    usd: Decimal | None


class PaymentBody(Body):
    """A payment for a grant; a returned payment is negative and has a key of its own."""

    paid_usd: _Usd
    key: Annotated[
        ExternalId | None,
        Field(description="the same key of one grant is recorded once; default: the Idempotency-Key, else `payment`"),
    ] = None
    paid_at: Moment | None = None


class PaymentAnswer(Answer):
    """What is recorded as paid for a grant in all."""

    owner_id: str
    grant_id: UUID
    paid_usd: Decimal


def close_answer(close: Close) -> CloseAnswer:
    """Return a closed month."""
    flows = [FlowAnswer(debit=debit, credit=credit, credits=amount) for (debit, credit), amount in close.flows.items()]
    return CloseAnswer.of(close, flows=flows, statement=wallet_close_answer(close.statement))


def wallet_close_answer(statement: WalletClose) -> WalletCloseAnswer:
    """Return a statement."""
    return WalletCloseAnswer(**asdict(statement))


def journal_line_answer(line: JournalLine) -> JournalLineAnswer:
    """Return one line of a journal."""
    return JournalLineAnswer.of(line)


def late_fact_answer(fact: LateFact) -> LateFactAnswer:
    """Return one late fact."""
    return LateFactAnswer.of(fact)
