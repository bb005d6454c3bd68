"""Leases and reported uses, as the service returns them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from faregate.core.errors import FaregateError
from faregate.credit.ledger.states import Flag
from faregate.usage.values import Rule

__all__ = ["LeaseReport", "LeaseState", "LeaseUse", "ReportedUse"]


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A block of credits at one moment.

    Attributes:
        credits: what the block still holds: what was taken, less the reported uses. What was not reported yet is in it.
        status: open, voided (released) or expired; settled if the key was settled as a use.
        charging: the rule of its uses. Where nobody pays (`recorded`), the block holds nothing and bounds nothing.
    """

    lease_id: str
    user_id: str
    feature_key: str
    status: str
    credits: Decimal
    expires_at: datetime
    charging: Rule


@dataclass(frozen=True, slots=True)
class LeaseUse:
    """A use that a client decided by itself; the same `usage_key` is charged once."""

    usage_key: str
    credits: Decimal


@dataclass(frozen=True, slots=True)
class ReportedUse:
    """The outcome of one reported use; `error` says why it was refused, `replayed` that it was charged before."""

    usage_key: str
    charged: Decimal = Decimal(0)
    shortfall: Decimal = Decimal(0)
    flags: Flag = Flag(0)
    replayed: bool = False
    error: FaregateError | None = None


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """The lease after a report, and the outcome of each use in the order of the report."""

    lease: LeaseState
    uses: tuple[ReportedUse, ...]
