"""Settlement of a use: what is charged, and how the charge ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from faregate.credit.errors import UsageKeyConflictError, insufficient_credits
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.burn_down import burn
from faregate.credit.ledger.holds import NOTHING_RESERVED, Reserved, draw_from_hold, require_active, reserved_by
from faregate.credit.ledger.limits import check_limits
from faregate.credit.ledger.states import NO_FLAGS, ChargeState, ChargeStatus, Flag, TransferNote, WalletState
from faregate.credit.ledger.time_effects import expire_lapsed

__all__ = ["ChargeOpening", "PostingRequest", "charge_wallet", "settle"]


@dataclass(frozen=True, slots=True)
class ChargeOpening:
    """The identifying fields of a charge that was never started."""

    wallet_id: int
    subject_id: int
    organization_id: int | None
    feature_key: str
    rule: str
    metadata: Mapping[str, Any] | None = None
    limit_scopes: tuple[str, ...] = ()


class PostingRequest(NamedTuple):
    """A request to charge the cost of one use, in micro-credits.

    Attributes:
        consumed: the price of the use.
        chargeable: the amount to charge: `consumed`, or 0 if the rule only records.
        meaning_hash: hash of the settlement: the same key with the same hash is a replay, with a different hash a conflict.
        earlier_hashes: hashes of the same settlement as earlier releases computed them; they are no conflict either.
        flags: flags set by pricing and parsing (`UNPRICED`, `KEYLESS`, `INCONSISTENT`).
        started_wallet_id: the payer, if the caller has read the charge.
        opening: creates the charge if the key is unknown.
        drawn_from: the usage key of the hold that pays for a use that was never started (a lease).
        in_full: refuse instead of posting a shortfall (for a direct use or debit, where nothing was consumed yet).
        actor, reason: who debits an amount, and why; not needed for a use.
    """

    usage_key: str
    consumed: int
    chargeable: int
    meaning_hash: bytes
    earlier_hashes: tuple[bytes, ...] = ()
    flags: Flag = NO_FLAGS
    started_wallet_id: int | None = None
    opening: ChargeOpening | None = None
    drawn_from: str | None = None
    in_full: bool = False
    duration_ms: int | None = None
    metadata: Mapping[str, Any] | None = None
    actor: str | None = None
    reason: str | None = None

    @property
    def wallet_id(self) -> int:
        """The wallet to lock: the payer of the charge, or of the opening."""
        if self.started_wallet_id is not None:
            return self.started_wallet_id
        if self.opening is None:
            raise AssertionError(f"the settlement of {self.usage_key!r} has neither a started charge nor an opening")
        return self.opening.wallet_id


def settle(book: Book, request: PostingRequest) -> tuple[ChargeState, bool]:
    """Settle one use; return its charge and whether this was a replay that changed nothing.

    Charges `min(chargeable, hold + free)`; the rest is shortfall. After a void or an expiry the hold is released, and the
    settlement is flagged `late`; a settlement without a start is flagged `no_hold`. A use that is drawn from a hold takes its
    credits from there; after the end of that hold it is charged to the free credits and flagged `late`.

    Raises:
        UsageKeyConflictError: the key was already settled with different usage.
        WalletFrozenError, WalletClosedError, InsufficientCreditsError, SpendingLimitError: `in_full` is set and the amount
            cannot be charged in full; nothing is changed.
    """
    charge = book.charges.get(request.usage_key)
    if charge is not None and charge.status is ChargeStatus.SETTLED:
        if charge.meaning_hash not in {request.meaning_hash, *request.earlier_hashes}:
            raise UsageKeyConflictError(request.usage_key, "is settled already, for other usage")
        return charge, True
    if charge is None:
        charge = _unstarted(book, request)
        reserved = _draw(book, charge, request)
    else:
        reserved = reserved_by(charge)
    if request.in_full:
        _require_cover(book, charge, request.chargeable)
    flags = _flags(charge, request)
    if charge.status is ChargeStatus.OPEN:
        book.release(charge, ChargeStatus.SETTLED, at=book.now)
    wallet = book.wallets[charge.wallet_id]
    charge.first_seq = wallet.last_seq + 1 if request.chargeable else None
    note = TransferNote(request.usage_key, actor=request.actor, reason=request.reason)
    charged, shortfall = charge_wallet(book, wallet, request.chargeable, charge=charge, reserved=reserved, note=note)
    book.count_limits(charge, spent=charged)
    expire_lapsed(book, wallet, at=book.now)
    _close(charge, request, charged=charged, shortfall=shortfall, flags=flags, book=book)
    return charge, False


def charge_wallet(
    book: Book,
    wallet: WalletState,
    amount: int,
    *,
    charge: ChargeState,
    kind: TransferKind = TransferKind.CHARGE,
    reserved: Reserved = NOTHING_RESERVED,
    note: TransferNote,
) -> tuple[int, int]:
    """Charge `amount` for `charge`: to grants, then to the credit limit; what neither covers is posted as shortfall.

    Args:
        reserved: what a hold had set aside for this charge. It is charged even if a charge-back has taken the balance below 0
            since: the balance is then the same as if the use had been settled before it.

    Returns:
        The amount charged, and the shortfall.
    """
    chargeable = min(amount, max(reserved.amount, wallet.free_for(charge.feature_key)))
    shortfall = amount - chargeable
    slices, on_limit = burn(
        wallet.grants.values(),
        chargeable,
        now=book.now,
        feature=charge.feature_key,
        general_limit=max(reserved.general, wallet.free),
    )
    if chargeable > on_limit:
        paid = chargeable - on_limit
        book.post(wallet, kind, debit=Account.WALLET, credit=Account.REVENUE, amount=paid, slices=slices, note=note)
    if on_limit:
        wallet.debt += on_limit
        limit = TransferKind.LIMIT_CHARGE
        book.post(wallet, limit, debit=Account.WALLET, credit=Account.REVENUE, amount=on_limit, note=note)
    if shortfall:
        lost = TransferKind.SHORTFALL
        book.post(wallet, lost, debit=Account.SHORTFALL, credit=Account.REVENUE, amount=shortfall, note=note)
    return chargeable, shortfall


def _require_cover(book: Book, charge: ChargeState, amount: int) -> None:
    wallet = book.wallets[charge.wallet_id]
    require_active(wallet)
    held = charge.hold if charge.status is ChargeStatus.OPEN else 0
    free = wallet.free_for(charge.feature_key) + held
    if amount > free:
        raise insufficient_credits(free_micros=free, required_micros=amount)
    if charge.status is not ChargeStatus.OPEN:
        check_limits(book.limits_of(charge.limit_scopes), amount)


def _unstarted(book: Book, request: PostingRequest) -> ChargeState:
    opening = request.opening
    if opening is None:
        raise AssertionError(f"{request.usage_key!r} is unknown and its settlement has no opening")
    return ChargeState(
        usage_key=request.usage_key,
        wallet_id=opening.wallet_id,
        subject_id=opening.subject_id,
        organization_id=opening.organization_id,
        feature_key=opening.feature_key,
        rule=opening.rule,
        start_hash=None,
        created_at=book.now,
        status=ChargeStatus.SETTLED,
        metadata=opening.metadata,
        flags=Flag.NO_HOLD,
        limit_scopes=opening.limit_scopes,
    )


def _draw(book: Book, charge: ChargeState, request: PostingRequest) -> Reserved:
    """Take the credits of a use from the hold that it is drawn from, and flag the use; return what was drawn."""
    if request.drawn_from is None:
        return NOTHING_RESERVED
    hold = book.charges[request.drawn_from]
    if hold.status is not ChargeStatus.OPEN:
        charge.flags = Flag.LATE
        return NOTHING_RESERVED
    charge.flags = Flag.OVER_HOLD if request.chargeable > hold.hold else NO_FLAGS
    return draw_from_hold(book, hold, request.chargeable)


def _flags(charge: ChargeState, request: PostingRequest) -> Flag:
    flags = request.flags | charge.flags if charge.flags else request.flags
    if charge.status in {ChargeStatus.VOIDED, ChargeStatus.EXPIRED}:
        flags |= Flag.LATE
    if charge.status is ChargeStatus.OPEN and request.chargeable > charge.hold:
        flags |= Flag.OVER_HOLD
    return flags


def _close(
    charge: ChargeState, request: PostingRequest, *, charged: int, shortfall: int, flags: Flag, book: Book
) -> None:
    wallet = book.wallets[charge.wallet_id]
    charge.status = ChargeStatus.SETTLED
    charge.closed_at = charge.closed_at or book.now
    charge.settled_at = book.now
    charge.meaning_hash = request.meaning_hash
    charge.consumed = request.consumed
    charge.charged = charged
    charge.shortfall = shortfall
    charge.flags = flags | Flag.SHORTFALL if shortfall else flags
    charge.balance_after = wallet.balance
    charge.free_after = wallet.free
    charge.duration_ms = request.duration_ms
    charge.metadata = request.metadata if request.metadata is not None else charge.metadata
    book.touch_charge(charge)
