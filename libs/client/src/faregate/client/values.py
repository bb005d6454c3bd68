"""What goes to the gateway and comes back. Frozen; credits are `Decimal`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from faregate.wire.model_usage import ModelUsage

__all__ = [
    "Accepted",
    "Authorization",
    "FeatureUsage",
    "ModelUsage",
    "Settlement",
    "Voided",
    "read_authorization",
    "read_feature_usage",
    "read_settlement",
]


@dataclass(frozen=True, slots=True)
class Authorization:
    """Go ahead, and settle with this `usage_key`.

    Attributes:
        credits: what is free now; None on debt.
        expires_at: when the hold ends by itself; None on debt.
        on_debt: the gateway was away and the feature's outage policy let the use pass without a hold.
        outage_limit_credits: what uses of this feature may owe while nobody answers, as the gateway says; None: nothing.
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
class Settlement:
    """What a use cost. `flags` of `late, no_hold, over_hold, shortfall, unpriced, keyless`."""

    user_id: str
    usage_key: str
    credits: Decimal
    balance: Decimal
    charged: Decimal
    consumed: Decimal
    shortfall: Decimal
    flags: tuple[str, ...]
    details: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The settlement will happen; `by` says who keeps it until then: the broker, the gateway or the local spool."""

    usage_key: str
    by: Literal["broker", "gateway", "spool"]


@dataclass(frozen=True, slots=True)
class Voided:
    """Nothing was charged; `credits` are free now. None if nobody answered: then the hold ends by itself."""

    user_id: str
    usage_key: str
    credits: Decimal | None = None
    balance: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FeatureUsage:
    """A finished use: `credits_consumed` is its price, `credits_charged` what the payer paid."""

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
    """Read the answer to a start."""
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


def read_settlement(data: Mapping[str, Any]) -> Settlement:
    """Read the answer to a settlement."""
    return Settlement(
        user_id=data["user_id"],
        usage_key=data["usage_key"],
        credits=Decimal(data["credits"]),
        balance=Decimal(data["balance"]),
        charged=Decimal(data["charged"]),
        consumed=Decimal(data.get("consumed", data["charged"])),
        shortfall=Decimal(data["shortfall"]),
        flags=tuple(data["flags"]),
        details=tuple(data["details"]),
    )


def read_feature_usage(data: Mapping[str, Any]) -> FeatureUsage:
    """Read a finished use."""
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
