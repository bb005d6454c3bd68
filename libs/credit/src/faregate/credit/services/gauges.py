"""Gauges of open holds."""

from collections.abc import Sequence

from faregate.core.db.database import Database
from faregate.core.monitoring.gauges import Gauge
from faregate.credit.storage.service_sql import GAUGES_HOLDS
from faregate.wire.credits import to_credits

__all__ = ["LedgerGauges"]


class LedgerGauges:
    """Reads open holds only, so that the cost depends on their number and not on the age of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def gauges(self) -> Sequence[Gauge]:
        """Return the gauges; raises `EngineUnavailableError`."""
        async with self._database.transaction(read_only=True) as session:
            (holds,) = await self._database.rows(session, GAUGES_HOLDS)
        return [
            Gauge("faregate_open_holds", "Holds that are open", holds.open),
            Gauge("faregate_open_hold_credits", "Credits that open holds set aside", to_credits(holds.held)),
            Gauge("faregate_lapsed_holds", "Open holds beyond their time: not swept yet, or held back", holds.lapsed),
        ]
