"""Data of an in-memory deployment."""

from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from faregate.core.db.subjects import Subject
from faregate.credit.ledger.limits import LimitPeriod, LimitState
from faregate.credit.ledger.states import ChargeState, GrantSlice, GrantState, TopUpOrder, Transfer, WalletState
from faregate.usage.features.plans import Plan
from faregate.usage.pricing.overrides import PriceList
from faregate.usage.values import ChargingPolicy, Feature, UsageLine

__all__ = ["Store"]


def _empty() -> Any:
    return field(default_factory=dict[Any, Any])


@dataclass
class Store:
    """The rows of each table. They are replaced, never changed in place, so that a copy of the tables is a snapshot."""

    subjects: dict[str, Subject] = _empty()
    wallets: dict[int, WalletState] = _empty()
    grants: dict[UUID, GrantState] = _empty()
    charges: dict[str, ChargeState] = _empty()
    limits: dict[tuple[str, LimitPeriod], LimitState] = _empty()
    transfers: dict[tuple[int, int], Transfer] = _empty()
    slices: dict[tuple[int, int, UUID], GrantSlice] = _empty()
    top_ups: dict[UUID, TopUpOrder] = _empty()
    lines: dict[str, tuple[UsageLine, ...]] = _empty()
    policies: dict[str, ChargingPolicy] = _empty()
    members: dict[str, str] = _empty()
    features: dict[str, Feature] = _empty()
    retired: dict[str, Feature] = _empty()
    plans: dict[str, Plan] = _empty()
    claims: dict[bytes, bytes] = _empty()
    versions: dict[str, int] = _empty()
    prices: PriceList = field(default_factory=PriceList)

    def snapshot(self) -> "Store":
        """Return a copy that later changes do not reach."""
        return Store(**{each.name: copy(getattr(self, each.name)) for each in fields(self)})

    def restore(self, earlier: "Store") -> None:
        """Take over the tables of a snapshot."""
        for each in fields(self):
            setattr(self, each.name, getattr(earlier, each.name))
