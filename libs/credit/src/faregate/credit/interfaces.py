"""The seams of the ledger that a host or another part of Faregate may fill."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["ISettlementProgress", "ITopUpProvider", "Payment", "PaymentOrder"]


@runtime_checkable
class ISettlementProgress(Protocol):
    """Says how far settlement has come, so that a backlog does not free credits that are spent already."""

    async def settled_until(self, session: AsyncSession) -> datetime | None:
        """Return the moment up to which all settlements are in; None when nobody keeps track (then: now)."""
        ...


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """An automatic top-up to be paid: `credits` for the wallet of `owner_id`."""

    order_id: UUID
    owner_id: str
    email: str | None
    credits: Decimal


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that was made; `reference` is the provider's own id of it."""

    reference: str


@runtime_checkable
class ITopUpProvider(Protocol):
    """Takes money for an automatic top-up."""

    async def pay(self, order: PaymentOrder) -> Payment:
        """Take the money for `order`, once, however often it is asked: `order_id` is the idempotency key.

        Raises:
            PaymentDeclinedError: it was refused; the order is closed, and the next one waits an hour.
            Anything else: unknown; the same order is asked for again later.
        """
        ...
