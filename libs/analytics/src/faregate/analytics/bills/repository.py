"""Repository of provider bills."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.bills import sql
from faregate.analytics.bills.values import BillImport, BillLine, BillSource, StoredBillLine
from faregate.core.db.database import Database
from faregate.wire import exact_json

__all__ = ["BillRepository"]


class BillRepository:
    """Reads and writes bills, in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lock(self, session: AsyncSession) -> None:
        """Let no other import run until the transaction ends."""
        await self._database.rows(session, sql.BILL_LOCK)

    async def current(self, session: AsyncSession, groups: Iterable[UUID]) -> Mapping[UUID, UUID]:
        """Return the current lines about these things: their identity, and the import that they are of."""
        rows = await self._database.rows(session, sql.BILL_CURRENT, groups=list(groups))
        return {row.line_key: row.import_id for row in rows}

    async def add(
        self, session: AsyncSession, made: Mapping[str, Any], lines: Sequence[tuple[UUID, UUID, BillLine]]
    ) -> None:
        """Store an import and its new lines; `made` are the columns of the import."""
        await self._database.rows(session, sql.BILL_ADD, **made)
        rows = [_row(made["import_id"], *each) for each in lines]
        await self._database.copy(session, "bill_line", sql.LINE_COLUMNS, rows)

    async def supersede(self, session: AsyncSession, import_id: UUID, line_keys: Iterable[UUID]) -> None:
        """Record that an import took the place of lines."""
        await self._database.rows(session, sql.BILL_SUPERSEDE, import_id=import_id, line_keys=list(line_keys))

    async def imports(
        self, session: AsyncSession, *, import_id: UUID | None = None, before: UUID | None = None, limit: int = 1
    ) -> list[BillImport]:
        """Return imports, the newest first: one, or those before an id."""
        rows = await self._database.rows(session, sql.BILL_LIST, import_id=import_id, before=before, limit=limit)
        return [_import(row) for row in rows]

    async def page(self, session: AsyncSession, import_id: UUID, *, after: int, limit: int) -> list[StoredBillLine]:
        """Return lines of an import in the order of the file, from just behind the number `after`."""
        rows = await self._database.rows(session, sql.BILL_PAGE, import_id=import_id, after=after, limit=limit)
        return [_line(row) for row in rows]

    async def lines(
        self, session: AsyncSession, provider: str, start: datetime, end: datetime, *, limit: int
    ) -> list[StoredBillLine]:
        """Return the current lines of a provider whose period begins in the range."""
        rows = await self._database.rows(session, sql.BILL_LINES, provider=provider, start=start, end=end, limit=limit)
        return [_line(row) for row in rows]

    async def covered(self, session: AsyncSession, provider: str) -> tuple[datetime, datetime] | None:
        """Return the range that the bills of a provider cover; None if there are none."""
        (row,) = await self._database.rows(session, sql.BILL_COVERED, provider=provider)
        return (row.first, row.last) if row.first is not None else None

    async def ledger(self, session: AsyncSession, start: datetime, end: datetime, *, limit: int) -> Sequence[Any]:
        """Return the usage lines of models that were settled in the range, with what their cost is divided by."""
        return await self._database.rows(session, sql.BILL_LEDGER, start=start, end=end, limit=limit)

    async def remove(self, session: AsyncSession, import_id: UUID) -> bool:
        """Delete an import and its lines; what it took the place of is current again. False if there is none."""
        await self._database.rows(session, sql.BILL_RETURN, import_id=import_id)
        return bool(await self._database.rows(session, sql.BILL_REMOVE, import_id=import_id))


def _row(import_id: UUID, group: UUID, key: UUID, line: BillLine) -> tuple[Any, ...]:
    return (
        *(import_id, line.number, group, key, line.provider, line.start, line.end, line.model, line.token_type),
        *(exact_json.dumps(line.tokens).decode(), line.cost_usd, line.requests, line.request_id, line.detail),
    )


def _line(row: Any) -> StoredBillLine:
    line = BillLine(
        row.number,
        row.provider,
        row.start_at,
        row.end_at,
        model=row.model,
        token_type=row.token_type,
        tokens=exact_json.loads(row.tokens),
        cost_usd=row.cost_usd,
        requests=row.requests,
        request_id=row.request_id,
        detail=row.detail,
    )
    return StoredBillLine(row.import_id, line)


def _import(row: Any) -> BillImport:
    return BillImport(
        import_id=row.import_id,
        source=BillSource(row.source),
        provider=row.provider,
        file_name=row.file_name,
        lines=row.lines,
        added=row.added,
        known=row.known,
        replaced=row.replaced,
        current=row.current,
        cost_usd=row.cost,
        start=row.first,
        end=row.last,
        actor=row.actor,
        imported_at=row.imported_at,
    )
