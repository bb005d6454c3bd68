"""Recent costs of uses, for the size of holds.

Features may size their holds by a percentile of the credits of recent uses.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.answers.sql import HOLD_PERCENTILES
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.wire.credits import to_credits

__all__ = ["HoldHistory"]

_DAYS = 7
_LEAST_USES = 20
_KEPT_SECONDS = 300.0


class HoldHistory:
    """Reads the last 1,000 uses of the last 7 days; needs at least 20. A result is kept in memory for 5 minutes, so that a
    start rarely waits for the query: a hold is an estimate, and the real cost of a use is settled exactly.
    """

    def __init__(self, database: Database, clock: IClock) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[str, tuple[float, Sequence[int]]] = {}

    async def percentiles(
        self, session: AsyncSession, wanted: Sequence[tuple[str, Decimal]]
    ) -> Sequence[Decimal | None]:
        """Return the credits for each (feature key, percentile 0 … 100), in order; None with too few uses."""
        return [_nearest(await self._costs(session, key), percent) for key, percent in wanted]

    async def _costs(self, session: AsyncSession, feature_key: str) -> Sequence[int]:
        now = self._clock.monotonic()
        kept = self._kept.get(feature_key)
        if kept is None or kept[0] <= now:
            rows = await self._database.rows(session, HOLD_PERCENTILES, feature_key=feature_key, days=_DAYS)
            kept = self._kept[feature_key] = now + _KEPT_SECONDS, rows[0].credits or ()
        return kept[1]


def _nearest(costs: Sequence[int], percent: Decimal) -> Decimal | None:
    if len(costs) < _LEAST_USES:
        return None
    rank = int((len(costs) * percent / 100).to_integral_value(ROUND_HALF_EVEN))
    return to_credits(costs[min(max(rank, 1), len(costs)) - 1])
