"""The seams that a host may fill: pricing strategies and the account directory."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.usage.values import AccountFacts, Price, Use

__all__ = ["IAccountDirectory", "IFeatureStrategy"]


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

        Runs in the transaction that opens the holds. An unknown user is an individual.
        """
        ...
