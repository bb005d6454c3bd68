"""Changes of a wallet by time: starts, renewals and expiries.

A wallet whose `next_change_at` has passed is brought up to date under its lock before any other decision, in the order in
which the changes were due. No answer therefore depends on a sweep having run, and a late run has the same result.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

from faregate.credit.ledger.accounts import GRANT_ORIGINS, Account, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.recurrence import next_renewal
from faregate.credit.ledger.states import ChargeState, ChargeStatus, GrantState, TransferNote, WalletState, WalletStatus

__all__ = ["expire_lapsed", "mature", "next_change", "post_grant"]

_CLOSED = TransferNote(actor="faregate", reason="the wallet was closed when the grant would have begun")

_Step = tuple[datetime, int, str, Callable[[], None]]


def mature(book: Book, wallet: WalletState, open_charges: Iterable[ChargeState], *, holds_until: datetime) -> None:
    """Apply everything that was due by `book.now`.

    Requires all live, scheduled and recurring grants of the wallet, and its open charges (at least those whose hold ends by
    `holds_until`, and the next one after it). Holds expire only up to `holds_until`, which is earlier than now while
    settlement has a backlog.
    """
    charges = list(open_charges)
    for at, _, _, apply in sorted(_steps(book, wallet, charges, holds_until), key=lambda step: step[:3]):
        apply()
        expire_lapsed(book, wallet, at=at)
    wallet.next_change_at = next_change(wallet, charges)
    book.touch(wallet)


def post_grant(book: Book, wallet: WalletState, grant: GrantState, amount: int, *, at: datetime) -> None:
    """Add `amount` to `grant`. Unless the grant is restricted, the wallet's debt on its credit limit is repaid from it first.

    On the first posting, the grant's key becomes the transfer's operation key.
    """
    key = None if grant.active else grant.key
    repaid = 0 if grant.features is not None else min(wallet.debt, amount)
    wallet.repay(repaid)
    grant.active = True
    book.touch_grant(grant)
    book.post(
        wallet,
        TransferKind.GRANT,
        debit=GRANT_ORIGINS[grant.source],
        credit=Account.WALLET,
        amount=amount,
        slices=[(grant, amount - repaid)],
        at=at,
        note=TransferNote(operation_key=key, actor=grant.actor, reason=grant.reason),
    )


def expire_lapsed(book: Book, wallet: WalletState, *, at: datetime) -> None:
    """Post what expired grants have left to breakage, except for what an open hold protects."""
    lapsed = [grant for grant in wallet.grants.values() if grant.active and grant.remaining and grant.lapsed(at)]
    for grant in sorted(lapsed, key=lambda grant: (grant.expires_at or at, grant.grant_id)):
        unheld = grant.remaining - grant.held
        amount = unheld if grant.features is not None else min(unheld, _unheld_general(wallet))
        if amount > 0:
            _lapse(book, wallet, grant, amount, at=at)


def next_change(wallet: WalletState, open_charges: Iterable[ChargeState]) -> datetime | None:
    """Return the next moment at which the wallet changes by time."""
    moments = [c.expires_at for c in open_charges if c.status is ChargeStatus.OPEN and c.expires_at is not None]
    for grant in wallet.grants.values():
        if not grant.active and not grant.voided:
            moments.append(grant.effective_at)
        if grant.remaining > 0 and grant.expires_at is not None:
            moments.append(grant.expires_at)
        if grant.renewal is not None and not _ended(grant, grant.renewal.next_at):
            moments.append(grant.renewal.next_at)
    return min(moments, default=None)


def _steps(book: Book, wallet: WalletState, charges: Iterable[ChargeState], holds_until: datetime) -> Iterable[_Step]:
    for charge in charges:
        if charge.status is ChargeStatus.OPEN and charge.expires_at is not None and charge.expires_at <= holds_until:
            yield (
                charge.expires_at,
                0,
                charge.usage_key,
                partial(book.release, charge, ChargeStatus.EXPIRED, at=charge.expires_at),
            )
    for grant in wallet.grants.values():
        name = str(grant.grant_id)
        if not grant.active and not grant.voided and grant.effective_at <= book.now:
            yield grant.effective_at, 2, name, partial(_begin, book, wallet, grant)
        if grant.expires_at is not None and grant.expires_at <= book.now:
            yield grant.expires_at, 1, name, _nothing
        for moment in _renewals(grant, book.now):
            yield moment, 3, name, partial(_renew, book, wallet, grant, moment)


def _renewals(grant: GrantState, now: datetime) -> Iterable[datetime]:
    renewal = grant.renewal
    while renewal is not None and renewal.next_at <= now:
        if _ended(grant, renewal.next_at):
            return
        yield renewal.next_at
        renewal = replace(renewal, next_at=next_renewal(grant.effective_at, renewal.every, after=renewal.next_at))


def _ended(grant: GrantState, moment: datetime) -> bool:
    return grant.expires_at is not None and moment >= grant.expires_at


def _begin(book: Book, wallet: WalletState, grant: GrantState) -> None:
    """Activate a scheduled grant; in a closed wallet the grant is voided instead."""
    if wallet.status is WalletStatus.CLOSED:
        grant.voided, grant.void_note, grant.renewal = True, _CLOSED, None
        book.touch_grant(grant)
        return
    post_grant(book, wallet, grant, grant.amount, at=grant.effective_at)


def _renew(book: Book, wallet: WalletState, grant: GrantState, moment: datetime) -> None:
    """Renew a recurring grant to its amount plus the clamped remainder; an open hold can keep more of the remainder.

    In a closed wallet the remainder expires as at any renewal, and nothing is added.
    """
    renewal = grant.renewal
    if renewal is None or grant.voided:
        return
    kept = min(max(grant.remaining, renewal.rollover_min), renewal.rollover_max)
    lapsing = min(max(0, grant.remaining - kept), max(0, _lapsable(wallet, grant)))
    if lapsing > 0:
        _lapse(book, wallet, grant, lapsing, at=moment)
    if wallet.status is not WalletStatus.CLOSED:
        post_grant(book, wallet, grant, grant.amount + max(0, kept - grant.remaining), at=moment)
    grant.renewal = replace(renewal, next_at=next_renewal(grant.effective_at, renewal.every, after=moment))
    book.touch_grant(grant)


def _lapsable(wallet: WalletState, grant: GrantState) -> int:
    unheld = grant.remaining - grant.held
    return unheld if grant.features is not None else min(unheld, _unheld_general(wallet))


def _lapse(book: Book, wallet: WalletState, grant: GrantState, amount: int, *, at: datetime) -> None:
    kind, account, note = TransferKind.EXPIRY, Account.BREAKAGE, TransferNote()
    if grant.voided:
        kind, account = TransferKind.GRANT_VOID, GRANT_ORIGINS[grant.source]
        note = grant.void_note or TransferNote()
    slices = [(grant, -amount)]
    book.post(wallet, kind, debit=Account.WALLET, credit=account, amount=amount, slices=slices, note=note, at=at)


def _unheld_general(wallet: WalletState) -> int:
    """What general grants have beyond all holds; the credit limit protects nothing from expiry."""
    return max(0, wallet.free - wallet.credit_limit)


def _nothing() -> None:
    """Do nothing: `expire_lapsed`, which runs after each step, expires the grant."""
