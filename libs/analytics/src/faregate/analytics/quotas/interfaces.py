"""The seams of quotas: where use is counted, and how alerts reach people and programs."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.values import Alert, UsageQuestion

__all__ = ["IAlertChannel", "IUsageTotals"]


@runtime_checkable
class IUsageTotals(Protocol):
    """Adds up what was used."""

    async def totals(self, session: AsyncSession, questions: Sequence[UsageQuestion]) -> Sequence[Decimal]:
        """Answer each question, in order, in the meter's unit; what was never used is 0."""
        ...


@runtime_checkable
class IAlertChannel(Protocol):
    """One way to tell somebody; `name` stands in the history."""

    @property
    def name(self) -> str: ...

    async def deliver(self, alert: Alert) -> None:
        """Tell of `alert`; the same one may come again after a crash, with the same id.

        Raises:
            DeliveryError: nobody was told; it is tried again.
        """
        ...
