"""Interfaces of quotas: usage totals, alert channels."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.values import Alert, UsageQuestion

__all__ = ["IAlertChannel", "IUsageTotals"]


@runtime_checkable
class IUsageTotals(Protocol):
    """Adds up use."""

    async def totals(self, session: AsyncSession, questions: Sequence[UsageQuestion]) -> Sequence[Decimal]:
        """Return the total of each question, in order, in the meter's unit; 0 without use."""
        ...


@runtime_checkable
class IAlertChannel(Protocol):
    """One way to deliver alerts; `name` identifies it in the history."""

    @property
    def name(self) -> str: ...

    async def deliver(self, alert: Alert) -> None:
        """Deliver `alert`; after a crash the same alert may be delivered again, with the same id.

        Raises:
            DeliveryError: it was not delivered; it is tried again.
        """
        ...
