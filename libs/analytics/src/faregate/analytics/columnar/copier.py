"""Job that copies the facts of ended transactions.

The rule is that of the sums: the state holds a snapshot of the database, a run copies the facts that were not visible in it and
are now, and registers the files and moves the state on in one transaction. A file that is not registered is never read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.columnar.interfaces import ICopyPlace, ICopyStore, IRows, RowsFormat
from faregate.analytics.columnar.merging import due_for_merge
from faregate.analytics.columnar.registry import CopyState, Registry
from faregate.analytics.columnar.sql import COPY
from faregate.analytics.columnar.values import CopiedFile, CopyStatus
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month
from faregate.core.errors import ConfigurationError, MissingExtraError
from faregate.core.logging import get_logger

__all__ = ["ColumnarCopier", "Copied", "CopyLimits"]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """When files are begun, and how large they become.

    A file is begun when `fewest_facts` wait, or the copy is older than `longest_seconds`; `rows_bytes` of rows become one file.
    Replaced files stay `kept_seconds` for readers of older snapshots.
    """

    fewest_facts: int = 5000
    longest_seconds: float = 900
    rows_bytes: int = 64 * 1024 * 1024
    kept_seconds: float = 600


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of one step: the number of copied facts, and whether there is more to do."""

    facts: int
    more: bool


class ColumnarCopier:
    """Copies facts to the files. Safe to run in any process, any number of times, also concurrently.

    Args:
        place: None if the settings name none for the copy.
    """

    def __init__(self, database: Database, registry: Registry, place: ICopyPlace | None, limits: CopyLimits) -> None:
        self._database = database
        self._registry = registry
        self._place = place
        self._limits = limits

    @property
    def configured(self) -> bool:
        """Whether the settings name a place, and the extra for it is installed."""
        return self._place is not None and self._place.installed

    def check(self) -> None:
        """Check that the settings name a place, and that the extra for it is installed.

        Raises:
            ConfigurationError: neither FAREGATE_COLUMNAR_DIR nor FAREGATE_CLICKHOUSE_URL is set.
            MissingExtraError: the extra is not installed.
        """
        if self._place is None:
            raise ConfigurationError(
                "neither FAREGATE_COLUMNAR_DIR nor FAREGATE_CLICKHOUSE_URL is set; set one of them for the worker and for "
                "gateways: a folder, e.g. /var/lib/faregate/columnar, or the URL of ClickHouse"
            )
        if not self._place.installed:
            raise MissingExtraError(*self._place.needs)

    async def status(self) -> CopyStatus:
        """Return how far the copy reaches."""
        async with self._database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            state = await self._registry.state(session, longest_seconds=self._limits.longest_seconds)
            live, _, _ = await self._registry.files(session, kept_seconds=0)
            months = await self._registry.months(session)
            waiting = sum((await self._registry.waiting(session, state)).values())
        sizes, facts = sum(file.bytes for file in live), sum(file.facts for file in live)
        place = self._place.name(state.store) if self._place is not None else ""
        return CopyStatus(place, len(months), len(live), sizes, facts, waiting, state.copied_at)

    async def run(self, *, at_once: bool = False) -> int:
        """Copy the facts of all ended transactions, merge small files and remove old ones; return how many facts were copied.

        Args:
            at_once: copy a few facts, too, instead of waiting for more.
        """
        copied, limits = 0, replace(self._limits, fewest_facts=1) if at_once else self._limits
        while self.configured:
            step = await self._database.run(partial(self._step, limits=limits))
            copied += step.facts
            if not step.more:
                break
        if copied:
            log.info("facts_copied", facts=copied)
        return copied

    async def _step(self, session: AsyncSession, *, limits: CopyLimits) -> Copied:
        """Do one thing that is due, in one transaction."""
        if self._place is None or not await self._registry.lock(session):
            return Copied(0, more=False)
        state = await self._registry.state(session, longest_seconds=limits.longest_seconds)
        if not state.own:
            log.info("columnar_copy_begins_anew", reason="the database is new, or was restored from a dump")
            await self._registry.begin_anew(session)
            return Copied(0, more=True)
        if not state.adopted:
            return Copied(0, more=False)  # the facts have transaction numbers of another server until the sums have run
        async with self._place.open(state.store) as store:
            work = _Step(self._database, self._registry, limits, store, self._place.rows_format)
            return await work.take(session, state)


