"""Engine that answers questions from ClickHouse."""

from collections.abc import Sequence
from typing import Any

from faregate.analytics.columnar.clickhouse.client import ClickHouseClient
from faregate.analytics.columnar.clickhouse.errors import ClickHouseError, ClickHouseRefusedError
from faregate.analytics.columnar.clickhouse.tables_sql import facts_sql
from faregate.analytics.columnar.dialect import CLICKHOUSE
from faregate.analytics.columnar.interfaces import Selected
from faregate.analytics.columnar.registry import View
from faregate.core.clock import IClock, SystemClock

__all__ = ["ClickHouseEngine"]

_REST_SECONDS = 30.0


class ClickHouseEngine:
    """Sends questions with their tail. A server that did not answer is not asked for a while: each question would wait for it."""

    dialect = CLICKHOUSE

    def __init__(self, client: ClickHouseClient, *, clock: IClock | None = None) -> None:
        self._client = client
        self._clock: IClock = clock or SystemClock()
        self._away_until = 0.0

    async def reads(self, view: View) -> bool:
        """Tell whether the server is to be asked; whether it holds the view's files, it finds out with the answer."""
        return bool(view.file_ids) and not self._away

    async def rows(self, selected: Selected, sql: str) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a question, whose SQL names its facts `facts`.

        Raises:
            ClickHouseError: it does not answer, refuses, took too long, or lacks facts.
        """
        if self._away:
            raise ClickHouseError(
                f"ClickHouse at {self._client.address} did not answer just now; it is asked again soon"
            )
        facts, tables = facts_sql(selected)
        try:
            return await self._client.rows(f"with facts as ({facts}) {sql}", selected.condition.parameters, tables)
        except ClickHouseRefusedError:
            raise
        except ClickHouseError:
            self._away_until = self._clock.monotonic() + _REST_SECONDS
            raise

    @property
    def _away(self) -> bool:
        return self._clock.monotonic() < self._away_until

    def forget(self) -> None:
        """Nothing is kept here."""
