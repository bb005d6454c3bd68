"""How an erasure treats each text column of the ledger."""

from collections.abc import Mapping

from faregate.core.personal_columns import ENUM, ERASED, NAME, OURS

__all__ = ["CREDIT_COLUMNS"]

_USE = (
    "the key of a use: the ledger is chained over it, and retries find the use by it; choose none that names a person"
)

_STRIPE = "Stripe's id of an object, which names nobody; refunds and disputes find their purchase by it"

CREDIT_COLUMNS: Mapping[str, str] = {
    "charge.usage_key": _USE,
    "charge.feature_key": NAME,
    "charge.rule": ENUM,
    "charge.hold_grants": OURS,
    "charge.start_hash": OURS,
    "charge.meaning_hash": OURS,
    "charge.metadata": ERASED,
    "charge.close_reason": ERASED,
    "charge.limit_scopes": OURS,
    "credit_grant.source": ENUM,
    "credit_grant.features": NAME,
    "credit_grant.every": ENUM,
    "credit_grant.key": ERASED,
    "credit_grant.meaning_hash": OURS,
    "credit_grant.actor": ERASED,
    "credit_grant.reason": ERASED,
    "credit_grant.void_note": ERASED,
    "payment_customer.customer": "Stripe's id of the customer; the row of the person is deleted",
    "payment_customer.method": "Stripe's id of a payment method; the row of the person is deleted",
    "payment_event.event_id": _STRIPE,
    "payment_event.type": ENUM,
    "payment_event.object_id": _STRIPE,
    "payment_event.payment_intent": _STRIPE,
    "payment_event.facts": "amounts by Stripe's ids of refunds and disputes; the ledger follows from them",
    "payment_link.payment_intent": _STRIPE,
    "purchase.package": NAME,
    "purchase.currency": ENUM,
    "purchase.key": ERASED,
    "purchase.status": ENUM,
    "purchase.session_id": _STRIPE,
    "purchase.url": "Stripe's address of a checkout, which names nobody; the person's are emptied",
    "purchase.failure": ERASED,
    "grant_payment.key": OURS,
    "close.period": ENUM,
    "close.timezone": ENUM,
    "close.granted": OURS,
    "close.flows": OURS,
    "close_wallet.granted": OURS,
    "spend_limit.scope": OURS,
    "spend_limit.period": ENUM,
    "top_up.status": ENUM,
    "top_up.reference": ERASED,
    "top_up.detail": ERASED,
    "transfer.usage_key": _USE,
    "transfer.operation_key": OURS,
    "transfer.actor": "a credential, or a subject's number; the ledger is chained over it",
    "transfer.reason": OURS,
    "transfer.hash": OURS,
    "transfer_reason.salt": OURS,
    "transfer_reason.words": ERASED,
    "verified_head.hash": OURS,
    "verified_head.grants": OURS,
    "wallet.plan": NAME,
    "wallet.head_hash": OURS,
}
