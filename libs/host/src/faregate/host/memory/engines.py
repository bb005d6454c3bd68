"""Outbox and settlement progress of an in-memory deployment."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.messaging.interfaces import OutgoingMessage

__all__ = ["MemoryOutbox", "MemoryProgress"]


class MemoryOutbox:
    """Keeps the messages that a worker would relay, by queue, for tests to look at."""

    def __init__(self) -> None:
        self.messages: dict[str, list[OutgoingMessage]] = {}

    async def open(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    async def add(self, session: AsyncSession, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Keep the messages."""
        self.messages.setdefault(queue, []).extend(messages)

    async def publish(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Keep the messages."""
        self.messages.setdefault(queue, []).extend(messages)


class MemoryProgress:
    """Settlement is never behind: there is no queue."""

    async def settled_until(self, session: AsyncSession) -> datetime | None:
        return None
