"""Warnings for low and exhausted wallets. Pure.

Warnings depend on what is left in total: the balance, held credits included, plus the credit limit. A hold spends nothing,
so opening or closing a hold never triggers a warning.
"""

from datetime import datetime, timedelta

from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.states import WalletState

__all__ = ["warn_of_balances"]


def warn_of_balances(book: Book, *, pause: timedelta) -> None:
    """Add the changed wallets that have become low or exhausted to `book`, and record the time in the wallets.

    A wallet is warned of when what is left falls to or below its threshold (`low_balance`, or 0). It is warned of again
    after it has recovered, or when it falls to the threshold again at least `pause` after the last warning.
    """
    granted = {transfer.wallet_id for transfer in book.transfers if transfer.kind is TransferKind.GRANT}
    for wallet in book.changed_wallets.values():
        before = book.left_before.get(wallet.wallet_id, wallet.left)
        if before == wallet.left and wallet.low_told_at is None and wallet.exhausted_told_at is None:
            continue
        _clear_recovered(wallet, granted=wallet.wallet_id in granted)
        if wallet.low_balance is not None and before > wallet.low_balance >= wallet.left:
            wallet.low_told_at = _told_at(book, wallet, wallet.low_told_at, book.low, pause)
        if before > 0 >= wallet.left:
            wallet.exhausted_told_at = _told_at(book, wallet, wallet.exhausted_told_at, book.exhausted, pause)


def _clear_recovered(wallet: WalletState, *, granted: bool) -> None:
    """Clear the last warnings of a recovered wallet, so that it can be warned of again.

    A low wallet has recovered at one and a half times its threshold. An exhausted wallet has recovered above its threshold,
    or, if it has none, as soon as a grant has filled it: a correction that is later undone is not a recovery.
    """
    threshold, left = wallet.low_balance or 0, wallet.left
    filled = left > threshold and (threshold > 0 or granted)
    if filled and 2 * left >= 3 * threshold:
        wallet.low_told_at = None
    if filled and left > 0:
        wallet.exhausted_told_at = None


def _told_at(
    book: Book, wallet: WalletState, told_at: datetime | None, told: list[WalletState], pause: timedelta
) -> datetime:
    """Add the wallet to `told` unless it was warned of less than `pause` ago; return the time of the last warning."""
    if told_at is not None and book.now < told_at + pause:
        return told_at
    told.append(wallet)
    return book.now
