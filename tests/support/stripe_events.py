"""Stripe's events as it sends and signs them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from stripe import WebhookSignature

__all__ = ["SECRET", "Delivery", "StripeEvents", "signed"]

SECRET = "whsec_of_the_tests"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The raw body of a webhook, and its header Stripe-Signature."""

    body: bytes
    signature: str


def signed(event: Mapping[str, Any], *, secret: str = SECRET, at: int | None = None) -> Delivery:
    """Return the event as it is delivered."""
    text = json.dumps(event, indent=2)
    return Delivery(text.encode(), WebhookSignature.generate_signature_header(text, secret, at))


class StripeEvents:
    """The events of one payment of `amount` cents."""

    def __init__(self, purchase_id: UUID | None, *, amount: int = 1000, name: str | None = None) -> None:
        self.number = name or str(next(_numbers))
        self.intent = f"pi_{self.number}"
        self.amount = amount
        self.metadata = {"faregate_purchase": str(purchase_id)} if purchase_id is not None else {}
        self._events = count(1)

    def event(self, kind: str, fields: Mapping[str, Any], *, created: int = 1_790_000_000) -> dict[str, Any]:
        """Return an event of this type with an id of its own."""
        return {
            "id": f"evt_{self.number}_{next(self._events)}",
            "object": "event",
            "api_version": "2026-10-29.dahlia",
            "created": created,
            "type": kind,
            "livemode": False,
            "data": {"object": dict(fields)},
        }

    def session(self, kind: str = "completed", *, paid: bool = True) -> dict[str, Any]:
        """`checkout.session.<kind>`."""
        return self.event(
            f"checkout.session.{kind}",
            {
                "id": f"cs_{self.number}",
                "object": "checkout.session",
                "amount_total": self.amount,
                "currency": "usd",
                "client_reference_id": self.metadata.get("faregate_purchase"),
                "metadata": self.metadata,
                "payment_intent": self.intent if kind != "expired" else None,
                "payment_status": "paid" if paid else "unpaid",
            },
        )

    def intent_event(
        self, kind: str = "succeeded", *, save: bool = False, method: str = "pm_1", created: int = 1_790_000_000
    ) -> dict[str, Any]:
        """`payment_intent.<kind>`."""
        return self.event(
            f"payment_intent.{kind}",
            {
                "id": self.intent,
                "object": "payment_intent",
                "amount": self.amount,
                "amount_received": self.amount if kind == "succeeded" else 0,
                "customer": {"id": "cus_1", "object": "customer"} if save else None,
                "payment_method": method if save else None,
                "setup_future_usage": "off_session" if save else None,
                "metadata": self.metadata,
                "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"}
                if kind == "payment_failed"
                else None,
            },
            created=created,
        )

    def charge_refunded(self, refunded: int) -> dict[str, Any]:
        """`charge.refunded`, with the cumulative amount of all refunds."""
        return self.event(
            "charge.refunded",
            {
                "id": f"ch_{self.number}",
                "object": "charge",
                "amount": self.amount,
                "amount_refunded": refunded,
                "refunded": refunded == self.amount,
                "payment_intent": self.intent,
                "metadata": self.metadata,
            },
        )

    def refund(self, kind: str, name: str, amount: int, status: str = "succeeded") -> dict[str, Any]:
        """`refund.<kind>`."""
        return self.event(
            f"refund.{kind}" if kind != "charge.refund.updated" else kind,
            {
                "id": f"re_{self.number}_{name}",
                "object": "refund",
                "amount": amount,
                "charge": f"ch_{self.number}",
                "payment_intent": self.intent,
                "status": status,
                "metadata": {},
            },
        )

    def dispute(
        self, kind: str, amount: int, *, name: str = "1", status: str = "needs_response", moved: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """`charge.dispute.<kind>`; `moved` are the amounts of its balance transactions."""
        return self.event(
            f"charge.dispute.{kind}",
            {
                "id": f"dp_{self.number}_{name}",
                "object": "dispute",
                "amount": amount,
                "charge": f"ch_{self.number}",
                "payment_intent": self.intent,
                "status": status,
                "balance_transactions": [
                    {"id": f"txn_{n}", "object": "balance_transaction", "amount": each} for n, each in enumerate(moved)
                ],
                "metadata": {},
            },
        )
