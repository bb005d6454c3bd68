"""Putting grants into a wallet and taking them out again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from faregate.core.errors import InvalidError, KeyConflictError
from faregate.core.privacy.erased_keys import erased_key
from faregate.core.values.moments import check_moment
from faregate.credit.errors import WalletClosedError
from faregate.credit.ledger.accounts import GRANT_ORIGINS, Account, GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.recurrence import check_every, next_renewal
from faregate.credit.ledger.states import GrantState, Note, Renewal, WalletState, WalletStatus
from faregate.credit.ledger.time_effects import expire_lapsed, post_grant
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["GRANT_PRIORITY", "GrantSpec", "add_grant", "void_grant"]

GRANT_PRIORITY = 50
"""The priority of a grant that names none; smaller numbers are used first."""


@dataclass(frozen=True, slots=True)
class GrantSpec:
    """A grant to be made, in micro-credits.

    Attributes:
        key: the same key on one wallet makes one grant, however often it is sent.
        every: makes it recurring (`"month"`, `"3 days"`); it renews to its amount plus what is left, clamped to
            `rollover_min` … `rollover_max`.
        features: the only features that may use it; None for all.
        carried: what of it was used already, where a recurring grant continues a period that began at `effective_at`. It
            is filled as of now, and this part is taken back at once; None for a grant that continues nothing.
    """

    amount: int
    source: GrantSource
    priority: int = GRANT_PRIORITY
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    features: Sequence[str] | None = None
    every: str | None = None
    rollover_min: int = 0
    rollover_max: int = 0
    key: str | None = None
    actor: str | None = None
    reason: str | None = None
    carried: int | None = None

    def meaning_hash(self) -> bytes:
        """Return the hash of what makes two grants of one key the same."""
        meaning = [
            self.amount,
            self.source,
            self.priority,
            self.effective_at,
            self.expires_at,
            sorted(self.features) if self.features is not None else None,
            self.every,
            self.rollover_min,
            self.rollover_max,
            *([self.carried] if self.carried is not None else []),
        ]
        return sha256(exact_json.dumps(meaning)).digest()


def add_grant(book: Book, wallet: WalletState, spec: GrantSpec, *, paid_for: bool = False) -> tuple[GrantState, bool]:
    """Make the grant, or return the one made earlier by its key (and True for such a replay).

    A grant whose `effective_at` is to come is scheduled: it counts from that moment on.

    Args:
        paid_for: an order that was paid already; even a closed wallet takes it.

    Raises:
        WalletClosedError: it takes nothing until it is reopened.
        InvalidError: amount, dates or rollover make no sense.
        KeyConflictError: the key was used on this wallet for another grant.
    """
    known = _made_before(wallet, spec.key) if spec.key else None
    if known is not None:
        if known.meaning_hash != spec.meaning_hash():
            raise KeyConflictError(
                f"the grant key {spec.key!r} was used for another grant; take a new one", param="key"
            )
        return known, True
    if wallet.status is WalletStatus.CLOSED and not paid_for:
        raise WalletClosedError
    _check(spec, book.now)
    grant = _new_grant(book, wallet, spec)
    wallet.grants[grant.grant_id] = grant
    book.touch_grant(grant)
    if grant.effective_at <= book.now:
        _fill(book, wallet, grant, spec)
    _note_changes(book, wallet, grant)
    return grant, False


def _made_before(wallet: WalletState, key: str) -> GrantState | None:
    """Return the grant of this key, also where the key was replaced since it named a person who was erased."""
    named = {key, erased_key(key)}
    return next((grant for grant in wallet.grants.values() if grant.key in named), None)


def void_grant(
    book: Book, wallet: WalletState, grant: GrantState, *, actor: str, reason: str, filled_by: int | None = None
) -> GrantState:
    """Take a grant back: what open holds do not protect goes at once, the rest when they close. Safe to repeat.

    Args:
        filled_by: the transfer that filled the grant, which is corrected; unless this book has filled it anew since.
    """
    if grant.voided:
        return grant
    grant.voided = True
    grant.renewal = None
    grant.expires_at = book.now
    grant.void_note = Note(corrects_seq=_filled_by(book, grant) or filled_by, actor=actor, reason=reason)
    book.touch_grant(grant)
    expire_lapsed(book, wallet, at=book.now)
    _note_changes(book, wallet, grant)
    return grant


def _fill(book: Book, wallet: WalletState, grant: GrantState, spec: GrantSpec) -> None:
    if spec.carried is None:
        post_grant(book, wallet, grant, grant.amount, at=grant.effective_at)
        return
    post_grant(book, wallet, grant, grant.amount, at=book.now)
    _take_back(book, wallet, grant, spec.carried)


def _take_back(book: Book, wallet: WalletState, grant: GrantState, carried: int) -> None:
    """Take `carried` of what was just filled; what has repaid the credit limit stays repaid."""
    amount = min(carried, grant.remaining)
    if amount == 0:
        return
    note = Note(corrects_seq=wallet.last_seq, actor=grant.actor, reason="used before in this period")
    origin, kind = GRANT_ORIGINS[grant.source], TransferKind.GRANT_VOID
    slices = [(grant, -amount)]
    book.post(wallet, kind, debit=Account.WALLET, credit=origin, amount=amount, slices=slices, note=note)


def _filled_by(book: Book, grant: GrantState) -> int | None:
    """Return the last transfer of this book that filled the grant: what time has renewed is not written yet."""
    fillings = {t.seq for t in book.transfers if t.wallet_id == grant.wallet_id and t.kind is TransferKind.GRANT}
    filled = (s.seq for s in book.slices if s.grant_id == grant.grant_id and s.amount > 0 and s.seq in fillings)
    return max(filled, default=None)


def _check(spec: GrantSpec, now: datetime) -> None:
    if spec.amount <= 0:
        raise InvalidError("credits must be more than 0", param="credits")
    _check_times(spec, now)
    if spec.features is not None and not spec.features:
        raise InvalidError("features must name at least one feature; leave it out for all", param="features")
    if not 0 <= spec.rollover_min <= spec.rollover_max and spec.every:
        raise InvalidError("rollover bounds must be 0 <= rollover_min <= rollover_max", param="rollover_min")
    if spec.every is None and (spec.rollover_min or spec.rollover_max):
        raise InvalidError("rollover needs `every`: only a recurring grant rolls over", param="every")
    if spec.every is not None:
        check_every(spec.every)
    begun = spec.effective_at is None or spec.effective_at <= now
    if spec.carried is not None and (spec.every is None or not begun or not 0 <= spec.carried <= spec.amount):
        raise InvalidError("carried must be 0 … credits of a recurring grant that has begun", param="carried")


def _check_times(spec: GrantSpec, now: datetime) -> None:
    begins = check_moment(spec.effective_at, param="effective_at") if spec.effective_at is not None else now
    if spec.expires_at is not None and check_moment(spec.expires_at, param="expires_at") <= max(begins, now):
        raise InvalidError("expires_at must be later than effective_at and now", param="expires_at")


def _new_grant(book: Book, wallet: WalletState, spec: GrantSpec) -> GrantState:
    begins = spec.effective_at or book.now
    renewal = None
    if spec.every is not None:
        first = next_renewal(begins, spec.every, after=max(begins, book.now))
        renewal = Renewal(spec.every, spec.rollover_min, spec.rollover_max, first)
    return GrantState(
        grant_id=new_uuid7(),
        wallet_id=wallet.wallet_id,
        source=spec.source,
        priority=spec.priority,
        amount=spec.amount,
        effective_at=begins,
        created_at=book.now,
        expires_at=spec.expires_at,
        features=tuple(sorted(spec.features)) if spec.features is not None else None,
        renewal=renewal,
        key=spec.key,
        actor=spec.actor,
        reason=spec.reason,
        meaning_hash=spec.meaning_hash(),
    )


def _note_changes(book: Book, wallet: WalletState, grant: GrantState) -> None:
    """Have the wallet look again when time changes this grant."""
    moments = [grant.renewal.next_at] if grant.renewal is not None else []
    if not grant.active and not grant.voided:
        moments.append(grant.effective_at)
    if grant.expires_at is not None and (grant.remaining > 0 or not grant.voided):
        moments.append(grant.expires_at)
    if wallet.next_change_at is not None:
        moments.append(wallet.next_change_at)
    wallet.next_change_at = min(moments, default=None)
    book.touch(wallet)
