"""Paid value of a grant: earned, expired, forfeited or deferred. Pure.

The value of the used credits is rounded to the cent as one sum since the grant began, and so is each further boundary: the four
parts always add up to what was paid, and months added together give the same cents as one long period.
"""

from dataclasses import dataclass
from typing import Self

__all__ = ["NO_VALUE", "GrantFate", "PaidValue", "paid_value"]


@dataclass(frozen=True, slots=True)
class GrantFate:
    """What has become of the credits of one grant since it began, in micro-credits. The rest of `granted` is left."""

    granted: int = 0
    used: int = 0
    expired: int = 0
    forfeited: int = 0

    def __add__(self, other: "GrantFate") -> "GrantFate":
        return GrantFate(
            self.granted + other.granted,
            self.used + other.used,
            self.expired + other.expired,
            self.forfeited + other.forfeited,
        )


@dataclass(frozen=True, slots=True)
class PaidValue:
    """The cents paid for a grant, and their division: paid = revenue + breakage + forfeited + deferred.

    Attributes:
        revenue: earned by use.
        breakage: earned because credits expired.
        forfeited: earned because credits were voided, adjusted away or charged back and their price was kept.
        deferred: still owed to the customer in credits.
    """

    paid: int
    revenue: int
    breakage: int
    forfeited: int
    deferred: int

    def __sub__(self, other: Self) -> "PaidValue":
        return PaidValue(
            self.paid - other.paid,
            self.revenue - other.revenue,
            self.breakage - other.breakage,
            self.forfeited - other.forfeited,
            self.deferred - other.deferred,
        )


NO_VALUE = PaidValue(0, 0, 0, 0, 0)


def paid_value(paid_cents: int, fate: GrantFate) -> PaidValue:
    """Divide what was paid for a grant in proportion to its credits. A grant that has not begun is all deferred."""
    if fate.granted <= 0:
        return PaidValue(paid_cents, 0, 0, 0, paid_cents)
    used = _share(paid_cents, fate.used, fate.granted)
    lapsed = _share(paid_cents, fate.used + fate.expired, fate.granted)
    gone = _share(paid_cents, fate.used + fate.expired + fate.forfeited, fate.granted)
    return PaidValue(paid_cents, used, lapsed - used, gone - lapsed, paid_cents - gone)


def _share(cents: int, part: int, whole: int) -> int:
    """Return `cents * part / whole`, rounded half up."""
    return (2 * cents * part + whole) // (2 * whole)
