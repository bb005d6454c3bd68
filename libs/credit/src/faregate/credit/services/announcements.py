"""Webhook events of a book: balance warnings, expired holds and settlements."""

from collections.abc import Iterator
from decimal import Decimal

from faregate.core.webhooks.outgoing_events import Event, EventType
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.states import ChargeState, ChargeStatus, Flag, WalletState
from faregate.wire.credits import to_credits

__all__ = ["events_of"]


def events_of(book: Book) -> Iterator[Event]:
    """Return the events of the changes in `book`."""
    for wallet in book.low:
        yield _wallet_event(EventType.CREDITS_LOW, wallet, low_balance=to_credits(wallet.low_balance or 0))
    for wallet in book.exhausted:
        yield _wallet_event(EventType.CREDITS_EXHAUSTED, wallet)
    for charge in book.changed_charges.values():
        if charge.status is not ChargeStatus.SETTLED or charge.settled_at == book.now:
            yield from _charge_events(charge)


def _wallet_event(kind: EventType, wallet: WalletState, **more: Decimal) -> Event:
    data = {"credits": to_credits(wallet.free), "balance": to_credits(wallet.balance), **more}
    return Event(kind, data, {"owner_id": wallet.wallet_id})


def _charge_events(charge: ChargeState) -> list[Event]:
    people = {"owner_id": charge.wallet_id, "user_id": charge.subject_id}
    use = {"usage_key": charge.usage_key, "feature_key": charge.feature_key}
    if charge.status is ChargeStatus.EXPIRED:
        return [Event(EventType.HOLD_EXPIRED, {**use, "hold": to_credits(charge.hold)}, people)]
    if charge.status is not ChargeStatus.SETTLED:
        return []
    amounts = {"charged": to_credits(charge.charged), "consumed": to_credits(charge.consumed)}
    settled = {**use, **amounts, "shortfall": to_credits(charge.shortfall), "flags": charge.flags.words}
    found = [Event(EventType.SETTLEMENT_COMPLETED, settled, people)]
    if charge.shortfall:
        found.append(Event(EventType.SETTLEMENT_SHORTFALL, settled, people))
    if Flag.UNPRICED in charge.flags:
        found.append(Event(EventType.PRICE_MISSING, use, people))
    return found
