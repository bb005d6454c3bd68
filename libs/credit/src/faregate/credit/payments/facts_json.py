"""Payment facts as JSON, as they are stored with their event."""

from collections.abc import Mapping
from typing import Any

from faregate.credit.payments.rules import DisputeFacts, PaymentFacts, RefundFacts

__all__ = ["facts_from", "facts_json"]


def facts_json(facts: PaymentFacts) -> dict[str, Any]:
    """Return the facts without what says nothing."""
    found: dict[str, Any] = {
        "paid": facts.paid,
        "refunded": facts.refunded,
        "refunds": {key: {"amount": each.amount, "failed": each.failed} for key, each in facts.refunds.items()},
        "disputes": {
            key: {"withdrawn": each.withdrawn, "reinstated": each.reinstated} for key, each in facts.disputes.items()
        },
        "failed": facts.failed,
        "expired": facts.expired,
    }
    return {name: value for name, value in found.items() if value}


def facts_from(stored: Mapping[str, Any]) -> PaymentFacts:
    """Return the facts that `facts_json` has written."""
    return PaymentFacts(
        paid=stored.get("paid", 0),
        refunded=stored.get("refunded", 0),
        refunds={key: RefundFacts(each["amount"], each["failed"]) for key, each in stored.get("refunds", {}).items()},
        disputes={
            key: DisputeFacts(each["withdrawn"], each["reinstated"]) for key, each in stored.get("disputes", {}).items()
        },
        failed=stored.get("failed", False),
        expired=stored.get("expired", False),
    )
