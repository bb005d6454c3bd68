"""Seams of hosts: strategies, account directory, quotas, hold history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.errors import FaregateError
from faregate.usage.values import AccountFacts, ModelUsage, Price, Use

__all__ = ["IAccountDirectory", "IFeatureStrategy", "IHoldHistory", "IQuotaGate", "NoHistory", "NoQuotas", "QuotaUse"]


@runtime_checkable
class IFeatureStrategy(Protocol):
    """How one use of a feature is priced. Pure: no I/O, no clock; the same use always costs the same."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a feature's parameters in their final form; called when the feature is saved.

        Raises:
            InvalidError: they make no sense; `param` names the one.
        """
        ...

    def estimate(self, use: Use) -> Price:
        """Return what to set aside when a use starts; `use.usages` are the caller's estimates, or empty."""
        ...

    def price(self, use: Use) -> Price:
        """Return what a finished use costs."""
        ...


@runtime_checkable
class IAccountDirectory(Protocol):
    """Knows which users belong to which organisation, and who wants what."""

    async def facts(self, session: AsyncSession, accounts: Sequence[tuple[str, str | None]]) -> Sequence[AccountFacts]:
        """Return the facts on each (user id, organisation id named by the caller or None), in the same order.

        Runs in the transaction that opens the holds. An unknown user is an individual. A named organisation counts as far
        as the directory says so: it may return another one, or `AccountFacts.refusal`. For the settlement of a started use
        the name is that of its charge, and only the plan is read.
        """
        ...


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """A use that wants to begin: who, what, and how much it is expected to take (`credits`, and the caller's estimates)."""

    user_id: str
    organization_id: str | None
    feature_key: str
    credits: Decimal
    usages: Sequence[ModelUsage] = ()


@runtime_checkable
class IQuotaGate(Protocol):
    """Refuses uses whose hard quota is used up; asked before a hold opens and before a direct use is charged."""

    async def check(self, session: AsyncSession, uses: Sequence[QuotaUse]) -> Sequence[FaregateError | None]:
        """Return for each use, in order, None or why it may not begin (`QuotaExceededError`).

        Runs in the transaction that opens the holds, before any wallet is locked; it must not write. A repeated start of
        a key that already holds is asked about again, so an answer may differ from the first one only if the quota has
        changed; settlements of what has begun are never asked about.
        """
        ...


class NoQuotas:
    """The default `IQuotaGate`: no quotas."""

    async def check(self, session: AsyncSession, uses: Sequence[QuotaUse]) -> Sequence[FaregateError | None]:  # noqa: ARG002
        return [None] * len(uses)


@runtime_checkable
class IHoldHistory(Protocol):
    """Knows what uses of a feature have cost, for features whose holds are sized by a percentile of their own history."""

    async def percentiles(
        self, session: AsyncSession, wanted: Sequence[tuple[str, Decimal]]
    ) -> Sequence[Decimal | None]:
        """Return for each (feature key, percentile 0 … 100), in order, the credits, or None for too little history."""
        ...


class NoHistory:
    """The default `IHoldHistory`: nothing is known, so that holds are sized by minimum and estimate."""

    async def percentiles(
        self,
        session: AsyncSession,  # noqa: ARG002
        wanted: Sequence[tuple[str, Decimal]],
    ) -> Sequence[Decimal | None]:
        return [None] * len(wanted)
