"""Low and exhausted wallets, each warned of once until they recover. Pure.

What counts is what is left in all: the balance, holds included, and the credit limit. A hold spends nothing, so opening
and closing holds warns of nothing.
"""

from datetime import datetime, timedelta

from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.states import WalletState

__all__ = ["warn_of_balances"]


def warn_of_balances(book: Book, *, pause: timedelta) -> None:
    """Note in `book` which changed wallets have become low or exhausted, and in the wallets when that was.

    A wallet is warned of when what is left falls to its mark (`low_balance`, or 0) or below. It is warned of again after
    it has recovered, or when it falls to the mark again `pause` or more after the last warning.
    """
    for wallet in book.changed_wallets.values():
        before = book.left_before.get(wallet.wallet_id, wallet.left)
        if before == wallet.left and wallet.low_told_at is None and wallet.exhausted_told_at is None:
            continue
        _forget_recovered(book, wallet)
        if wallet.low_balance is not None and before > wallet.low_balance >= wallet.left:
            wallet.low_told_at = _told_at(book, wallet, wallet.low_told_at, book.low, pause)
        if before > 0 >= wallet.left:
            wallet.exhausted_told_at = _told_at(book, wallet, wallet.exhausted_told_at, book.exhausted, pause)


def _forget_recovered(book: Book, wallet: WalletState) -> None:
    """Let a recovered wallet be warned of again.

    A low wallet has recovered at one and a half times its mark. An exhausted one has recovered above its mark; without a
    mark, as soon as a grant has filled it: a correction that comes and goes is no recovery.
    """
    mark, left = wallet.low_balance or 0, wallet.left
    filled = left > mark and (mark > 0 or _was_granted(book, wallet))
    if filled and 2 * left >= 3 * mark:
        wallet.low_told_at = None
    if filled and left > 0:
        wallet.exhausted_told_at = None


def _told_at(
    book: Book, wallet: WalletState, told_at: datetime | None, told: list[WalletState], pause: timedelta
) -> datetime:
    """Warn unless that was done less than `pause` ago; return when it was done last."""
    if told_at is not None and book.now < told_at + pause:
        return told_at
    told.append(wallet)
    return book.now


def _was_granted(book: Book, wallet: WalletState) -> bool:
    return any(t.kind is TransferKind.GRANT and t.wallet_id == wallet.wallet_id for t in book.transfers)
