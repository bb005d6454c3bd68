"""Values of run-out dates: wallets, limits, simulated drains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

__all__ = ["Allowance", "DailyUse", "Drain", "SpendCap", "WalletOutlook"]


@dataclass(slots=True)
class Allowance:
    """A grant as a simulation changes it, in credits.

    Attributes:
        rank: its place in the order of use; the lowest is used first.
        features: the only features that may use it; None for all.
        every, next_at: the interval of a recurring grant, and its next renewal.
    """

    rank: int
    amount: Decimal
    remaining: Decimal
    effective_at: datetime
    expires_at: datetime | None = None
    features: frozenset[str] | None = None
    every: str | None = None
    next_at: datetime | None = None
    rollover_min: Decimal = Decimal(0)
    rollover_max: Decimal = Decimal(0)
    active: bool = True


@dataclass(frozen=True, slots=True)
class SpendCap:
    """A hard limit of the wallet's spending in each UTC day, week or month, and what is spent of the running one."""

    period: str
    limit: Decimal
    spent: Decimal


@dataclass(frozen=True, slots=True)
class WalletOutlook:
    """A wallet at one moment.

    Attributes:
        credit_line: what may be used beyond the balance.
        held: what open holds set aside.
        top_up: (below, credits) of automatic top-ups.
    """

    subject_id: int
    plan: str | None
    balance: Decimal
    held: Decimal
    credit_line: Decimal
    allowances: Sequence[Allowance]
    top_up: tuple[Decimal, Decimal] | None = None
    caps: Sequence[SpendCap] = ()


@dataclass(frozen=True, slots=True)
class DailyUse:
    """Charged credits of one wallet by day and feature."""

    days: Mapping[date, Mapping[str, Decimal]] = field(default_factory=dict[date, Mapping[str, Decimal]])

    def total(self, day: date) -> Decimal:
        """Return the credits of one day."""
        return sum(self.days.get(day, {}).values(), Decimal(0))


@dataclass(frozen=True, slots=True)
class Drain:
    """The result of a simulation.

    Attributes:
        empty_at: when a use would first be refused for want of credits; None within the horizon.
        refilled_at: the next renewal or start of a grant after that.
        capped_at: when a spending limit first ends the use of its period early.
        expiring: credits that expire unused.
        top_ups: when automatic top-ups are ordered.
    """

    empty_at: datetime | None
    refilled_at: datetime | None
    capped_at: datetime | None
    expiring: Decimal
    top_ups: tuple[datetime, ...]
