"""Opening, extending and voiding holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from faregate.credit.errors import (
    AlreadySettledError,
    SpendingLimitError,
    UsageKeyConflictError,
    WalletClosedError,
    WalletFrozenError,
    hold_closed,
    insufficient_credits,
)
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.burn_down import burn_order
from faregate.credit.ledger.limits import check_limits
from faregate.credit.ledger.states import ChargeState, ChargeStatus, WalletState, WalletStatus
from faregate.credit.ledger.time_effects import expire_lapsed

__all__ = [
    "NOTHING_RESERVED",
    "HoldRequest",
    "Reserved",
    "draw_from_hold",
    "extend_hold",
    "open_hold",
    "renew_hold",
    "require_active",
    "reserved_by",
    "void_hold",
]


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A request to hold `amount` micro-credits for one use; the identifying fields are frozen on the charge.

    `start_hash` is the hash of the call: the same key with the same hash is a replay, with a different hash a conflict.
    `is_new`: the key was generated for this request, so that it cannot have been used before.
    """

    usage_key: str
    wallet_id: int
    subject_id: int
    organization_id: int | None
    feature_key: str
    rule: str
    amount: int
    ttl_seconds: int
    start_hash: bytes
    metadata: Mapping[str, Any] | None = None
    limit_scopes: tuple[str, ...] = ()
    is_new: bool = False


class Reserved(NamedTuple):
    """What a hold had set aside for the charge that follows: in all, and of it from unrestricted grants."""

    amount: int
    general: int


NOTHING_RESERVED = Reserved(0, 0)


def open_hold(book: Book, request: HoldRequest) -> ChargeState:
    """Open the hold, or return the one that the same call opened before.

    Raises:
        UsageKeyConflictError: the key was used to start a different call.
        AlreadySettledError, HoldClosedError: the same call opened the hold before, but it is closed now.
        WalletFrozenError, WalletClosedError, InsufficientCreditsError, SpendingLimitError: refused. Nothing is stored, so
            that the same call can succeed later.
    """
    known = book.charges.get(request.usage_key)
    if known is not None:
        return _replayed(known, request)
    wallet = book.wallets[request.wallet_id]
    require_active(wallet)
    free = wallet.free_for(request.feature_key)
    if request.amount > free:
        raise insufficient_credits(free_micros=free, required_micros=request.amount)
    warned = check_limits(book.limits_of(request.limit_scopes), request.amount)
    charge = ChargeState(
        usage_key=request.usage_key,
        wallet_id=request.wallet_id,
        subject_id=request.subject_id,
        organization_id=request.organization_id,
        feature_key=request.feature_key,
        rule=request.rule,
        start_hash=request.start_hash,
        created_at=book.now,
        hold=request.amount,
        expires_at=book.now + timedelta(seconds=request.ttl_seconds),
        metadata=request.metadata,
        limit_scopes=request.limit_scopes,
        warned=tuple(warned),
    )
    _reserve(book, wallet, charge, charge.hold)
    book.count_limits(charge, held=charge.hold)
    book.touch_charge(charge)
    return charge


def extend_hold(book: Book, charge: ChargeState, ttl_seconds: int) -> datetime:
    """Extend an open hold to at least `ttl_seconds` from now; never shortens it."""
    _require_open(charge)
    wanted = book.now + timedelta(seconds=ttl_seconds)
    charge.expires_at = max(wanted, charge.expires_at or wanted)
    book.touch_charge(charge)
    return charge.expires_at


def renew_hold(book: Book, charge: ChargeState, *, ttl_seconds: int, amount: int | None = None) -> None:
    """Extend an open hold, and raise it towards `amount` as far as free credits and spending limits allow; never lower it.

    Raises:
        AlreadySettledError, HoldClosedError: the hold is not open.
        WalletFrozenError, WalletClosedError: the wallet accepts no holds; nothing is changed.
    """
    _require_open(charge)
    wallet = book.wallets[charge.wallet_id]
    require_active(wallet)
    extend_hold(book, charge, ttl_seconds)
    more = min((amount or 0) - charge.hold, wallet.free_for(charge.feature_key))
    if more <= 0 or _is_limited(book, charge, more):
        return
    charge.hold += more
    _reserve(book, wallet, charge, more)
    book.count_limits(charge, held=more)


