"""Interfaces of quotas: usage totals, alert channels and queues."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, runtime_checkable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.values import Alert, UsageQuestion

__all__ = ["IAlertChannel", "IAlertQueue", "IUsageTotals"]


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


@runtime_checkable
class IAlertQueue(Protocol):
    """Deliveries of alerts that wait for their channels, in the caller's transaction."""

    async def claim(
        self, session: AsyncSession, *, channels: Sequence[str], now: datetime, lease: timedelta, limit: int
    ) -> Sequence[tuple[Alert, str, int]]:
        """Claim due deliveries for the time `lease`: (alert, channel, the number of this attempt)."""
        ...

    async def delivered(self, session: AsyncSession, alert_id: UUID, channel: str, *, now: datetime) -> None:
        """Record that a channel has accepted an alert."""
        ...

    async def missed(
        self,
        session: AsyncSession,
        alert_id: UUID,
        channel: str,
        *,
        error: str,
        again_at: datetime | None,
        now: datetime,
    ) -> None:
        """Record that a channel did not accept an alert; without `again_at` the delivery has failed permanently."""
        ...
