"""Use that a change of plan carries over within a period. Pure.

Grants of the same interval (`every`) share one allowance: within one period, all plans together grant at most the largest
of their allowances. A change neither begins a new period nor takes back what was used.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from faregate.core.errors import InvalidError
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.recurrence import next_renewal, parse_every, period_start
from faregate.credit.ledger.states import GrantUse
from faregate.credit.values import Grant

__all__ = ["Features", "PlanPeriod", "carried_shares", "continued_period", "continuing", "used_before"]

Features = tuple[str, ...] | None
"""The features that may use a grant; None for all."""


@dataclass(frozen=True, slots=True)
class PlanPeriod:
    """The current period.

    Attributes:
        anchor: the past moment from which renewals are counted.
        grants: the plan grants that were live in the period.
    """

    anchor: datetime
    begins: datetime
    grants: tuple[Grant, ...]


def continued_period(past: Sequence[Grant], every: str, *, now: datetime) -> PlanPeriod | None:
    """Return the period that a new grant of this interval continues; None if the last one has ended.

    `past` are all plan grants, newest first, as they were before the change.
    """
    same = [grant for grant in past if _interval(grant) in {None, parse_every(every)}]
    if not same:
        return None
    begins = period_start(same[0].effective_at, every, at=now)
    live = tuple(grant for grant in same if not _ended(grant, by=begins))
    return PlanPeriod(min(same[0].effective_at, begins), begins, live) if same[0] in live else None


def used_before(period: PlanPeriod, uses: Sequence[GrantUse], *, repaid: int) -> Mapping[Features, int]:
    """Return the used part of the period's allowance, by the features of the grants.

    Credits of voided restricted grants that holds protect count as used; those of general grants expire as soon as the new
    grants cover the holds. Credits rolled over from the previous period are used first and do not count. `repaid`, which
    has repaid the credit limit, counts.
    """
    used: Counter[Features] = Counter({None: repaid})
    for grant, use in zip(period.grants, uses, strict=True):
        protected = use.left if grant.features is not None else 0
        used[_features(grant.features)] += use.spent + protected - use.rolled_over
    return {features: max(0, amount) for features, amount in used.items()}


def continuing(spec: GrantSpec, share: int, period: PlanPeriod, *, now: datetime, debt: int) -> GrantSpec:
    """Return the new grant as the continuation of a period of which `share` is used.

    If the wallet's debt on its credit limit is so large that the share could not be taken back from the filled grant, the
    grant begins with the next period.
    """
    if share and spec.features is None and debt > spec.amount - share:
        return replace(spec, effective_at=next_renewal(period.anchor, spec.every or "", after=now))
    return replace(spec, effective_at=period.anchor, carried=share)


def carried_shares(specs: Sequence[GrantSpec], used: Mapping[Features, int]) -> list[int]:
    """Return the share deducted from each new grant of one interval: first the use of grants for the same features, then
    the rest from the other grants, in their order. A share never exceeds its grant, and as much as possible is deducted.
    """
    rest = Counter(used)
    shares = [0] * len(specs)
    for alike in (True, False):
        for number, spec in enumerate(specs):
            for features in [_features(spec.features)] if alike else sorted(rest, key=str):
                taken = min(spec.amount - shares[number], rest[features])
                shares[number] += taken
                rest[features] -= taken
    return shares


def _features(names: Sequence[str] | None) -> Features:
    return tuple(sorted(names)) if names is not None else None


def _interval(grant: Grant) -> tuple[int, str] | None:
    """Return the interval of the grant, which its key still shows after it was voided; None if it is not known."""
    every = grant.every or (grant.key or "").rpartition(":")[0].rpartition(":")[2]
    try:
        return parse_every(every)
    except InvalidError:
        return None


def _ended(grant: Grant, *, by: datetime) -> bool:
    return grant.status in {"voided", "expired"} and grant.expires_at is not None and grant.expires_at < by