class _Step:
    """One step of a run, in the transaction that holds the lock."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        limits: CopyLimits,
        store: ICopyStore,
        rows_format: RowsFormat,
    ) -> None:
        self._database = database
        self._registry = registry
        self._limits = limits
        self._store = store
        self._rows_format: RowsFormat = rows_format

    async def take(self, session: AsyncSession, state: CopyState) -> Copied:
        """Remove what is over, then copy what waits, or merge files."""
        live = await self._tidied(session)
        attached = await self._registry.attached(session)
        known = await self._kept_months(session, attached, live)
        missing = [month for month in attached if month not in known]
        waiting = await self._registry.waiting(session, state)
        due = {month: facts for month, facts in waiting.items() if month in known}
        facts = sum(due.values())
        if missing or facts >= self._limits.fewest_facts or (facts and state.late):
            return await self._copy(session, state, attached, due, missing)
        return await self._merge(session, [file for file in live if file.month in known])

    async def _tidied(self, session: AsyncSession) -> list[CopiedFile]:
        """Remove files that no reader needs, and those that a killed run has left; return the files in use."""
        await self._store.make()
        live, replaced, over = await self._registry.files(session, kept_seconds=self._limits.kept_seconds)
        await self._store.remove(over)
        await self._registry.forget(session, over)
        known = {file.file_id for file in live} | replaced - over
        left = await self._store.clean(known)
        if left:
            log.info("unfinished_files_removed", files=left)
        return live

    async def _kept_months(
        self, session: AsyncSession, attached: Mapping[date, int], live: Sequence[CopiedFile]
    ) -> set[date]:
        """Return the months that are copied, and forget those whose partition or files are gone."""
        months = await self._registry.months(session)
        missing = await self._store.broken(live)
        broken = {file.month for file in live if file.file_id in missing}
        gone = {month for month, oid in months.items() if attached.get(month) != oid or month in broken}
        await self._registry.drop_months(session, gone)
        return set(months) - gone

    async def _copy(
        self,
        session: AsyncSession,
        state: CopyState,
        attached: Mapping[date, int],
        due: Mapping[date, int],
        missing: Sequence[date],
    ) -> Copied:
        """Copy the new facts of copied months, and all facts of the newest month that is not copied yet."""
        files = [
            file for month in sorted(due) for file in await self._files(session, month, {**state.tail, **state.next})
        ]
        for month in missing[:1]:
            files += await self._files(session, month, {"from_tx": 0, "open_txs": [], **state.next})
            await self._registry.add_months(session, {month: attached[month]})
        await self._registry.add(session, files)
        await self._registry.advance(session, state)
        return Copied(sum(file.facts for file in files), more=True)

    async def _merge(self, session: AsyncSession, live: Sequence[CopiedFile]) -> Copied:
        """Merge files, if some are due."""
        files = due_for_merge(live)
        if not files:
            return Copied(0, more=False)
        merged = await self._store.merge(files)
        await self._registry.replace(session, files)
        await self._registry.add(session, [merged])
        log.info("columnar_files_merged", month=str(merged.month), files=len(files), facts=merged.facts)
        return Copied(0, more=True)

    async def _files(self, session: AsyncSession, month: date, snapshots: Mapping[str, Any]) -> list[CopiedFile]:
        """Write the facts of a month that the new snapshot sees and the old one did not."""
        span = Month(month.year, month.month)
        statement = self._database.sql.statement(COPY)
        given = {"start": span.start, "end": span.end, **snapshots}
        rows = _Rows(self._store, month, self._limits.rows_bytes)
        driver = await self._database.driver(session)
        arguments = [given[name] for name in statement.names]
        await driver.copy_from_query(
            statement.driver_sql, *arguments, output=rows.take, format=self._rows_format, timeout=None
        )
        return await rows.end()


class _Rows:
    """Rows of one month, as they come; each `limit` bytes of them become a file."""

    def __init__(self, store: ICopyStore, month: date, limit: int) -> None:
        self._store = store
        self._month = month
        self._limit = limit
        self._rows: IRows | None = None
        self._files: list[CopiedFile] = []

    async def take(self, data: bytes) -> None:
        """Add whole rows; the server waits meanwhile."""
        if self._rows is None:
            self._rows = self._store.begin(self._month)
        await self._rows.add(data)
        if self._rows.size >= self._limit:
            await self._write()

    async def end(self) -> list[CopiedFile]:
        """Return the files."""
        await self._write()
        return self._files

    async def _write(self) -> None:
        rows, self._rows = self._rows, None
        file = await rows.end() if rows is not None else None
        if file is not None:
            self._files.append(file)
