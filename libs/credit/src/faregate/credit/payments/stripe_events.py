"""Reader of Stripe's events: the facts of each type.

Only what is needed is read and kept: ids, amounts and outcomes, nothing about the person who pays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from faregate.core.errors import MalformedError
from faregate.credit.payments.rules import DisputeFacts, PaymentFacts, RefundFacts, share_of
from faregate.credit.payments.values import PaymentEvent, SavedMethod

__all__ = ["EVENT_TYPES", "PURCHASE_KEY", "read_event"]

PURCHASE_KEY = "faregate_purchase"
"""The key of the purchase's id in the metadata of Stripe's objects."""

Fields = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH_MAX = 255


def read_event(body: Any) -> PaymentEvent | None:
    """Return what an event says about a purchase; None for types that say nothing about one.

    Raises:
        MalformedError: the body is not an event of Stripe.
    """
    event = _fields(body, "the body")
    if event.get("object") != "event":
        raise MalformedError('the body is not an event of Stripe: `object` must be "event"')
    kind, event_id = _text(event, "type"), _text(event, "id")
    read = _READERS.get(kind)
    if read is None:
        return None
    found = _fields(_fields(event.get("data"), "data").get("object"), "data.object")
    said = read(found)
    return PaymentEvent(
        event_id=event_id,
        type=kind,
        object_id=_text(found, "id"),
        occurred_at=_EPOCH + timedelta(seconds=_whole(event, "created")),
        facts=said.facts,
        purchase_id=_purchase_of(found),
        payment_intent=said.payment_intent,
        saved=said.saved,
        failure=said.failure,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    facts: PaymentFacts
    payment_intent: str | None
    saved: SavedMethod | None = None
    failure: str | None = None


def _session(found: Fields) -> _Said:
    paid = _whole(found, "amount_total") if found.get("payment_status") == "paid" else 0
    return _Said(PaymentFacts(paid=paid), _id(found, "payment_intent"))


def _session_failed(found: Fields) -> _Said:
    return _Said(PaymentFacts(failed=True), _id(found, "payment_intent"), failure="payment_failed")


def _session_expired(found: Fields) -> _Said:
    return _Said(PaymentFacts(expired=True), _id(found, "payment_intent"))


def _intent_paid(found: Fields) -> _Said:
    return _Said(PaymentFacts(paid=_whole(found, "amount_received")), _text(found, "id"), saved=_saved(found))


def _intent_failed(found: Fields) -> _Said:
    error = found.get("last_payment_error")
    return _Said(PaymentFacts(failed=True), _text(found, "id"), failure=_failure(error))


def _intent_canceled(found: Fields) -> _Said:
    return _Said(PaymentFacts(expired=True), _text(found, "id"))


def _charge(found: Fields) -> _Said:
    return _Said(PaymentFacts(refunded=_whole(found, "amount_refunded")), _id(found, "payment_intent"))


def _refund(found: Fields) -> _Said:
    failed = found.get("status") in {"failed", "canceled"}
    refunds = {_text(found, "id"): RefundFacts(_whole(found, "amount"), failed)}
    return _Said(PaymentFacts(refunds=refunds), _id(found, "payment_intent"))


def _dispute(found: Fields) -> _Said:
    """Read a dispute: its balance transactions say what was withdrawn and what came back, also in part."""
    amount = _whole(found, "amount")
    moved = [
        _whole(_fields(each, "balance_transactions"), "amount") for each in found.get("balance_transactions") or ()
    ]
    out, back = -sum(each for each in moved if each < 0), sum(each for each in moved if each > 0)
    withdrawn = amount if out or found.get("status") == "lost" else 0
    reinstated = share_of(amount, back, out or amount)
    disputes = {_text(found, "id"): DisputeFacts(max(withdrawn, reinstated), reinstated)}
    return _Said(PaymentFacts(disputes=disputes), _id(found, "payment_intent"))


def _withdrawn(found: Fields) -> _Said:
    return _at_least(found, DisputeFacts(withdrawn=_whole(found, "amount")))


def _reinstated(found: Fields) -> _Said:
    """Read a reinstatement; without balance transactions it is one of the whole amount."""
    amount = _whole(found, "amount")
    listed = bool(found.get("balance_transactions"))
    return _at_least(found, DisputeFacts(withdrawn=amount, reinstated=0 if listed else amount))


def _at_least(found: Fields, dispute: DisputeFacts) -> _Said:
    said = _dispute(found)
    disputes = {key: known.joined(dispute) for key, known in said.facts.disputes.items()}
    return _Said(PaymentFacts(disputes=disputes), said.payment_intent)


_READERS: Mapping[str, Callable[[Fields], _Said]] = {
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _session_expired,
    "payment_intent.succeeded": _intent_paid,
    "payment_intent.payment_failed": _intent_failed,
    "payment_intent.canceled": _intent_canceled,
    "charge.refunded": _charge,
    "charge.refund.updated": _refund,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _withdrawn,
    "charge.dispute.funds_reinstated": _reinstated,
}

EVENT_TYPES = tuple(sorted(_READERS))
"""The types of events to send to the webhook."""


def _purchase_of(found: Fields) -> UUID | None:
    """Return the purchase that the object names; objects of other systems may have any text there."""
    named = _fields(found.get("metadata") or {}, "metadata").get(PURCHASE_KEY) or found.get("client_reference_id")
    try:
        return UUID(str(named)) if named is not None else None
    except ValueError:
        return None


def _saved(found: Fields) -> SavedMethod | None:
    customer, method = _id(found, "customer"), _id(found, "payment_method")
    if found.get("setup_future_usage") != "off_session" or customer is None or method is None:
        return None
    return SavedMethod(customer, method)


def _failure(error: Any) -> str | None:
    if not isinstance(error, Mapping):
        return None
    codes = [cast("Fields", error).get(name) for name in ("code", "decline_code")]
    return ": ".join(str(code)[:_LENGTH_MAX] for code in codes if code) or None


def _id(found: Fields, name: str) -> str | None:
    """Return the id of a linked object, which Stripe sends alone or with its fields."""
    value = found.get(name)
    if isinstance(value, Mapping):
        return _text(cast("Fields", value), "id")
    return _text(found, name) if value is not None else None


def _fields(value: Any, name: str) -> Fields:
    if not isinstance(value, Mapping):
        raise MalformedError(f"{name} must be an object")
    return cast("Fields", value)


def _text(found: Fields, name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LENGTH_MAX or "\0" in value:
        raise MalformedError(f"{name} must be a text of 1 to {_LENGTH_MAX} characters")
    return value


def _whole(found: Fields, name: str) -> int:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**15:
        raise MalformedError(f"{name} must be a whole number")
    return value
