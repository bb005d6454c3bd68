"""What a settlement charges: the one place that decides how a use ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faregate.credit.errors import InsufficientCreditsError, UsageKeyConflictError
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.burn_down import burn
from faregate.credit.ledger.holds import require_active
from faregate.credit.ledger.limits import check_limits
from faregate.credit.ledger.states import NO_FLAGS, ChargeState, ChargeStatus, Flag, Note, WalletState
from faregate.credit.ledger.time_effects import expire_lapsed

__all__ = ["ChargeOpening", "Posting", "charge_wallet", "settle"]


@dataclass(frozen=True, slots=True)
class ChargeOpening:
    """The identifying part of a charge that was never started."""

    wallet_id: int
    subject_id: int
    organization_id: int | None
    feature_key: str
    rule: str
    metadata: Mapping[str, Any] | None = None
    limit_scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Posting:
    """The cost of one use, in micro-credits.

    Attributes:
        consumed: what the use is priced at.
        chargeable: what the payer is asked for: `consumed`, or 0 when the rule only records.
        meaning_hash: same key and same hash: the first result again; another hash: a conflict.
        earlier_hashes: of the same meaning, as earlier releases made them; they are no conflict either.
        flags: what pricing and parsing already know (`UNPRICED`, `KEYLESS`, `INCONSISTENT`).
        started_wallet_id: the payer, where the caller has seen the charge.
        opening: makes the charge when the key is unknown.
        in_full: refuse rather than fall short (a direct use or debit, where nothing was consumed yet).
        actor, reason: on whose word an amount is debited, and why; a use needs neither.
    """

    usage_key: str
    consumed: int
    chargeable: int
    meaning_hash: bytes
    earlier_hashes: tuple[bytes, ...] = ()
    flags: Flag = NO_FLAGS
    started_wallet_id: int | None = None
    opening: ChargeOpening | None = None
    in_full: bool = False
    duration_ms: int | None = None
    metadata: Mapping[str, Any] | None = None
    actor: str | None = None
    reason: str | None = None

    @property
    def wallet_id(self) -> int:
        """The wallet to lock: the charge's, or the one that would pay."""
        if self.started_wallet_id is not None:
            return self.started_wallet_id
        if self.opening is None:
            raise AssertionError(f"the posting of {self.usage_key!r} names neither a charge nor an opening")
        return self.opening.wallet_id


def settle(book: Book, posting: Posting) -> tuple[ChargeState, bool]:
    """Settle one use; return its charge and whether this was a replay that changed nothing.

    Charges `min(chargeable, hold + free)`; the rest is shortfall. A settlement after a void or an expiry has no hold left
    and is flagged late; one without a start is flagged `no_hold`.

    Raises:
        UsageKeyConflictError: the key is settled with another meaning.
        WalletFrozenError, WalletClosedError, InsufficientCreditsError, SpendingLimitError: `in_full`, and it cannot be;
            nothing is changed.
    """
    charge = book.charges.get(posting.usage_key)
    if charge is not None and charge.status is ChargeStatus.SETTLED:
        if charge.meaning_hash not in {posting.meaning_hash, *posting.earlier_hashes}:
            raise UsageKeyConflictError(posting.usage_key, "is settled already, for other usage")
        return charge, True
    if charge is None:
        charge = _unstarted(book, posting)
    if posting.in_full:
        _require_cover(book, charge, posting.chargeable)
    flags = _flags(charge, posting)
    if charge.status is ChargeStatus.OPEN:
        book.release(charge, ChargeStatus.SETTLED, at=book.now)
    wallet = book.wallets[charge.wallet_id]
    charge.first_seq = wallet.last_seq + 1 if posting.chargeable else None
    note = Note(posting.usage_key, actor=posting.actor, reason=posting.reason)
    charged, shortfall = charge_wallet(book, wallet, posting.chargeable, charge=charge, note=note)
    book.count_limits(charge, spent=charged)
    expire_lapsed(book, wallet, at=book.now)
    _close(charge, posting, charged=charged, shortfall=shortfall, flags=flags, book=book)
    return charge, False


def charge_wallet(
    book: Book,
    wallet: WalletState,
    amount: int,
    *,
    charge: ChargeState,
    kind: TransferKind = TransferKind.CHARGE,
    note: Note,
) -> tuple[int, int]:
    """Take `amount` for `charge`: from grants, then from the credit limit, and note what nothing covers.

    Returns:
        What was charged, and the shortfall.
    """
    chargeable = min(amount, max(0, wallet.free_for(charge.feature_key)))
    shortfall = amount - chargeable
    slices, on_limit = burn(
        wallet.grants.values(), chargeable, now=book.now, feature=charge.feature_key, general_limit=max(0, wallet.free)
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
        raise InsufficientCreditsError(free_micros=free, required_micros=amount)
    if charge.status is not ChargeStatus.OPEN:
        check_limits(book.limits_of(charge.limit_scopes), amount)


def _unstarted(book: Book, posting: Posting) -> ChargeState:
    opening = posting.opening
    if opening is None:
        raise AssertionError(f"{posting.usage_key!r} is unknown and its posting says nothing of who uses what")
    return ChargeState(
        usage_key=posting.usage_key,
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


def _flags(charge: ChargeState, posting: Posting) -> Flag:
    flags = posting.flags
    if charge.flags:
        flags |= charge.flags & Flag.NO_HOLD
    if charge.status in {ChargeStatus.VOIDED, ChargeStatus.EXPIRED}:
        flags |= Flag.LATE
    if charge.status is ChargeStatus.OPEN and posting.chargeable > charge.hold:
        flags |= Flag.OVER_HOLD
    return flags


def _close(charge: ChargeState, posting: Posting, *, charged: int, shortfall: int, flags: Flag, book: Book) -> None:
    wallet = book.wallets[charge.wallet_id]
    charge.status = ChargeStatus.SETTLED
    charge.closed_at = charge.closed_at or book.now
    charge.settled_at = book.now
    charge.meaning_hash = posting.meaning_hash
    charge.consumed = posting.consumed
    charge.charged = charged
    charge.shortfall = shortfall
    charge.flags = flags | Flag.SHORTFALL if shortfall else flags
    charge.balance_after = wallet.balance
    charge.free_after = wallet.free
    charge.duration_ms = posting.duration_ms
    charge.metadata = posting.metadata if posting.metadata is not None else charge.metadata
    book.touch_charge(charge)
