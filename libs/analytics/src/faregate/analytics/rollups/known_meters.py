"""Names of all meters: built in, declared, used by events."""

from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.repository import RollupRepository
from faregate.core.db.database import Database
from faregate.usage.errors import UnknownMeterError
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["KnownMeters"]


class KnownMeters:
    """Distinguishes known meters from misspelt ones. A meter is known from its first event on."""

    def __init__(self, database: Database, catalog: MeterCatalog, rollups: RollupRepository) -> None:
        self._database = database
        self._catalog = catalog
        self._rollups = rollups

    async def check(self, question: Question) -> None:
        """Return if the question names no meter, or a known one. Raises as `require`."""
        if question.filters.meter is not None:
            await self.require(question.filters.meter)

    async def require(self, name: str) -> None:
        """Return if the meter is known.

        Raises:
            UnknownMeterError: it is not; `suggestions` are the closest names.
        """
        declared = await self._catalog.all()
        if name in declared:
            return
        async with self._database.reading() as session:
            used = await self._rollups.meters(session)
        if name not in used:
            raise UnknownMeterError(name, {*declared, *used})
