"""Bodies and answers of `/api/credits-process`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from faregate.gateway.schemas.base import Answer
from faregate.usage.values import Accessible, Rule, Settled, UsageLine, UseQuote

__all__ = [
    "EndAnswer",
    "ExtendAnswer",
    "LineAnswer",
    "ProcessingAnswer",
    "StartAnswer",
    "UseQuoteAnswer",
    "VoidAnswer",
    "end_answer",
    "line_answer",
    "start_answer",
    "use_quote_answer",
]


class StartAnswer(Answer):
    """The use may begin. `credits` are the free credits, `balance` includes the held ones, `hold` is the hold of this use.

    `outage_limit_credits`: the credits that uses of this feature may owe while the gateway does not answer; null if they
    must wait.
    """

    status: Literal["accessible"] = "accessible"
    user_id: str
    usage_key: str
    feature_key: str
    credits: Decimal
    balance: Decimal
    held: Decimal
    hold: Decimal
    expires_at: datetime
    charging: Rule
    unpriced: list[str]
    limits_passed: list[str]
    outage_limit_credits: Decimal | None
    message: str


class LineAnswer(Answer):
    """One priced line; an unpriced one has neither cost nor credits."""

    ai_model: str | None
    provider: str | None
    input_tokens: int
    output_tokens: int
    tokens: Mapping[str, Any]
    provider_cost_usd: Decimal | None
    margin_percent: Decimal
    credit_price_usd: Decimal
    credits: Decimal
    price_version: str
    unpriced: bool


class UseQuoteAnswer(Answer):
    """What a use would hold and cost now.

    `credits` are the free credits that this feature may use, `hold` is what a start would hold, `price` is what the usage would
    cost. `covered`: whether `credits` cover both; always true where nobody is charged.
    """

    status: Literal["quoted"] = "quoted"
    user_id: str
    feature_key: str
    charging: Rule
    credits: Decimal
    hold: Decimal
    price: Decimal
    covered: bool
    unpriced: list[str]
    details: list[LineAnswer]
    message: str


class EndAnswer(Answer):
    """The outcome of a settlement."""

    status: Literal["returnable"] = "returnable"
    user_id: str
    usage_key: str
    feature_key: str
    credits: Decimal
    balance: Decimal
    consumed: Decimal
    charged: Decimal
    shortfall: Decimal
    flags: list[str]
    details: list[LineAnswer]
    message: str


class ProcessingAnswer(Answer):
    """Accepted; the queue settles it."""

    status: Literal["processing"] = "processing"
    usage_key: str
    message: str


class VoidAnswer(Answer):
    """The hold is closed without a charge."""

    status: Literal["voided"] = "voided"
    user_id: str
    usage_key: str
    credits: Decimal
    balance: Decimal
    message: str


class ExtendAnswer(Answer):
    """The new expiry of the hold."""

    usage_key: str
    expires_at: datetime


def start_answer(accessible: Accessible) -> StartAnswer:
    """Return the answer to a start that was accepted."""
    return StartAnswer(
        user_id=accessible.user_id,
        usage_key=accessible.usage_key,
        feature_key=accessible.feature_key,
        credits=accessible.free,
        balance=accessible.balance,
        held=accessible.held,
        hold=accessible.hold,
        expires_at=accessible.expires_at,
        charging=accessible.charging,
        unpriced=list(accessible.unpriced_models),
        limits_passed=list(accessible.limits_passed),
        outage_limit_credits=accessible.outage_limit_credits,
        message="Go ahead; settle with this usage_key",
    )


def use_quote_answer(quote: UseQuote) -> UseQuoteAnswer:
    """Return the answer to a quote."""
    return UseQuoteAnswer(
        user_id=quote.user_id,
        feature_key=quote.feature_key,
        charging=quote.charging,
        credits=quote.free,
        hold=quote.hold,
        price=quote.credits,
        covered=quote.covered,
        unpriced=list(quote.unpriced_models),
        details=[line_answer(line) for line in quote.lines],
        message="Nothing is held or charged",
    )


def end_answer(settled: Settled) -> EndAnswer:
    """Return the answer to a settlement."""
    message = "Settled" if not settled.replayed else "Settled before; this is the first result again"
    return EndAnswer(
        user_id=settled.user_id,
        usage_key=settled.usage_key,
        feature_key=settled.feature_key,
        credits=settled.free,
        balance=settled.balance,
        consumed=settled.consumed,
        charged=settled.charged,
        shortfall=settled.shortfall,
        flags=settled.flags.words,
        details=[line_answer(line) for line in settled.lines],
        message=message,
    )


def line_answer(line: UsageLine) -> LineAnswer:
    """Return one line."""
    tokens = line.usage.tokens
    return LineAnswer.of(
        line,
        ai_model=line.usage.model,
        input_tokens=tokens.get("input_tokens", 0),
        output_tokens=tokens.get("output_tokens", 0),
        tokens=tokens,
    )
