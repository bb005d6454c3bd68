"""What the book is made of: wallets, grants, uses and transfers as the rules see them. Amounts are integer micro-credits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag
from typing import Any
from uuid import UUID

from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind, burn_class
from faregate.credit.ledger.chain import GENESIS

__all__ = [
    "NO_FLAGS",
    "ChargeState",
    "ChargeStatus",
    "Flag",
    "GrantSlice",
    "GrantState",
    "GrantUse",
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


@dataclass(frozen=True, slots=True)
class GrantUse:
    """What became of a grant since a moment, in micro-credits.

    Attributes:
        spent: charged to it, less refunds.
        left: what it still has.
        rolled_over: what it had at that moment and kept.
    """

    spent: int
    left: int
    rolled_over: int


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
    low_told_at: datetime | None = None
    exhausted_told_at: datetime | None = None
    """When its owner was warned last, since the wallet recovered last."""
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
    def left(self) -> int:
        """What is not spent yet: the balance, holds included, and the credit limit."""
        return self.credits + self.credit_limit - self.debits

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
    """The digest of the caller's key; rows of before have the key itself."""
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


def _earmarked_for(grant: GrantState, feature: str | None) -> bool:
    return grant.features is not None and feature in grant.features
