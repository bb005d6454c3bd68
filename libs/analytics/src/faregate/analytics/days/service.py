"""Export service by day: Parquet files of the views for BI tools."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from faregate.analytics.bi.values import BiView
from faregate.analytics.days.manifest import ExportedDay, days_of, manifest_of, stale_days
from faregate.analytics.days.sql import day_body, days_sql
from faregate.analytics.days.stores import IDayStore
from faregate.analytics.days.views import DAY_VIEWS, columns_of
from faregate.analytics.exports.copying import ExportSource
from faregate.analytics.exports.parquet import parquet
from faregate.analytics.exports.selection import Selection
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.core.logging import get_logger
from faregate.core.runtime.failpoints import failpoint

__all__ = ["DayExport", "WrittenDay"]

log = get_logger(__name__)

_FIRST = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class WrittenDay:
    """A file that was written."""

    view: str
    day: date
    rows: int
    file: str
    bytes: int


class DayExport:
    """Writes a file for each view and day that is over, and again when the rows of the day have changed.

    Args:
        store: None if the settings name no place.
        late_days: how many days back `run` looks for facts that arrived late.
    """

    def __init__(self, database: Database, clock: IClock, store: IDayStore | None, *, late_days: float) -> None:
        self._database = database
        self._clock = clock
        self._store = store
        self._late_days = int(late_days) + 2

    @property
    def configured(self) -> bool:
        """Whether the settings name a place for the files."""
        return self._store is not None

    async def run(self, *, since: date | None = None, until: date | None = None) -> Sequence[WrittenDay]:
        """Write the days of a range whose files are missing, or hold other rows than the database; `until` is excluded.

        By default these are the days on which facts may still arrive, up to yesterday (UTC). All files of a call hold the rows
        of one snapshot. A call that is repeated, or that follows a killed one, writes what is left.

        Raises:
            ConfigurationError: FAREGATE_EXPORT_TO is not set, or the store refuses.
            InvalidError: the range is empty, or its last day is not over.
            MissingExtraError: pyarrow is not installed.
        """
        store = self._store
        if store is None:
            raise ConfigurationError("FAREGATE_EXPORT_TO is not set; set it to a folder or to s3://bucket/prefix")
        today = self._clock.now().astimezone(UTC).date()
        first = since if since is not None else today - timedelta(days=self._late_days)
        last = until if until is not None else today
        if last <= first or last > today:
            raise InvalidError(
                f"days must be from {_FIRST} to {today}, which is not over, and not empty", param="until"
            )
        written: list[WrittenDay] = []
        selection = _selection(DAY_VIEWS[0], first, last)
        async with ExportSource.open(self._database, selection) as source:
            for view in DAY_VIEWS:
                written += await self._view(source, store, view, first, last)
        return written

    async def _view(
        self, source: ExportSource, store: IDayStore, view: BiView, first: date, last: date
    ) -> Sequence[WrittenDay]:
        name = f"{view.name}/_days.json"
        known = days_of(await asyncio.to_thread(store.read, name))
        now = {
            row["day"]: ExportedDay(row["rows"], row["digest"])
            for row in await source.of(_selection(view, first, last)).fetch(days_sql(view))
        }
        written: list[WrittenDay] = []
        for day in stale_days(now, known):
            written.append(await self._day(source, store, view, day, now[day]))
            failpoint("day_exported")
            known[day] = now[day]
            await asyncio.to_thread(_put_bytes, store, name, manifest_of(view.name, known))
        return written

    async def _day(
        self, source: ExportSource, store: IDayStore, view: BiView, day: date, found: ExportedDay
    ) -> WrittenDay:
        """Write the file of one day: into a local file first, which is then stored as a whole."""
        name = f"{view.name}/day={day}/{view.name}_{day}.parquet"
        selected = source.of(_selection(view, day, day + timedelta(days=1)))
        about = {"view": view.name, "day": str(day), "rows": found.rows, "digest": found.digest}
        with tempfile.TemporaryDirectory(prefix="faregate-") as directory:
            file = Path(directory) / "day.parquet"
            with file.open("wb") as sink:
                async for chunk in parquet(columns_of(view), selected.csv(safe=False, header=False), about):
                    await asyncio.to_thread(sink.write, chunk)
            size = file.stat().st_size
            await asyncio.to_thread(store.put, name, file)
        log.info("day_exported", view=view.name, day=str(day), rows=found.rows, bytes=size)
        return WrittenDay(view.name, day, found.rows, name, size)


def _selection(view: BiView, first: date, last: date) -> Selection:
    span = {"start": _midnight(first), "end": _midnight(last)}
    return Selection(view.name, columns_of(view), day_body(view), span, {}, "")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _put_bytes(store: IDayStore, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="faregate-") as directory:
        file = Path(directory) / "manifest"
        file.write_bytes(content)
        store.put(name, file)