def draw_from_hold(book: Book, charge: ChargeState, amount: int) -> Reserved:
    """Make up to `amount` of an open hold free, for a charge that follows under the same lock; return what was drawn."""
    wallet = book.wallets[charge.wallet_id]
    drawn = left = min(amount, charge.hold)
    for grant_id, held in list(charge.hold_grants.items()):
        part = min(left, held)
        wallet.grants[grant_id].held -= part
        wallet.earmarked += part
        charge.hold_grants[grant_id] = held - part
        left -= part
        book.touch_grant(wallet.grants[grant_id])
    charge.hold_grants = {grant_id: held for grant_id, held in charge.hold_grants.items() if held}
    charge.hold -= drawn
    wallet.held -= drawn
    book.count_limits(charge, held=-drawn)
    book.touch(wallet)
    book.touch_charge(charge)
    return Reserved(drawn, left)


def reserved_by(charge: ChargeState) -> Reserved:
    """Return what an open hold sets aside."""
    if charge.status is not ChargeStatus.OPEN:
        return NOTHING_RESERVED
    return Reserved(charge.hold, charge.hold - sum(charge.hold_grants.values()))


def void_hold(book: Book, charge: ChargeState, *, reason: str | None) -> ChargeState:
    """Void an open hold; voiding it again changes nothing."""
    if charge.status is ChargeStatus.VOIDED:
        return charge
    _require_open(charge)
    wallet = book.wallets[charge.wallet_id]
    book.release(charge, ChargeStatus.VOIDED, at=book.now)
    charge.close_reason = reason
    expire_lapsed(book, wallet, at=book.now)
    return charge


def require_active(wallet: WalletState) -> None:
    """Raise `WalletFrozenError` or `WalletClosedError` unless the wallet accepts new holds and debits."""
    if wallet.status is WalletStatus.FROZEN:
        raise WalletFrozenError
    if wallet.status is WalletStatus.CLOSED:
        raise WalletClosedError


def _is_limited(book: Book, charge: ChargeState, amount: int) -> bool:
    try:
        check_limits(book.limits_of(charge.limit_scopes), amount)
    except SpendingLimitError:
        return True
    return False


def _reserve(book: Book, wallet: WalletState, charge: ChargeState, amount: int) -> None:
    """Reserve `amount`: first from grants restricted to this feature, in burn order, the rest from the free credits."""
    wallet.held += amount
    left = amount
    for grant in burn_order(wallet.grants.values(), now=book.now) if wallet.earmarked else ():
        if grant.features is None or not grant.usable_for(charge.feature_key):
            continue
        take = min(left, grant.remaining - grant.held)
        if take > 0:
            grant.held += take
            wallet.earmarked -= take
            charge.hold_grants[grant.grant_id] = charge.hold_grants.get(grant.grant_id, 0) + take
            left -= take
            book.touch_grant(grant)
    if charge.expires_at is not None:
        wallet.next_change_at = min(charge.expires_at, wallet.next_change_at or charge.expires_at)
    book.touch(wallet)


def _replayed(known: ChargeState, request: HoldRequest) -> ChargeState:
    if known.start_hash != request.start_hash:
        raise UsageKeyConflictError(request.usage_key, "was used for another call; take a new one")
    _require_open(known)
    return known


def _require_open(charge: ChargeState) -> None:
    if charge.status is ChargeStatus.SETTLED:
        raise AlreadySettledError(charge.usage_key)
    if charge.status is not ChargeStatus.OPEN:
        raise hold_closed(charge.usage_key, charge.status.name.lower())
