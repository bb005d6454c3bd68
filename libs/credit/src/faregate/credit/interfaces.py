"""The seams of the ledger that a host or another part of Faregate may fill."""

from datetime import datetime
from typing import Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["ISettlementProgress"]


@runtime_checkable
class ISettlementProgress(Protocol):
    """Says how far settlement has come, so that a backlog does not free credits that are spent already."""

    async def settled_until(self, session: AsyncSession) -> datetime | None:
        """Return the moment up to which all settlements are in; None when nobody keeps track (then: now)."""
        ...
