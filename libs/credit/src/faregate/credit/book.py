"""The book: the wallets that one transaction has locked, and what is decided about them. Read once, written once.

Rules (`burn_down`, `holds`, `settlement`, `maturing`, `granting`, `corrections`) are functions over the book; none of
them knows a database. All amounts here are integer micro-credits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag
from typing import Any
from uuid import UUID

from faregate.credit.accounts import Account, GrantSource, TransferKind, burn_class
from faregate.credit.chain import GENESIS, link
from faregate.credit.limits import LimitState, Period
from faregate.credit.reasons import sealed

__all__ = [
    "NO_FLAGS",
    "Book",
    "ChargeState",
    "ChargeStatus",
    "Flag",
    "GrantSlice",
    "GrantState",
    "Note",
    "Renewal",
    "TopUpOrder",
    "Transfer",
    "WalletState",
    "WalletStatus",
]


class WalletStatus(IntEnum):
    """What a wallet may begin. What was begun is settled and corrected whatever the status; any may follow any other."""

    ACTIVE = 1
    FROZEN = 2
    """Starts nothing, and orders no top-ups."""
    CLOSED = 3
    """Takes no grants and no renewals either, until it is reopened."""


class ChargeStatus(IntEnum):
    """Where a use stands; only `OPEN` has a hold, nothing follows `SETTLED` but corrections."""

    OPEN = 0
    SETTLED = 1
    VOIDED = 2
    EXPIRED = 3


class Flag(IntFlag):
    """What was unusual about a settlement."""

    LATE = 1
    """Its hold was voided or had expired."""
    NO_HOLD = 2
    """It was never started."""
    OVER_HOLD = 4
    """It cost more than its hold."""
    SHORTFALL = 8
    """Hold and free balance did not cover it."""
    UNPRICED = 16
    """A line has no price yet."""
    KEYLESS = 32
    """It came without a usage key."""
    INCONSISTENT = 64
    """The provider's token counts contradict each other."""

    @property
    def words(self) -> list[str]:
        """The flags as the wire names them, in a fixed order."""
        return [str(flag.name).lower() for flag in Flag if flag in self]


NO_FLAGS = Flag(0)


@dataclass(frozen=True, slots=True)
class Renewal:
    """How a recurring grant renews: to its amount plus what is left, clamped to the rollover bounds."""

    every: str
    rollover_min: int
    rollover_max: int
    next_at: datetime


@dataclass(slots=True)
class GrantState:
    """One grant.

    `held` is what open holds have set aside of a grant that is restricted to `features`; general grants are covered by
    the wallet's own `held`. `active` turns true when `effective_at` has come and the amount was posted. `void_note` tells
    who took it back and why, and which transfer had filled it: what a hold protects is taken later, in the same name.
    """

    grant_id: UUID
    wallet_id: int
    source: GrantSource
    priority: int
    amount: int
    effective_at: datetime
    created_at: datetime
    expires_at: datetime | None = None
    features: tuple[str, ...] | None = None
    remaining: int = 0
    held: int = 0
    active: bool = False
    voided: bool = False
    renewal: Renewal | None = None
    key: str | None = None
    actor: str | None = None
    reason: str | None = None
    void_note: "Note | None" = None
    meaning_hash: bytes | None = None

    def usable_for(self, feature: str | None) -> bool:
        """Tell whether `feature` may burn this grant."""
        return self.features is None or feature in self.features

    def lapsed(self, moment: datetime) -> bool:
        """Tell whether the grant has expired by `moment`; what is left of it is protected by an open hold."""
        return self.expires_at is not None and self.expires_at <= moment

    @property
    def burn_class(self) -> int:
        """0 for what was given, 1 for what was paid for."""
        return burn_class(self.source)


