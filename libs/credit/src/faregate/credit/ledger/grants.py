"""Adding grants to a wallet and voiding them."""

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
from faregate.credit.ledger.states import GrantState, Renewal, TransferNote, WalletState, WalletStatus
from faregate.credit.ledger.time_effects import expire_lapsed, post_grant
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["GRANT_PRIORITY", "GrantSpec", "add_grant", "void_grant"]

GRANT_PRIORITY = 50
"""The default priority of a grant; smaller numbers are used first."""


@dataclass(frozen=True, slots=True)
class GrantSpec:
    """A grant to add, in micro-credits.

    Attributes:
        key: idempotency key: on one wallet, each key makes one grant, no matter how often it is sent.
        every: makes the grant recurring (`"month"`, `"3 days"`); it renews to its amount plus what is left, clamped to
            `rollover_min` … `rollover_max`.
        features: the only features that may use the grant; None for all.
        carried: the part already used, if a recurring grant continues a period that began at `effective_at`. The grant is
            filled as of now, and this part is taken back at once. None for a grant that continues no period.
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
        """Return the hash of the fields that must be equal for two grants with one key to be the same."""
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
    """Add the grant, or return the one added earlier with its key (and True for such a replay).

    A grant with an `effective_at` in the future is scheduled: it counts from that moment on.

    Args:
        paid_for: the grant fulfils an order that is already paid; even a closed wallet accepts it.

    Raises:
        WalletClosedError: the wallet accepts no grants until it is reopened.
        InvalidError: the amount, the dates or the rollover bounds are not valid.
        KeyConflictError: the key was already used on this wallet for a different grant.
    """
    known = _made_before(wallet, spec.key) if spec.key else None
    if known is not None:
        if known.meaning_hash != spec.meaning_hash():
            raise KeyConflictError(
                f"the grant key {spec.key!r} was already used for a different grant; use a new key", param="key"
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
    _schedule_next_change(book, wallet, grant)
    return grant, False


def _made_before(wallet: WalletState, key: str) -> GrantState | None:
    """Return the grant with this key, even if an erasure has replaced the key because it named a person."""
    named = {key, erased_key(key)}
    return next((grant for grant in wallet.grants.values() if grant.key in named), None)


def void_grant(
    book: Book, wallet: WalletState, grant: GrantState, *, actor: str, reason: str, filled_by: int | None = None
) -> GrantState:
    """Void a grant: what no open hold protects is taken at once, the rest when the holds close. Safe to repeat.

    Args:
        filled_by: the transfer that filled the grant, which the void corrects; ignored if a transfer of this book has
            filled it since.
    """
    if grant.voided:
        return grant
    grant.voided = True
    grant.renewal = None
    grant.expires_at = book.now
    grant.void_note = TransferNote(corrects_seq=_filled_by(book, grant) or filled_by, actor=actor, reason=reason)
    book.touch_grant(grant)
    expire_lapsed(book, wallet, at=book.now)
    _schedule_next_change(book, wallet, grant)
    return grant


def _fill(book: Book, wallet: WalletState, grant: GrantState, spec: GrantSpec) -> None:
    if spec.carried is None:
        post_grant(book, wallet, grant, grant.amount, at=grant.effective_at)
        return
    post_grant(book, wallet, grant, grant.amount, at=book.now)
    _take_back(book, wallet, grant, spec.carried)


def _take_back(book: Book, wallet: WalletState, grant: GrantState, carried: int) -> None:
    """Take `carried` from a grant that was just filled; the part that repaid the credit limit is not taken back."""
    amount = min(carried, grant.remaining)
    if amount == 0:
        return
    note = TransferNote(corrects_seq=wallet.last_seq, actor=grant.actor, reason="used before in this period")
    origin, kind = GRANT_ORIGINS[grant.source], TransferKind.GRANT_VOID
    slices = [(grant, -amount)]
    book.post(wallet, kind, debit=Account.WALLET, credit=origin, amount=amount, slices=slices, note=note)


def _filled_by(book: Book, grant: GrantState) -> int | None:
    """Return the last transfer of this book that filled the grant (a renewal of this book is not in the database yet)."""
    fillings = {t.seq for t in book.transfers if t.wallet_id == grant.wallet_id and t.kind is TransferKind.GRANT}
    filled = (s.seq for s in book.slices if s.grant_id == grant.grant_id and s.amount > 0 and s.seq in fillings)
    return max(filled, default=None)


def _check(spec: GrantSpec, now: datetime) -> None:
    if spec.amount <= 0:
        raise InvalidError("credits must be more than 0", param="credits")
    _check_times(spec, now)
    if spec.features is not None and not spec.features:
        raise InvalidError("features must name at least one feature; omit it to allow all", param="features")
    if not 0 <= spec.rollover_min <= spec.rollover_max and spec.every:
        raise InvalidError("rollover bounds must be 0 <= rollover_min <= rollover_max", param="rollover_min")
    if spec.every is None and (spec.rollover_min or spec.rollover_max):
        raise InvalidError("rollover requires `every`: only a recurring grant rolls over", param="every")
    if spec.every is not None:
        check_every(spec.every)
    begun = spec.effective_at is None or spec.effective_at <= now
    if spec.carried is not None and (spec.every is None or not begun or not 0 <= spec.carried <= spec.amount):
        raise InvalidError("carried must be 0 … credits, on a recurring grant that has begun", param="carried")


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


def _schedule_next_change(book: Book, wallet: WalletState, grant: GrantState) -> None:
    """Set the wallet's next change to the next moment at which this grant changes, if that is earlier."""
    moments = [grant.renewal.next_at] if grant.renewal is not None else []
    if not grant.active and not grant.voided:
        moments.append(grant.effective_at)
    if grant.expires_at is not None and (grant.remaining > 0 or not grant.voided):
        moments.append(grant.expires_at)
    if wallet.next_change_at is not None:
        moments.append(wallet.next_change_at)
    wallet.next_change_at = min(moments, default=None)
    book.touch(wallet)
