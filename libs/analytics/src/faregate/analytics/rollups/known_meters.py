"""Names of all meters: built in, declared, and named by events."""

from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.repository import RollupRepository
from faregate.core.db.database import Database
from faregate.usage.errors import UnknownMeterError
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["KnownMeters"]


class KnownMeters:
    """Tells a meter from a misspelt one. The first event that names a meter makes it known."""

    def __init__(self, database: Database, catalog: MeterCatalog, rollups: RollupRepository) -> None:
        self._database = database
        self._catalog = catalog
        self._rollups = rollups

    async def check(self, question: Question) -> None:
        """Return if the question is about no meter, or about one that exists. Raises as `require`."""
        if question.filters.meter is not None:
            await self.require(question.filters.meter)

    async def require(self, name: str) -> None:
        """Return if there is such a meter.

        Raises:
            UnknownMeterError: there is none; `suggestions` are the closest names.
        """
        declared = await self._catalog.all()
        if name in declared:
            return
        async with self._database.transaction(read_only=True) as session:
            used = await self._rollups.meters(session)
        if name not in used:
            raise UnknownMeterError(name, {*declared, *used})
