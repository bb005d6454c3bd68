"""Packages, purchases and events of payments, as the services return them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from faregate.credit.payments.rules import PaymentFacts

__all__ = [
    "AutomaticTopUp",
    "Checkout",
    "Package",
    "PaymentEvent",
    "Purchase",
    "PurchaseAddresses",
    "Receipt",
    "RecordedEvent",
    "SavedMethod",
]


@dataclass(frozen=True, slots=True)
class Package:
    """Credits that are sold together at one price, in US dollars."""

    key: str
    name: str
    credits: Decimal
    price_usd: Decimal


class Receipt(StrEnum):
    """What became of a delivered event."""

    APPLIED = "applied"
    """It is stored, and the ledger shows what follows from it."""
    REPEATED = "repeated"
    """It was stored by an earlier delivery."""
    WAITING = "waiting"
    """It is stored; no purchase is known for it yet."""
    IGNORED = "ignored"
    """Its type says nothing about a purchase."""


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A payment method that the customer has saved for automatic top-ups."""

    customer: str
    method: str


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """One event of Stripe, reduced to what a purchase needs.

    Attributes:
        purchase_id: the purchase that its object names, if it names one.
        payment_intent: Stripe's id of the payment, which refunds and disputes name instead.
    """

    event_id: str
    type: str
    object_id: str
    occurred_at: datetime
    facts: PaymentFacts
    purchase_id: UUID | None = None
    payment_intent: str | None = None
    saved: SavedMethod | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A stored event; `purchase_id` is None while no purchase is known for it."""

    event_id: str
    type: str
    object_id: str
    purchase_id: UUID | None
    payment_intent: str | None
    facts: Mapping[str, Any]
    occurred_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase of credits.

    Attributes:
        credits, amount_usd: what was agreed at checkout; later prices do not change it.
        granted, taken, lost: credits granted, and taken back or lost because the payment was reversed.
        automatic: it pays an automatic top-up.
        failure: why the last attempt to pay failed.
        url: where the customer pays, while the checkout is open.
    """

    id: UUID
    owner_id: str
    package: str | None
    credits: Decimal
    amount_usd: Decimal
    status: str
    granted: Decimal
    taken: Decimal
    lost: Decimal
    automatic: bool
    payment_intent: str | None
    failure: str | None
    url: str | None
    created_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class Checkout:
    """An opened checkout: where the customer pays, and until when."""

    session_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PurchaseAddresses:
    """Where the customer's browser goes after the payment, and without one; `{purchase}` stands for the purchase's id."""

    success: str
    cancel: str


@dataclass(frozen=True, slots=True)
class AutomaticTopUp:
    """Whether a payment method is saved, and the rule of the automatic top-up, in credits."""

    saved: bool
    below: Decimal | None
    credits: Decimal | None
