"""What of a written book others may want to know: low and exhausted wallets, expired holds, settlements."""

from collections.abc import Iterator, Mapping

from faregate.core.credits import to_credits
from faregate.core.events import Event, EventType
from faregate.credit.book import Book
from faregate.credit.states import ChargeState, ChargeStatus, Flag, WalletState

__all__ = ["events_of"]


def events_of(book: Book, free_before: Mapping[int, int]) -> Iterator[Event]:
    """Tell what happened in `book`, whose wallets had so much free before."""
    for wallet in book.changed_wallets.values():
        yield from _wallet_events(wallet, free_before.get(wallet.wallet_id, wallet.free))
    for charge in book.changed_charges.values():
        if charge.status is not ChargeStatus.SETTLED or charge.settled_at == book.now:
            yield from _charge_events(charge)


def _wallet_events(wallet: WalletState, before: int) -> list[Event]:
    """A wallet is told of when it passes a mark on its way down, not while it stays below."""
    data = {"credits": to_credits(wallet.free), "balance": to_credits(wallet.balance)}
    people = {"owner_id": wallet.wallet_id}
    found: list[Event] = []
    low = wallet.low_balance
    if low is not None and before > low >= wallet.free:
        found.append(Event(EventType.CREDITS_LOW, {**data, "low_balance": to_credits(low)}, people))
    if before > 0 >= wallet.free:
        found.append(Event(EventType.CREDITS_EXHAUSTED, data, people))
    return found


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
