"""Reducer of payment events: what they say together of a purchase.

Stripe delivers events late, twice and in any order. `PaymentFacts` are therefore a join-semilattice: `join` is commutative,
associative and idempotent, so that the facts of a set of events do not depend on how the set was delivered. What the ledger
must show follows from the facts alone. Amounts are integers in the smallest unit of the currency.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from functools import reduce
from types import MappingProxyType
from typing import TypeVar

__all__ = [
    "NO_FACTS",
    "DisputeFacts",
    "PaymentFacts",
    "PurchaseStatus",
    "RefundFacts",
    "join",
    "join_all",
    "minor_units",
    "reversed_amount",
    "share_of",
    "status_of",
]

V = TypeVar("V", "RefundFacts", "DisputeFacts")

_CENTS = 100


class PurchaseStatus(StrEnum):
    """Where a purchase stands; it follows from the facts."""

    OPEN = "open"
    """Not paid yet."""
    PAID = "paid"
    FAILED = "failed"
    """The payment failed; a later attempt may still succeed."""
    EXPIRED = "expired"
    """The checkout was not completed in time, or was canceled."""
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    """The bank of the customer has taken the payment back, in whole or in part."""


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """One refund; a refund that failed or was canceled stays so."""

    amount: int
    failed: bool = False

    def joined(self, other: "RefundFacts") -> "RefundFacts":
        """Return what both say."""
        return RefundFacts(max(self.amount, other.amount), self.failed or other.failed)


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """One dispute: what the bank has withdrawn, and what it has reinstated. Both only grow."""

    withdrawn: int = 0
    reinstated: int = 0

    @property
    def taken(self) -> int:
        """What is withdrawn now."""
        return max(0, self.withdrawn - self.reinstated)

    def joined(self, other: "DisputeFacts") -> "DisputeFacts":
        """Return what both say."""
        return DisputeFacts(max(self.withdrawn, other.withdrawn), max(self.reinstated, other.reinstated))


def _none() -> Mapping[str, RefundFacts]:
    return MappingProxyType({})


def _no_disputes() -> Mapping[str, DisputeFacts]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """What events say about one payment.

    Attributes:
        paid: the largest amount received.
        refunded: the largest cumulative amount of refunds that a charge has shown; refunds that failed later are in it.
        refunds, disputes: by Stripe's id.
        failed, expired: the payment failed at least once; the checkout has expired.
    """

    paid: int = 0
    refunded: int = 0
    refunds: Mapping[str, RefundFacts] = field(default_factory=_none)
    disputes: Mapping[str, DisputeFacts] = field(default_factory=_no_disputes)
    failed: bool = False
    expired: bool = False


NO_FACTS = PaymentFacts()


def join(one: PaymentFacts, other: PaymentFacts) -> PaymentFacts:
    """Return what both say."""
    return PaymentFacts(
        paid=max(one.paid, other.paid),
        refunded=max(one.refunded, other.refunded),
        refunds=_joined(one.refunds, other.refunds),
        disputes=_joined(one.disputes, other.disputes),
        failed=one.failed or other.failed,
        expired=one.expired or other.expired,
    )


def join_all(facts: Iterable[PaymentFacts]) -> PaymentFacts:
    """Return what all say."""
    return reduce(join, facts, NO_FACTS)


def reversed_amount(facts: PaymentFacts) -> int:
    """Return how much of the payment is refunded or withdrawn now; never more than was paid."""
    disputed = sum(dispute.taken for dispute in facts.disputes.values())
    return min(facts.paid, _refunded(facts) + disputed)


def share_of(credits: int, part: int, whole: int) -> int:
    """Return the share of `credits` (micro-credits) that `part` of `whole` stands for, rounded down; all of it for the whole."""
    return credits if part >= whole else credits * part // whole


def status_of(facts: PaymentFacts) -> PurchaseStatus:
    """Return where the purchase stands."""
    if not facts.paid:
        if facts.failed:
            return PurchaseStatus.FAILED
        return PurchaseStatus.EXPIRED if facts.expired else PurchaseStatus.OPEN
    if any(dispute.taken for dispute in facts.disputes.values()):
        return PurchaseStatus.DISPUTED
    refunded = _refunded(facts)
    if refunded == 0:
        return PurchaseStatus.PAID
    return PurchaseStatus.REFUNDED if refunded >= facts.paid else PurchaseStatus.PARTLY_REFUNDED


def minor_units(amount: Decimal) -> int:
    """Return an amount in US dollars in cents, rounded up."""
    return int((amount * _CENTS).to_integral_value(ROUND_CEILING))


def _refunded(facts: PaymentFacts) -> int:
    """Return the refunds that have not failed.

    The refunds themselves are exact once all of them are known; the cumulative amount of the charge, less all that failed, is
    never more than that, and tells of refunds whose own events have not come yet.
    """
    live = sum(refund.amount for refund in facts.refunds.values() if not refund.failed)
    failed = sum(refund.amount for refund in facts.refunds.values() if refund.failed)
    return max(live, facts.refunded - failed)


def _joined(one: Mapping[str, V], other: Mapping[str, V]) -> Mapping[str, V]:
    if not other:
        return one
    joined = dict(one)
    for key, value in other.items():
        known = joined.get(key)
        joined[key] = value if known is None else known.joined(value)
    return MappingProxyType(joined)
