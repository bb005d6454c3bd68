"""Change of plan: replaces the grants of the old plan."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.recurrence import parse_every
from faregate.credit.services.credits import CreditService
from faregate.usage.features.plan_changes import PlanPeriod, carried_shares, continued_period, continuing, used_before
from faregate.usage.features.plans import PLAN_KEYS, Plan, grant_specs
from faregate.wire.credits import to_micros
from faregate.wire.ids import new_uuid7

__all__ = ["OnPlanChange", "Subscriber"]

OnPlanChange = Literal["carry", "full"]

_ACTOR = "plans"
_LIVE = frozenset({"active", "scheduled", "spent"})


class Subscriber:
    """Replaces a wallet's plan grants, in the caller's transaction and under the wallet's lock.

    Args:
        on_change: `carry` grants the new plan's credits less what was used in the current period, which continues; `full`
            grants all of them and begins a new period.
    """

    def __init__(self, credit: CreditService, *, on_change: OnPlanChange = "carry") -> None:
        self._credit = credit
        self._carries = on_change == "carry"

    async def subscribe(self, session: AsyncSession, owner_id: str, plan: Plan) -> None:
        """Void what is left of the plan grants, and add those of `plan`."""
        now, found = await self._credit.grants_by_prefix(session, owner_id, PLAN_KEYS)
        past = [grant for grant in found if grant.source == GrantSource.PLAN]
        for grant in past:
            if grant.status in _LIVE:
                await self._credit.void_grant(session, owner_id, UUID(grant.id), actor=_ACTOR, reason="another plan")
        subscription = new_uuid7()
        for specs in _by_interval(grant_specs(plan, actor=_ACTOR)):
            period = continued_period(past, specs[0].every or "", now=now) if self._carries else None
            shares = await self._shares(session, owner_id, specs, period)
            for spec, share in zip(specs, shares, strict=True):
                debt = to_micros((await self._credit.wallet(session, owner_id)).debt)
                wanted = continuing(spec, share, period, now=now, debt=debt) if period is not None else spec
                await self._credit.grant(session, owner_id, replace(wanted, key=f"{spec.key}:{subscription}"))

    async def _shares(
        self, session: AsyncSession, owner_id: str, specs: Sequence[GrantSpec], period: PlanPeriod | None
    ) -> Sequence[int]:
        if period is None:
            return [0] * len(specs)
        uses, repaid = await self._credit.grant_use(session, owner_id, period.grants, since=period.begins)
        return carried_shares(specs, used_before(period, uses, repaid=repaid))


def _by_interval(specs: Iterable[GrantSpec]) -> Iterable[Sequence[GrantSpec]]:
    found: dict[tuple[int, str], list[GrantSpec]] = {}
    for spec in specs:
        found.setdefault(parse_every(spec.every or ""), []).append(spec)
    return found.values()
