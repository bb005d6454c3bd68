"""Repository of table sizes and of PostgreSQL's own statistics."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.operations.capacity.sql import CAPACITY_DATABASE, CAPACITY_TABLES
from faregate.analytics.insights.operations.capacity.values import CapacitySample, TableSize
from faregate.core.db.database import Database

__all__ = ["CapacityRepository"]


class CapacityRepository:
    """Reads the catalogue and the statistics of PostgreSQL in the caller's transaction; no table of the schema is read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sample(self, session: AsyncSession, *, now: datetime) -> CapacitySample:
        """Return the sizes and counters now."""
        tables = await self._database.rows(session, CAPACITY_TABLES, schema=self._database.sql.schema)
        (whole,) = await self._database.rows(session, CAPACITY_DATABASE)
        sizes = [TableSize(row.name, row.bytes, row.rows) for row in tables]
        return CapacitySample(now, whole.bytes, sizes, whole.active_ms, whole.counted_since)
