"""Export service in FOCUS: batches of validated rows, from one snapshot."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from faregate.analytics.focus.columns import FocusVersion
from faregate.analytics.focus.files import BATCH_BYTES, BATCH_ROWS, FocusWriter
from faregate.analytics.focus.repository import FocusRepository
from faregate.analytics.focus.rows import refund_row, use_rows
from faregate.analytics.focus.values import FocusBatch, FocusRow, Issuer
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.core.values.moments import EARLIEST
from faregate.usage.price_book.service import PriceService

__all__ = ["BEGINNING", "FocusPage", "FocusPosition", "FocusService"]

_USES, _REFUNDS = 0, 1


@dataclass(frozen=True, slots=True)
class FocusPosition:
    """Where a page ends: behind a use, or behind a refund (`phase` 1) of a wallet and sequence number."""

    phase: int = _USES
    at: datetime = EARLIEST
    key: str = ""
    wallet: int = 0
    seq: int = 0


BEGINNING = FocusPosition()


@dataclass(frozen=True, slots=True)
class FocusPage:
    """A batch, and where the next one begins; None on the last one."""

    batch: FocusBatch
    next: FocusPosition | None


class FocusService:
    """Exports settled uses and their refunds; purchases of credits are not exported."""

    def __init__(
        self,
        database: Database,
        repository: FocusRepository,
        prices: PriceService,
        *,
        issuer: str,
        credit_price_usd: Decimal,
    ) -> None:
        self._database = database
        self._repository = repository
        self._prices = prices
        self._issuer = Issuer(issuer, credit_price_usd)

    async def batches(
        self,
        start: datetime,
        end: datetime,
        *,
        version: FocusVersion = FocusVersion.V1_2,
        most_rows: int = BATCH_ROWS,
        most_bytes: int = BATCH_BYTES,
    ) -> AsyncGenerator[FocusBatch]:
        """Yield the rows of a range as CSV files, all of one snapshot; at least one file, if only with a heading.

        Raises:
            InvalidError: the range is empty, or the batches are too large for consumers.
        """
        _check(start, end, most_rows)
        writer, made = FocusWriter(version), 0
        async with aclosing(self._rows(start, end, BEGINNING)) as rows:
            async for row, _, _ in rows:
                if writer.rows and (writer.rows >= most_rows or writer.bytes >= most_bytes):
                    made += 1
                    yield writer.done()
                    writer = FocusWriter(version)
                writer.add(row)
        if writer.rows or not made:
            yield writer.done()

    async def page(
        self,
        start: datetime,
        end: datetime,
        *,
        version: FocusVersion = FocusVersion.V1_2,
        after: FocusPosition = BEGINNING,
        most_rows: int = BATCH_ROWS,
    ) -> FocusPage:
        """Return one batch, from just behind a position; the rows of a use are never divided.

        Raises:
            InvalidError: the range is empty, or the batch is too large for consumers.
        """
        _check(start, end, most_rows)
        writer, held, last = FocusWriter(version), list[FocusRow](), after
        async with aclosing(self._rows(start, end, after)) as rows:
            async for row, position, is_last in rows:
                held.append(row)
                if not is_last:
                    continue
                if writer.rows and (writer.rows + len(held) > most_rows or writer.bytes >= BATCH_BYTES):
                    return FocusPage(writer.done(), last)
                for each in held:
                    writer.add(each)
                held, last = [], position
        return FocusPage(writer.done(), None)

    async def _rows(
        self, start: datetime, end: datetime, after: FocusPosition
    ) -> AsyncGenerator[tuple[FocusRow, FocusPosition, bool]]:
        """Yield each row, its position, and whether it is the last one of its use."""
        book = await self._prices.current()
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            if after.phase == _USES:
                place = after.at, after.key
                uses = self._repository.uses(session, book, start=start, end=end, after=place)
                async for use in uses:
                    made = list(use_rows(use, self._issuer))
                    position = FocusPosition(_USES, use.settled_at, use.usage_key)
                    for number, row in enumerate(made, 1):
                        yield row, position, number == len(made)
            at = (after.at, after.wallet, after.seq) if after.phase == _REFUNDS else (EARLIEST, 0, 0)
            refunds = self._repository.refunds(session, book, start=start, end=end, after=at)
            async for refund, (wallet, seq) in refunds:
                position = FocusPosition(_REFUNDS, refund.refunded_at, "", wallet, seq)
                yield refund_row(refund, self._issuer), position, True


def _check(start: datetime, end: datetime, most_rows: int) -> None:
    if end.astimezone(UTC) <= start.astimezone(UTC):
        raise InvalidError("until must be after since", param="until")
    if not 1 <= most_rows <= BATCH_ROWS:
        raise InvalidError(f"rows must be from 1 to {BATCH_ROWS:,}, what consumers take in one upload", param="rows")
