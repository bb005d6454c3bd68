"""Outage policy of features, and the debt it allows.

While the gateway is unavailable a feature refuses uses, or runs on a bounded debt that is settled later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock

__all__ = ["CLOSED", "Outage", "OutageDebts"]


@dataclass(frozen=True, slots=True)
class Outage:
    """The outage policy of a feature.

    Attributes:
        debt_limit_credits: maximum credits of uses that are not settled yet, per process; 0 refuses all uses.
        credits_per_use: the credits counted for a use without an estimate in credits.
    """

    debt_limit_credits: Decimal = Decimal(0)
    credits_per_use: Decimal = Decimal(1)

    @classmethod
    def open(cls, *, debt_limit_credits: Decimal | int, credits_per_use: Decimal | int = 1) -> "Outage":
        """Return a policy that allows uses up to a debt of `debt_limit_credits`."""
        return cls(Decimal(debt_limit_credits), Decimal(credits_per_use))


CLOSED = Outage()
"""Refuse all uses; the default."""


class OutageDebts:
    """Uses that ran without a hold and are not settled yet, by feature.

    The policy of a feature is the one given for it in `policies`, else the one that the gateway reported at the feature's
    last start, else `default`.
    """

    def __init__(
        self, policies: Mapping[str, Outage], owed: Iterable[tuple[str, str, Decimal]] = (), *, default: Outage = CLOSED
    ) -> None:
        self._policies = policies
        self._reported: dict[str, Outage] = {}
        self._default = default
        self._lock = Lock()
        self._debts: dict[str, tuple[str, Decimal]] = {key: (feature, debt) for key, feature, debt in owed}

    def learn(self, feature: str, limit_credits: Decimal | None, hold_credits: Decimal) -> None:
        """Store the policy that the gateway reports for a feature; a use counts for its last hold, or for 1 if that was 0."""
        self._reported[feature] = CLOSED if limit_credits is None else Outage(limit_credits, hold_credits or Decimal(1))

    def admit(self, feature: str, usage_key: str, estimate: Decimal | None) -> bool:
        """Return whether this use may run on debt; if so, it counts as debt until `settled` is called."""
        policy = self._policies.get(feature) or self._reported.get(feature, self._default)
        debt = policy.credits_per_use if estimate is None else estimate
        with self._lock:
            owed = sum((amount for of, amount in self._debts.values() if of == feature), Decimal(0))
            if not policy.debt_limit_credits or owed + debt > policy.debt_limit_credits:
                return False
            self._debts[usage_key] = (feature, debt)
            return True

    def of(self, usage_key: str) -> Decimal:
        """Return the credits that this use counts for; 0 if it does not run on debt."""
        return self._debts.get(usage_key, ("", Decimal(0)))[1]

    def settled(self, usage_key: str) -> None:
        """Remove a use whose settlement the gateway or the broker has stored."""
        with self._lock:
            self._debts.pop(usage_key, None)

    def total(self, feature: str) -> Decimal:
        """Return the debt of a feature in credits."""
        with self._lock:
            return sum((amount for of, amount in self._debts.values() if of == feature), Decimal(0))
