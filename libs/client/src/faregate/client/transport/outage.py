"""What a feature does while the gateway is away: refuse, or run on a bounded debt that is settled later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock

__all__ = ["CLOSED", "Outage", "OutageDebts"]


@dataclass(frozen=True, slots=True)
class Outage:
    """A feature's policy.

    Attributes:
        debt_limit_credits: how much may pass unpaid in all, per process; 0 is closed.
        credits_per_use: what a use without an estimate in credits counts for.
    """

    debt_limit_credits: Decimal = Decimal(0)
    credits_per_use: Decimal = Decimal(1)

    @classmethod
    def open(cls, *, debt_limit_credits: Decimal | int, credits_per_use: Decimal | int = 1) -> "Outage":
        """Let uses pass up to a debt of `debt_limit_credits`."""
        return cls(Decimal(debt_limit_credits), Decimal(credits_per_use))


CLOSED = Outage()
"""Refuse; the default."""


class OutageDebts:
    """What passed without a hold and is not settled yet, by feature.

    A feature's policy is what the host named for it, else what the gateway told at its last start, else the default.
    """

    def __init__(
        self, policies: Mapping[str, Outage], owed: Iterable[tuple[str, str, Decimal]] = (), *, default: Outage = CLOSED
    ) -> None:
        self._policies = policies
        self._told: dict[str, Outage] = {}
        self._default = default
        self._lock = Lock()
        self._debts: dict[str, tuple[str, Decimal]] = {key: (feature, debt) for key, feature, debt in owed}

    def learn(self, feature: str, limit_credits: Decimal | None, hold_credits: Decimal) -> None:
        """Keep in mind what the gateway says of a feature; a use then counts for what its last hold was, 1 if that was 0."""
        self._told[feature] = CLOSED if limit_credits is None else Outage(limit_credits, hold_credits or Decimal(1))

    def admit(self, feature: str, usage_key: str, estimate: Decimal | None) -> bool:
        """Tell whether this use may run on debt; if so, it counts until `settled`."""
        policy = self._policies.get(feature) or self._told.get(feature, self._default)
        debt = policy.credits_per_use if estimate is None else estimate
        with self._lock:
            owed = sum((amount for of, amount in self._debts.values() if of == feature), Decimal(0))
            if not policy.debt_limit_credits or owed + debt > policy.debt_limit_credits:
                return False
            self._debts[usage_key] = (feature, debt)
            return True

    def of(self, usage_key: str) -> Decimal:
        """Return what this use counts for; 0 if it has a hold."""
        return self._debts.get(usage_key, ("", Decimal(0)))[1]

    def settled(self, usage_key: str) -> None:
        """Note that the gateway (or the broker) has this use now."""
        with self._lock:
            self._debts.pop(usage_key, None)

    def total(self, feature: str) -> Decimal:
        """Return what is owed for a feature."""
        with self._lock:
            return sum((amount for of, amount in self._debts.values() if of == feature), Decimal(0))
