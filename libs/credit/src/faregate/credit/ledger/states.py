"""States of wallets, grants, charges and transfers, in integer micro-credits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple
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
    "Renewal",
    "TopUpOrder",
    "Transfer",
    "TransferNote",
    "WalletState",
    "WalletStatus",
]


class WalletStatus(IntEnum):
    """What a wallet accepts. Uses already started are settled and corrected in any status; all transitions are allowed."""

    ACTIVE = 1
    FROZEN = 2
    """Accepts no holds and no debits, and orders no top-ups."""
    CLOSED = 3
    """Like `FROZEN`; accepts no grants and no renewals either, until it is reopened."""


class ChargeStatus(IntEnum):
    """Status of a use; only `OPEN` has a hold, and only corrections can follow `SETTLED`."""

    OPEN = 0
    SETTLED = 1
    VOIDED = 2
    EXPIRED = 3


class Flag(IntFlag):
    """Exceptional conditions of a settlement."""

    LATE = 1
    """The hold was voided or had expired."""
    NO_HOLD = 2
    """The use was never started."""
    OVER_HOLD = 4
    """The use cost more than its hold."""
    SHORTFALL = 8
    """Hold and free balance did not cover the cost."""
    UNPRICED = 16
    """A line has no price yet."""
    KEYLESS = 32
    """The call had no usage key."""
    INCONSISTENT = 64
    """The provider's token counts contradict each other."""

    @property
    def words(self) -> list[str]:
        """The names of the flags in the API, in a fixed order."""
        return [str(flag.name).lower() for flag in Flag if flag in self]


NO_FLAGS = Flag(0)


@dataclass(frozen=True, slots=True)
class Renewal:
    """Renewal of a recurring grant: to its amount plus what is left, clamped to the rollover bounds."""

    every: str
    rollover_min: int
    rollover_max: int
    next_at: datetime


@dataclass(slots=True)
class GrantState:
    """One grant.

    `held` is what open holds have reserved of a grant that is restricted to `features`; holds on general grants are
    counted in the wallet's `held`. `active` becomes true when `effective_at` is reached and the amount was posted.
    `void_note` records who voided the grant and why, and which transfer had filled it; it is also the note of what is taken
    later, when a hold that protects it closes.
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
    void_note: "TransferNote | None" = None
    meaning_hash: bytes | None = None

    def usable_for(self, feature: str | None) -> bool:
        """Tell whether `feature` may use this grant."""
        return self.features is None or feature in self.features

    def lapsed(self, moment: datetime) -> bool:
        """Tell whether the grant has expired at `moment`; an open hold still protects what is left of it."""
        return self.expires_at is not None and self.expires_at <= moment

    @property
    def burn_class(self) -> int:
        """0 for free grants, 1 for paid ones."""
        return burn_class(self.source)


@dataclass(frozen=True, slots=True)
class GrantUse:
    """Changes of a grant since a given moment, in micro-credits.

    Attributes:
        spent: charged to it, less refunds.
        left: what it has left now.
        rolled_over: what it had at that moment and still has.
    """

    spent: int
    left: int
    rolled_over: int


@dataclass(slots=True)
class WalletState:
    """One locked wallet.

    `credits` and `debits` only grow; `balance` is their difference. `held` is the sum of open holds, `earmarked` what
    restricted grants reserve for their features beyond their own holds, `debt` what was charged to the credit limit and is
    not repaid or charged back beyond what was free; `clawback_debt` is the latter part of it. Invariants: balance = sum of
    grants' remaining - debt; free >= -clawback_debt.
    """

    wallet_id: int
    credits: int = 0
    debits: int = 0
    held: int = 0
    earmarked: int = 0
    debt: int = 0
    clawback_debt: int = 0
    credit_limit: int = 0
    status: WalletStatus = WalletStatus.ACTIVE
    next_change_at: datetime | None = None
    last_seq: int = 0
    head_hash: bytes = GENESIS
    changed_at: datetime | None = None
    low_balance: int | None = None
    low_told_at: datetime | None = None
    exhausted_told_at: datetime | None = None
    """When the owner was last warned; None after the wallet has recovered."""
    plan: str | None = None
    top_up_below: int | None = None
    top_up_amount: int | None = None
    top_up_order: UUID | None = None
    top_up_not_before: datetime | None = None
    grants: dict[UUID, GrantState] = field(default_factory=dict[UUID, GrantState])
    all_grants: bool = False
    """Whether `grants` holds all live, scheduled and recurring grants, or only as many as were needed."""

    @property
    def balance(self) -> int:
        """The owner's credits, held credits included."""
        return self.credits - self.debits

    @property
    def left(self) -> int:
        """The balance, held credits included, plus the credit limit."""
        return self.credits + self.credit_limit - self.debits

    @property
    def free(self) -> int:
        """What any feature may hold or be charged."""
        return self.credits + self.credit_limit - self.debits - self.held - self.earmarked

    def repay(self, amount: int) -> None:
        """Reduce the debt by `amount`, the part that charge-backs made first."""
        self.debt -= amount
        self.clawback_debt -= min(self.clawback_debt, amount)

    def free_for(self, feature: str | None) -> int:
        """What `feature` may hold or be charged: the free credits plus those earmarked for it."""
        if not self.earmarked:
            return self.free
        return self.free + sum(g.remaining - g.held for g in self.grants.values() if _earmarked_for(g, feature))


@dataclass(slots=True)
class ChargeState:
    """One use: the payer, the hold, the outcome. The fields before `status` never change after the row is inserted."""

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
    """`metadata` and `close_reason` as read from the database. Unchanged values are not written back, so that values erased
    meanwhile stay erased."""
    limit_scopes: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    """The scopes whose soft limit this start has exceeded; reported once, not stored."""


@dataclass(frozen=True, slots=True)
class TopUpOrder:
    """An order of `amount` micro-credits for a wallet, to be paid by the payment provider."""

    order_id: UUID
    wallet_id: int
    amount: int


@dataclass(frozen=True, slots=True)
class TransferNote:
    """What a transfer refers to, who posted it and why.

    `operation_key` makes a correction idempotent; `corrects_seq` is the transfer that is corrected.
    """

    usage_key: str | None = None
    corrects_seq: int | None = None
    operation_key: str | None = None
    actor: str | None = None
    reason: str | None = None


class Transfer(NamedTuple):
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
    """The digest of the caller's key; older rows hold the key itself."""
    actor: str | None
    reason: str | None
    salt: bytes
    seal: str | None
    """The seal of the reason with the salt, which the row stores in place of the text and the hash covers."""
    effective_at: datetime
    created_at: datetime
    hash: bytes


@dataclass(frozen=True, slots=True)
class GrantSlice:
    """The amount that one transfer added to a grant (positive) or took from it (negative)."""

    wallet_id: int
    seq: int
    grant_id: UUID
    amount: int


def _earmarked_for(grant: GrantState, feature: str | None) -> bool:
    return grant.features is not None and feature in grant.features
