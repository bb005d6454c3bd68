"""Values of the client's calls and answers; credits are `Decimal`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from faregate.wire.model_usage import ModelUsage

__all__ = [
    "Authorization",
    "Balance",
    "EventsResult",
    "FeatureUsage",
    "ModelUsage",
    "Quote",
    "RejectedEvent",
    "UseResult",
    "read_authorization",
    "read_balance",
    "read_feature_usage",
    "read_quote",
    "read_settlement",
    "read_void",
    "voided",
]


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorised use, to be settled or voided by its `usage_key`.

    Attributes:
        credits: the free credits after the hold; None on debt.
        expires_at: when the hold expires; None on debt.
        on_debt: the gateway was unavailable, and the feature's outage policy allowed the use without a hold.
        outage_limit_credits: the credits that uses of this feature may owe while the gateway is unavailable; None if none.
    """

    user_id: str
    feature: str
    usage_key: str
    credits: Decimal | None = None
    balance: Decimal | None = None
    hold: Decimal = Decimal(0)
    expires_at: datetime | None = None
    charging: str = "individual"
    unpriced: tuple[str, ...] = ()
    on_debt: bool = False
    outage_limit_credits: Decimal | None = None


@dataclass(frozen=True, slots=True)
class UseResult:
    """How a use ended.

    Attributes:
        state: "settled"; "voided"; or "pending", if it is accepted by a queue or the spool and settled later.
        charged: what the payer paid; 0 for a voided use, None while pending.
        consumed: the price of the use; None while pending.
        shortfall: the part of the price that could not be paid.
        credits: the payer's free credits; None while pending, and if the gateway did not answer a void.
        flags: of `late, no_hold, over_hold, shortfall, unpriced, keyless, inconsistent`.
        details: the priced lines.
        by: where a pending settlement is stored: broker, gateway or spool.
    """

    user_id: str
    usage_key: str
    state: Literal["settled", "pending", "voided"]
    charged: Decimal | None = None
    consumed: Decimal | None = None
    shortfall: Decimal = Decimal(0)
    credits: Decimal | None = None
    balance: Decimal | None = None
    flags: tuple[str, ...] = ()
    details: tuple[Mapping[str, Any], ...] = ()
    by: Literal["broker", "gateway", "spool"] | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """A wallet's credits. `free` is what new uses may take: balance and credit limit without held and earmarked credits."""

    user_id: str
    free: Decimal
    held: Decimal
    balance: Decimal
    credit_limit: Decimal
    plan: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What a use would hold and cost now. Nothing is held or charged for it.

    Attributes:
        credits: the price of the usage.
        hold: the credits that a start would hold.
        free: the payer's credits that this feature may use.
        covered: whether `free` covers the hold and the price; always true where nobody is charged.
        charging: "individual", "pooled" (the organisation pays) or "recorded" (nobody is charged).
        lines: the priced lines, as in the `details` of a `UseResult`.
        unpriced: the models without a price.
    """

    user_id: str
    feature: str
    credits: Decimal
    hold: Decimal
    free: Decimal
    covered: bool
    charging: str
    lines: tuple[Mapping[str, Any], ...] = ()
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A usage event that was not accepted: its index in the call, and why."""

    index: int
    error: str


@dataclass(frozen=True, slots=True)
class EventsResult:
    """What became of the events of a call; a duplicate was counted before and is not counted again."""

    accepted: int = 0
    duplicates: int = 0
    rejected: tuple[RejectedEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureUsage:
    """A settled use: `credits_consumed` is its price, `credits_charged` what the payer paid."""

    id: str
    usage_key: str
    user_id: str
    organization_id: str | None
    feature_key: str
    credits_consumed: Decimal
    credits_charged: Decimal
    metadata: Mapping[str, Any]
    executed_at: datetime


def read_authorization(data: Mapping[str, Any], *, feature: str) -> Authorization:
    """Return the authorisation in the answer to a start."""
    limit = data.get("outage_limit_credits")
    return Authorization(
        user_id=data["user_id"],
        feature=feature,
        usage_key=data["usage_key"],
        credits=Decimal(data["credits"]),
        balance=Decimal(data["balance"]),
        hold=Decimal(data.get("hold", 0)),
        expires_at=datetime.fromisoformat(data["expires_at"]),
        charging=data["charging"],
        unpriced=tuple(data.get("unpriced", ())),
        outage_limit_credits=None if limit is None else Decimal(limit),
    )


def read_settlement(data: Mapping[str, Any]) -> UseResult:
    """Return the result in the answer to a settlement."""
    return UseResult(
        user_id=data["user_id"],
        usage_key=data["usage_key"],
        state="settled",
        charged=Decimal(data["charged"]),
        consumed=Decimal(data.get("consumed", data["charged"])),
        shortfall=Decimal(data["shortfall"]),
        credits=Decimal(data["credits"]),
        balance=Decimal(data["balance"]),
        flags=tuple(data["flags"]),
        details=tuple(data["details"]),
    )


def read_void(data: Mapping[str, Any]) -> UseResult:
    """Return the result in the answer to a void."""
    return voided(
        data["user_id"], data["usage_key"], credits=Decimal(data["credits"]), balance=Decimal(data["balance"])
    )


def voided(
    user_id: str, usage_key: str, *, credits: Decimal | None = None, balance: Decimal | None = None
) -> UseResult:
    """Return the result of a use for which nothing is charged.

    Args:
        credits: the payer's free credits; None if the gateway did not answer.
    """
    nothing = Decimal(0)
    return UseResult(user_id, usage_key, "voided", nothing, nothing, credits=credits, balance=balance)


def read_balance(data: Mapping[str, Any]) -> Balance:
    """Return the balance in the answer about a wallet."""
    return Balance(
        user_id=data["owner_id"],
        free=Decimal(data["credits"]),
        held=Decimal(data["held"]),
        balance=Decimal(data["balance"]),
        credit_limit=Decimal(data["credit_limit"]),
        plan=data["plan"],
        status=data["status"],
    )


def read_quote(data: Mapping[str, Any]) -> Quote:
    """Return the quote in the answer to one."""
    return Quote(
        user_id=data["user_id"],
        feature=data["feature_key"],
        credits=Decimal(data["price"]),
        hold=Decimal(data["hold"]),
        free=Decimal(data["credits"]),
        covered=data["covered"],
        charging=data["charging"],
        lines=tuple(data["details"]),
        unpriced=tuple(data["unpriced"]),
    )


def read_feature_usage(data: Mapping[str, Any]) -> FeatureUsage:
    """Return the settled use in an answer."""
    return FeatureUsage(
        id=data["id"],
        usage_key=data["usage_key"],
        user_id=data["user_id"],
        organization_id=data["organization_id"],
        feature_key=data["feature_key"],
        credits_consumed=Decimal(data["credits_consumed"]),
        credits_charged=Decimal(data["credits_charged"]),
        metadata=data["metadata"],
        executed_at=datetime.fromisoformat(data["executed_at"]),
    )
