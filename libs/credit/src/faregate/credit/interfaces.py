"""Interfaces of the ledger that a host can implement."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["ISettlementProgress", "ITopUpProvider", "Payment", "PaymentOrder"]


@runtime_checkable
class ISettlementProgress(Protocol):
    """Reports how far settlement has progressed, so that a backlog does not release credits that are already spent."""

    async def settled_until(self, session: AsyncSession) -> datetime | None:
        """Return the moment up to which all settlements are recorded; None if progress is not tracked (then: now)."""
        ...


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """An automatic top-up to pay: `credits` for the wallet of `owner_id`."""

    order_id: UUID
    owner_id: str
    email: str | None
    credits: Decimal


@dataclass(frozen=True, slots=True)
class Payment:
    """A completed payment; `reference` is the provider's id of it."""

    reference: str


@runtime_checkable
class ITopUpProvider(Protocol):
    """Collects the payment of an automatic top-up."""

    async def pay(self, order: PaymentOrder) -> Payment:
        """Collect the payment of `order` exactly once, even if called repeatedly: `order_id` is the idempotency key.

        Raises:
            PaymentDeclinedError: the payment was declined; the order is closed, and the next one waits an hour.
            Any other error: the outcome is unknown; `pay` is called again later with the same order.
        """
        ...
