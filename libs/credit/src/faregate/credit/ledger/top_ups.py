"""Automatic top-ups: at most one open order per wallet."""

from uuid import UUID

from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.states import TopUpOrder, WalletState, WalletStatus
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["close_order", "order_message", "order_top_ups"]


def order_top_ups(book: Book) -> None:
    """Place an order for each changed active wallet whose balance (held credits included) is below its threshold.

    A wallet with an open order gets none.
    """
    for wallet in book.changed_wallets.values():
        if _needs(book, wallet):
            wallet.top_up_order = new_uuid7()
            book.top_ups.append(TopUpOrder(wallet.top_up_order, wallet.wallet_id, wallet.top_up_amount or 0))


def close_order(wallet: WalletState, order_id: UUID) -> None:
    """Clear the wallet's open order, so that the next one can be placed."""
    if wallet.top_up_order == order_id:
        wallet.top_up_order = None


def order_message(order: TopUpOrder) -> OutgoingMessage:
    """Return the message by which the worker pays an order."""
    return OutgoingMessage(exact_json.dumps({"order_id": order.order_id}))


def _needs(book: Book, wallet: WalletState) -> bool:
    if wallet.status is not WalletStatus.ACTIVE or wallet.top_up_below is None or wallet.top_up_order is not None:
        return False
    if wallet.top_up_not_before is not None and wallet.top_up_not_before > book.now:
        return False
    return wallet.balance < wallet.top_up_below
