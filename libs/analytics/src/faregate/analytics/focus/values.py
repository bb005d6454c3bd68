"""Values of the export in FOCUS. Frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from faregate.analytics.bills.token_parts import TokenPart

__all__ = ["FocusBatch", "FocusRow", "Issuer", "SettledLine", "SettledUse", "UseRefund"]

FocusRow: TypeAlias = Mapping[str, Any]
"""A row: each value is a text, a `Decimal`, a `datetime` or None."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who sells the credits, as rows name it, and the price of a credit for uses whose lines have none."""

    name: str
    credit_price_usd: Decimal


@dataclass(frozen=True, slots=True)
class SettledLine:
    """A line of a use, divided by type of tokens; amounts are micro-credits."""

    model: str | None
    provider: str | None
    service_tier: str | None
    unit: str | None
    quantity: Decimal | None
    parts: Sequence[TokenPart]
    credits: int
    credit_price_usd: Decimal
    price_version: str


@dataclass(frozen=True, slots=True)
class SettledUse:
    """A settled use; amounts are micro-credits.

    Attributes:
        payer_id: whose wallet pays: a user, or an organisation as `org:<id>`.
        consumed: the price of the use; `charged`: what the payer paid of it.
    """

    usage_key: str
    payer_id: str
    payer_name: str | None
    user_id: str
    feature_key: str
    feature_name: str | None
    consumed: int
    charged: int
    settled_at: datetime
    lines: Sequence[SettledLine]


@dataclass(frozen=True, slots=True)
class UseRefund:
    """A refund of a use; `amount` is micro-credits."""

    use: SettledUse
    amount: int
    refunded_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class FocusBatch:
    """A part of an export: the bytes of a CSV with its heading, and how many rows it has."""

    content: bytes
    rows: int
