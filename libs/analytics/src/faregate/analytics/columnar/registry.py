"""Repository of the columnar copy's state, months and files."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.columnar import sql
from faregate.analytics.columnar.values import CopiedFile
from faregate.core.db.database import Database

__all__ = ["CopyState", "Registry", "View"]

_TABLE = "usage_event"


@dataclass(frozen=True, slots=True)
class CopyState:
    """How far the copy reaches, and the transactions that have ended now."""

    store: UUID
    from_tx: int
    open_txs: tuple[int, ...]
    next_tx: int
    next_open: tuple[int, ...]
    copied_at: datetime | None
    own: bool
    adopted: bool
    late: bool

    @property
    def tail(self) -> Mapping[str, Any]:
        """The parameters of facts that are not copied."""
        return {"from_tx": self.from_tx, "open_txs": list(self.open_txs)}

    @property
    def next(self) -> Mapping[str, Any]:
        """The parameters of the snapshot to copy up to."""
        return {"next_tx": self.next_tx, "next_open": list(self.next_open)}


@dataclass(frozen=True, slots=True)
class View:
    """The files that a question reads in the snapshot of its transaction; `copied` tells whether they hold all its months.

    `whole` are those of its files all of whose facts are of the question's time.
    """

    store: UUID
    from_tx: int
    open_txs: tuple[int, ...]
    copied: bool
    file_ids: tuple[UUID, ...]
    sizes: tuple[int, ...]
    facts: int
    whole: frozenset[UUID]


class Registry:
    """Reads and writes the tables of the copy, in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lock(self, session: AsyncSession) -> bool:
        """Make this run the only one; return False while there is another."""
        await self._database.rows(session, sql.PREPARE)
        return bool(await self._database.rows(session, sql.LOCK))

    async def state(self, session: AsyncSession, *, longest_seconds: float) -> CopyState:
        """Return the state; `late` if the copy is older than `longest_seconds`."""
        (row,) = await self._database.rows(session, sql.STATE, parent=self._parent, longest_seconds=longest_seconds)
        return CopyState(
            UUID(str(row.store)),
            row.from_tx,
            tuple(row.open_txs),
            row.snapshot_max,
            tuple(row.in_progress),
            row.copied_at,
            row.own,
            row.adopted,
            row.late,
        )

    async def begin_anew(self, session: AsyncSession) -> None:
        """Forget all files and take a new store."""
        await self._database.rows(session, sql.BEGIN_ANEW, parent=self._parent)

    async def attached(self, session: AsyncSession) -> Mapping[date, int]:
        """Return the partitions of the table of facts by month, newest first."""
        rows = await self._database.rows(session, sql.ATTACHED, parent=self._parent)
        return {row.month: row.table_oid for row in rows}

    async def months(self, session: AsyncSession) -> Mapping[date, int]:
        """Return the copied months and their partitions."""
        return {row.month: row.table_oid for row in await self._database.rows(session, sql.MONTHS)}

    async def files(
        self, session: AsyncSession, *, kept_seconds: float
    ) -> tuple[list[CopiedFile], set[UUID], set[UUID]]:
        """Return the files in use, those that were replaced, and those of them that no reader needs after `kept_seconds`."""
        rows = await self._database.rows(session, sql.FILES, kept_seconds=kept_seconds)
        live = [_file(row) for row in rows if not row.replaced]
        replaced = {UUID(str(row.file_id)) for row in rows if row.replaced}
        return live, replaced, {UUID(str(row.file_id)) for row in rows if row.over}

    async def waiting(self, session: AsyncSession, state: CopyState) -> Mapping[date, int]:
        """Return how many facts of each month are not copied."""
        rows = await self._database.rows(session, sql.WAITING, **state.tail)
        return {row.month.date(): row.facts for row in rows}

    async def add(self, session: AsyncSession, files: Sequence[CopiedFile]) -> None:
        """Add files."""
        if files:
            await self._database.rows(
                session,
                sql.ADD_FILES,
                file_ids=[file.file_id for file in files],
                months=[file.month for file in files],
                facts=[file.facts for file in files],
                bytes=[file.bytes for file in files],
                firsts=[file.first_at for file in files],
                lasts=[file.last_at for file in files],
            )

    async def add_months(self, session: AsyncSession, months: Mapping[date, int]) -> None:
        """Add copied months."""
        if months:
            given = {"months": list(months), "table_oids": list(months.values())}
            await self._database.rows(session, sql.ADD_MONTHS, **given)

    async def drop_months(self, session: AsyncSession, months: Collection[date]) -> None:
        """Forget months: their files are replaced by nothing."""
        if months:
            await self._database.rows(session, sql.DROP_MONTHS, months=list(months))
            await self._database.rows(session, sql.REPLACE_MONTHS, months=list(months))

    async def replace(self, session: AsyncSession, files: Sequence[CopiedFile]) -> None:
        """Mark files as replaced."""
        await self._database.rows(session, sql.REPLACE_FILES, file_ids=[file.file_id for file in files])

    async def forget(self, session: AsyncSession, file_ids: Collection[UUID]) -> None:
        """Forget files that were removed."""
        if file_ids:
            await self._database.rows(session, sql.FORGET_FILES, file_ids=list(file_ids))

    async def advance(self, session: AsyncSession, state: CopyState) -> None:
        """Move the state on to the snapshot that was copied up to."""
        await self._database.rows(session, sql.ADVANCE, **state.next)

    async def view(self, session: AsyncSession, start: datetime, end: datetime) -> View:
        """Return the files that hold facts from `start` to before `end`, in the snapshot of the session."""
        (row,) = await self._database.rows(session, sql.VIEW, parent=self._parent, start=start, end=end)
        file_ids = tuple(UUID(str(file_id)) for file_id in row.file_ids or ())
        return View(
            UUID(str(row.store)),
            row.from_tx,
            tuple(row.open_txs),
            row.copied,
            file_ids,
            tuple(row.sizes or ()),
            row.facts,
            frozenset(UUID(str(file_id)) for file_id in row.whole or ()),
        )

    @property
    def _parent(self) -> str:
        return f"{self._database.sql.schema}.{_TABLE}"


def _file(row: Any) -> CopiedFile:
    return CopiedFile(UUID(str(row.file_id)), row.month, row.facts, row.bytes, row.first_at, row.last_at)