@dataclass(slots=True)
class WalletState:
    """One wallet under its lock.

    `credits` and `debits` only grow; `balance` is their difference. `held` is the sum of open holds, `earmarked` what
    restricted grants keep for their features beyond their own holds, `debt` what the credit limit has paid and no grant
    has repaid. Invariant: balance = sum of grants' remaining - debt.
    """

    wallet_id: int
    credits: int = 0
    debits: int = 0
    held: int = 0
    earmarked: int = 0
    debt: int = 0
    credit_limit: int = 0
    status: WalletStatus = WalletStatus.ACTIVE
    next_change_at: datetime | None = None
    last_seq: int = 0
    head_hash: bytes = GENESIS
    changed_at: datetime | None = None
    low_balance: int | None = None
    plan: str | None = None
    top_up_below: int | None = None
    top_up_amount: int | None = None
    top_up_order: UUID | None = None
    top_up_not_before: datetime | None = None
    grants: dict[UUID, GrantState] = field(default_factory=dict[UUID, GrantState])
    all_grants: bool = False
    """Whether `grants` holds all that is live, scheduled or recurring, or only as many as were needed."""

    @property
    def balance(self) -> int:
        """What the owner has, holds included."""
        return self.credits - self.debits

    @property
    def free(self) -> int:
        """What any feature may hold or be charged."""
        return self.credits + self.credit_limit - self.debits - self.held - self.earmarked

    def free_for(self, feature: str | None) -> int:
        """What `feature` may hold or be charged: what is free plus what is earmarked for it."""
        if not self.earmarked:
            return self.free
        return self.free + sum(g.remaining - g.held for g in self.grants.values() if _earmarked_for(g, feature))


@dataclass(slots=True)
class ChargeState:
    """One use: who pays, the hold, the outcome. The part before `status` is frozen when the row is made."""

    usage_key: str
    wallet_id: int
    subject_id: int
    organization_id: int | None
    feature_key: str
    rule: str
    start_hash: bytes | None
    created_at: datetime
    status: ChargeStatus = ChargeStatus.OPEN
    hold: int = 0
    hold_grants: dict[UUID, int] = field(default_factory=dict[UUID, int])
    expires_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: str | None = None
    settled_at: datetime | None = None
    meaning_hash: bytes | None = None
    consumed: int = 0
    charged: int = 0
    shortfall: int = 0
    flags: Flag = NO_FLAGS
    first_seq: int | None = None
    balance_after: int | None = None
    free_after: int | None = None
    duration_ms: int | None = None
    metadata: Mapping[str, Any] | None = None
    read_metadata: Mapping[str, Any] | None = None
    read_reason: str | None = None
    """`metadata` and `close_reason` as they were read: what was read is not written back, so that what is erased
    meanwhile stays erased."""
    limit_scopes: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    """The scopes whose soft limit this start has passed; told once, not stored."""


@dataclass(frozen=True, slots=True)
class TopUpOrder:
    """An order of `amount` micro-credits for a wallet, to be paid by a payment provider."""

    order_id: UUID
    wallet_id: int
    amount: int


@dataclass(frozen=True, slots=True)
class Note:
    """What a transfer belongs to, and on whose word it was posted.

    `operation_key` makes a correction happen once; `corrects_seq` is the transfer that it corrects.
    """

    usage_key: str | None = None
    corrects_seq: int | None = None
    operation_key: str | None = None
    actor: str | None = None
    reason: str | None = None


_NO_NOTE = Note()


@dataclass(frozen=True, slots=True)
class Transfer:
    """One append-only row of the ledger."""

    wallet_id: int
    seq: int
    kind: TransferKind
    debit: Account
    credit: Account
    amount: int
    balance_after: int
    usage_key: str | None
    corrects_seq: int | None
    operation_key: str | None
    actor: str | None
    reason: str | None
    salt: bytes
    seal: str | None
    """What stands in the row for the reason, under the salt, and is covered by the hash."""
    effective_at: datetime
    created_at: datetime
    hash: bytes


@dataclass(frozen=True, slots=True)
class GrantSlice:
    """What one transfer put into a grant (positive) or took from it (negative)."""

    wallet_id: int
    seq: int
    grant_id: UUID
    amount: int


