"""Bill service: imports, lists and comparisons with the ledger."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.bills.errors import NoBillError, UnknownBillError
from faregate.analytics.bills.keys import line_keys
from faregate.analytics.bills.ledger_lines import ModelNames, ledger_lines
from faregate.analytics.bills.matching import Matcher
from faregate.analytics.bills.repository import BillRepository
from faregate.analytics.bills.sources.formats import read_bill
from faregate.analytics.bills.sources.reading import whole_day
from faregate.analytics.bills.terms import MatchingTerms
from faregate.analytics.bills.values import BillImport, BillSource, Comparison, LedgerLine, StoredBillLine
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.usage.price_book.service import PriceService
from faregate.usage.pricing.line import PriceBook
from faregate.wire.ids import new_uuid7
from faregate.wire.model_names import canonical_provider

__all__ = ["BillService"]

_LINES_LIMIT = 2_000_000
_LATE_DAYS_LIMIT = 31
_NOTHING = Decimal(0)


class BillService:
    """Imports bills and compares them; owns its transactions."""

    def __init__(self, database: Database, repository: BillRepository, prices: PriceService) -> None:
        self._database = database
        self._repository = repository
        self._prices = prices

    async def import_file(
        self,
        content: bytes,
        source: BillSource,
        *,
        provider: str | None = None,
        mapping: Mapping[str, str] | None = None,
        file_name: str | None = None,
        actor: str | None = None,
    ) -> BillImport:
        """Import an export as a whole, or nothing of it. The same file again changes nothing.

        A line that says something else than an earlier import about the same request, or about the same period, model, type of
        tokens and project, takes the earlier line's place.

        Raises:
            InvalidError: a line cannot be read (`UnreadableBillError` names it), or provider and mapping do not fit the source.
        """
        lines = await asyncio.to_thread(read_bill, content, source, provider=provider, mapping=mapping)
        keys = await asyncio.to_thread(line_keys, source, lines)

        async def work(session: AsyncSession) -> BillImport:
            await self._repository.lock(session)
            before = await self._repository.current(session, {group for group, _ in keys})
            now = {key for _, key in keys}
            added = [(*key, line) for key, line in zip(keys, lines, strict=True) if key[1] not in before]
            replaced = before.keys() - now
            if not added and not replaced:
                return await self._known(session, before[keys[0][1]], len(lines))
            made: dict[str, Any] = {
                "import_id": new_uuid7(),
                "source": source.value,
                "provider": lines[0].provider,
                "file_name": file_name,
                "lines": len(lines),
                "known": len(lines) - len(added),
                "replaced": len(replaced),
                "actor": actor,
            }
            await self._repository.supersede(session, made["import_id"], replaced)
            await self._repository.add(session, made, added)
            return (await self._repository.imports(session, import_id=made["import_id"]))[0]

        return await self._database.run(work)

    async def imports(self, *, before: UUID | None = None, limit: int = 100) -> Sequence[BillImport]:
        """Return imports, the newest first, from just before an id."""
        async with self._database.reading() as session:
            return await self._repository.imports(session, before=before, limit=limit)

    async def lines(self, import_id: UUID, *, after: int = 0, limit: int = 100) -> Sequence[StoredBillLine]:
        """Return the lines that an import added, from just behind the number `after`.

        Raises:
            UnknownBillError: there is no such import.
        """
        async with self._database.reading() as session:
            if not await self._repository.imports(session, import_id=import_id):
                raise UnknownBillError(import_id)
            return await self._repository.page(session, import_id, after=after, limit=limit)

    async def remove(self, import_id: UUID) -> None:
        """Delete an import and its lines; the lines that it took the place of count again.

        Raises:
            UnknownBillError: there is no such import.
        """
        async with self._database.transaction() as session:
            await self._repository.lock(session)
            if not await self._repository.remove(session, import_id):
                raise UnknownBillError(import_id)

    async def compare(
        self,
        provider: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        tolerance_usd: Decimal = _NOTHING,
        late_days: int = 2,
    ) -> Comparison:
        """Compare the bills of a provider with the ledger: whole days of UTC, by default all days that the bills cover.

        Raises:
            InvalidError: the range is empty, the tolerance is below 0, or the range has too many lines.
            NoBillError: there is no bill of this provider.
        """
        if tolerance_usd < 0:
            raise InvalidError("tolerance_usd must be 0 or more", param="tolerance_usd")
        if not 0 <= late_days <= _LATE_DAYS_LIMIT:
            raise InvalidError(f"late_days must be from 0 to {_LATE_DAYS_LIMIT}", param="late_days")
        book, owner = await self._prices.current(), canonical_provider(provider)
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            first, last = await self._range(session, owner, start, end)
            margin = timedelta(days=late_days)
            wide = first - margin, last + margin
            bill = await self._repository.lines(session, owner, *wide, limit=_LINES_LIMIT + 1)
            rows = await self._repository.ledger(session, *wide, limit=_LINES_LIMIT + 1)
        if max(len(bill), len(rows)) > _LINES_LIMIT:
            raise InvalidError(f"the range has more than {_LINES_LIMIT:,} lines; compare fewer days", param="end")
        names = ModelNames(book, owner, first)
        terms = MatchingTerms(names.model_of, names.has_price, tolerance_usd=tolerance_usd, late_days=late_days)
        return await asyncio.to_thread(_compared, owner, (first, last), bill, (rows, book, names), terms)

    async def _known(self, session: AsyncSession, import_id: UUID, count: int) -> BillImport:
        """Return the import that holds lines already, with nothing added."""
        (found,) = await self._repository.imports(session, import_id=import_id)
        return replace(found, lines=count, added=0, known=count, replaced=0)

    async def _range(
        self, session: AsyncSession, provider: str, start: datetime | None, end: datetime | None
    ) -> tuple[datetime, datetime]:
        covered = await self._repository.covered(session, provider)
        if covered is None:
            raise NoBillError(provider)
        first = whole_day(start if start is not None else covered[0])[0]
        last = whole_day((end if end is not None else covered[1]) - timedelta(microseconds=1))[1]
        if last <= first:
            raise InvalidError("end must be after start", param="end")
        return first, last


def _compared(
    provider: str,
    span: tuple[datetime, datetime],
    bill: Sequence[StoredBillLine],
    used: tuple[Sequence[Any], PriceBook, ModelNames],
    terms: MatchingTerms,
) -> Comparison:
    rows, book, names = used
    request_ids = frozenset(each.line.request_id for each in bill if each.line.request_id is not None)
    ledger = ledger_lines(rows, book, names, provider=provider, request_ids=request_ids)
    found = Matcher(terms).differences(bill, ledger)
    days = span[0].date(), span[1].date()
    billed = [each for each in bill if days[0] <= each.line.day < days[1]]
    known: list[LedgerLine] = [line for line in ledger if days[0] <= line.day < days[1]]
    return Comparison(
        provider,
        *span,
        bill_lines=len(billed),
        ledger_lines=len(known),
        billed_usd=sum((each.line.cost_usd or _NOTHING for each in billed), _NOTHING),
        ledger_usd=sum((line.cost_usd or _NOTHING for line in known), _NOTHING),
        differences=[
            each for each in found if any(days[0] <= day < days[1] for day in (each.day, each.other_day) if day)
        ],
    )
