"""Closes, statements, late facts and payments as the service returns them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

__all__ = ["Close", "GrantPayment", "LateFact", "PaidValues", "WalletClose"]


@dataclass(frozen=True, slots=True)
class PaidValues:
    """The paid value in a month, in USD.

    deferred_opening + received - repaid - revenue - breakage - forfeited = deferred_closing.

    Attributes:
        received, repaid: payments recorded for grants, and payments returned.
        revenue, breakage, forfeited: earned by use, because credits expired, and because credits were taken back.
        deferred_opening, deferred_closing: paid for and still owed in credits (deferred revenue).
    """

    deferred_opening: Decimal
    received: Decimal
    repaid: Decimal
    revenue: Decimal
    breakage: Decimal
    forfeited: Decimal
    deferred_closing: Decimal


NO_PAID_VALUE = PaidValues(*[Decimal(0)] * 7)


@dataclass(frozen=True, slots=True)
class WalletClose:
    """The statement of one wallet, or of all together, in a closed month; in credits, the paid value in USD.

    opening + granted - used - expired - voided + refunded + adjusted - charged_back = closing.

    Attributes:
        granted: by source of the grants.
        used: charged for uses, without shortfalls; `used_on_limit` is the part that the credit limit paid.
        shortfall: used but not covered: a loss.
    """

    owner_id: str | None
    opening: Decimal
    granted: Mapping[str, Decimal]
    used: Decimal
    used_on_limit: Decimal
    expired: Decimal
    voided: Decimal
    refunded: Decimal
    adjusted: Decimal
    charged_back: Decimal
    shortfall: Decimal
    closing: Decimal
    value: PaidValues

    @classmethod
    def unmoved(cls, owner_id: str, balance: Decimal, value: PaidValues = NO_PAID_VALUE) -> Self:
        """Return the statement of a wallet in a month in which it did not move."""
        zero = Decimal(0)
        return cls(owner_id, balance, {}, zero, zero, zero, zero, zero, zero, zero, zero, balance, value)


@dataclass(frozen=True, slots=True)
class Close:
    """A closed month, from `since` (None for the opening) up to `until`.

    Attributes:
        wallets, transfers: the wallets that moved, and how many transfers belong to the month.
        late: facts of earlier months that arrived after their close and so belong to this one.
        unvalued: credits purchased in this month for which no payment was recorded: they have no paid value.
        flows: credits moved from each account of the ledger to each other one, in credits.
    """

    period: str
    timezone: str
    since: datetime | None
    until: datetime
    closed_at: datetime
    wallets: int
    transfers: int
    late: int
    unvalued: Decimal
    flows: Mapping[tuple[str, str], Decimal]
    statement: WalletClose


@dataclass(frozen=True, slots=True)
class LateFact:
    """A fact that happened before the month to which it belongs, because it arrived after the close of its own month.

    `transaction_id` and `credits` (signed) describe a transfer; `grant_id` and `usd` a payment.
    """

    kind: str
    owner_id: str
    happened_at: datetime
    recorded_at: datetime
    transaction_id: str | None = None
    credits: Decimal | None = None
    grant_id: UUID | None = None
    usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class GrantPayment:
    """What is recorded as paid for a grant in all, in USD; `replayed` if this call changed nothing."""

    owner_id: str
    grant_id: UUID
    paid_usd: Decimal
    replayed: bool