class Book:
    """Wallets under lock, and the rows to write when the decisions are made."""

    def __init__(self, now: datetime, wallets: Iterable[WalletState] = ()) -> None:
        self.now = now
        self.wallets = {wallet.wallet_id: wallet for wallet in wallets}
        self.free_before: dict[int, int] = {}
        self.charges: dict[str, ChargeState] = {}
        self.changed_wallets: dict[int, WalletState] = {}
        self.changed_charges: dict[str, ChargeState] = {}
        self.changed_grants: dict[UUID, GrantState] = {}
        self.limits: dict[tuple[str, Period], LimitState] = {}
        self.changed_limits: dict[tuple[str, Period], LimitState] = {}
        self.transfers: list[Transfer] = []
        self.top_ups: list[TopUpOrder] = []
        self.slices: list[GrantSlice] = []

    def post(
        self,
        wallet: WalletState,
        kind: TransferKind,
        *,
        debit: Account,
        credit: Account,
        amount: int,
        slices: Iterable[tuple[GrantState, int]] = (),
        at: datetime | None = None,
        note: Note = _NO_NOTE,
    ) -> Transfer:
        """Append one transfer, move the wallet's counters, and move `slices` in and out of grants.

        `at` is when the movement took effect; never before the wallet's last one, so that a wallet's transfers are in
        order of time as well as of number.
        """
        if amount <= 0:
            raise AssertionError(f"a transfer moves a positive amount, not {amount}")
        moment = max(at or self.now, wallet.changed_at or at or self.now)
        wallet.changed_at = moment
        wallet.last_seq += 1
        if credit is Account.WALLET:
            wallet.credits += amount
        if debit is Account.WALLET:
            wallet.debits += amount
        salt, seal = sealed(note.reason)
        moved = [(grant.grant_id, change) for grant, change in slices if self._move(wallet, grant, change)]
        wallet.head_hash = link(
            wallet.head_hash,
            wallet_id=wallet.wallet_id,
            seq=wallet.last_seq,
            kind=kind,
            debit=debit,
            credit=credit,
            amount=amount,
            balance_after=wallet.balance,
            corrects_seq=note.corrects_seq,
            effective_at=moment,
            created_at=self.now,
            texts=(note.usage_key, note.operation_key, note.actor, seal),
            slices=moved,
        )
        transfer = Transfer(
            wallet.wallet_id,
            wallet.last_seq,
            kind,
            debit,
            credit,
            amount,
            wallet.balance,
            note.usage_key,
            note.corrects_seq,
            note.operation_key,
            note.actor,
            note.reason,
            salt,
            seal,
            moment,
            self.now,
            wallet.head_hash,
        )
        self.transfers.append(transfer)
        self.touch(wallet)
        return transfer

    def release(self, charge: ChargeState, status: ChargeStatus, *, at: datetime) -> None:
        """Give back what an open charge holds, and close its hold with `status`."""
        wallet = self.wallets[charge.wallet_id]
        wallet.held -= charge.hold
        for grant_id, amount in charge.hold_grants.items():
            wallet.grants[grant_id].held -= amount
            wallet.earmarked += amount
            self.touch_grant(wallet.grants[grant_id])
        self.count_limits(charge, held=-charge.hold)
        charge.status = status
        charge.closed_at = at
        self.touch(wallet)
        self.touch_charge(charge)

    def limits_of(self, scopes: Iterable[str]) -> list[LimitState]:
        """Return the limits of these scopes, of all periods."""
        wanted = set(scopes)
        return [limit for limit in self.limits.values() if limit.scope in wanted]

    def count_limits(self, charge: ChargeState, *, held: int = 0, spent: int = 0) -> None:
        """Count what a charge holds or has spent against its limits."""
        for limit in self.limits_of(charge.limit_scopes) if charge.limit_scopes else ():
            limit.held = max(0, limit.held + held)
            limit.spent += spent
            self.changed_limits[limit.scope, limit.period] = limit

    def touch(self, wallet: WalletState) -> None:
        """Note that `wallet` must be written."""
        self.changed_wallets[wallet.wallet_id] = wallet

    def touch_charge(self, charge: ChargeState) -> None:
        """Note that `charge` must be written."""
        self.charges[charge.usage_key] = charge
        self.changed_charges[charge.usage_key] = charge

    def touch_grant(self, grant: GrantState) -> None:
        """Note that `grant` must be written."""
        self.changed_grants[grant.grant_id] = grant

    def _move(self, wallet: WalletState, grant: GrantState, change: int) -> bool:
        """Put `change` into a grant, whose expiry the wallet must not miss; tell whether there was anything to move."""
        self.touch_grant(grant)
        if change == 0:
            return False
        grant.remaining += change
        if grant.features is not None:
            wallet.earmarked += change
        self.slices.append(GrantSlice(wallet.wallet_id, wallet.last_seq, grant.grant_id, change))
        if change > 0 and grant.expires_at is not None:
            wallet.next_change_at = min(grant.expires_at, wallet.next_change_at or grant.expires_at)
        return True


def _earmarked_for(grant: GrantState, feature: str | None) -> bool:
    return grant.features is not None and feature in grant.features
