"""Repository of what is exported in FOCUS."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.bills.token_parts import LineCost, token_parts
from faregate.analytics.focus.sql import FOCUS_LINES, FOCUS_REFUNDS, FOCUS_USES
from faregate.analytics.focus.values import SettledLine, SettledUse, UseRefund
from faregate.core.db.database import Database
from faregate.usage.pricing.line import PriceBook
from faregate.wire import exact_json

__all__ = ["FocusRepository"]

_AT_ONCE = 1000


class FocusRepository:
    """Reads settled uses and refunds, in the caller's transaction, a thousand at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def uses(
        self, session: AsyncSession, book: PriceBook, *, start: datetime, end: datetime, after: tuple[datetime, str]
    ) -> AsyncGenerator[SettledUse]:
        """Yield the uses that were settled in the range, in their order, from just behind `after`."""
        given = {"start": start, "end": end, "after": after[0], "after_key": after[1]}
        async for rows in self._pages(session, FOCUS_USES, given):
            lines = await self._lines(session, [row["usage_key"] for row in rows], book, rows)
            for row in rows:
                yield _use(row, lines.get(row["usage_key"], ()))

    async def refunds(
        self,
        session: AsyncSession,
        book: PriceBook,
        *,
        start: datetime,
        end: datetime,
        after: tuple[datetime, int, int],
    ) -> AsyncGenerator[tuple[UseRefund, tuple[int, int]]]:
        """Yield the refunds of uses that were made in the range, each with its wallet and sequence number."""
        given = {"start": start, "end": end, "after": after[0], "after_wallet": after[1], "after_seq": after[2]}
        async for rows in self._pages(session, FOCUS_REFUNDS, given):
            lines = await self._lines(session, [row["usage_key"] for row in rows], book, rows)
            for row in rows:
                use = _use(row, lines.get(row["usage_key"], ()))
                place = row["wallet_id"], row["seq"]
                yield UseRefund(use, row["amount"], row["refunded_at"], row["reason"]), place

    async def _pages(
        self, session: AsyncSession, sql: str, given: Mapping[str, Any]
    ) -> AsyncGenerator[Sequence[Mapping[str, Any]]]:
        await self._database.rows(session, "set local statement_timeout = 0")
        driver = await self._database.driver(session)
        statement = self._database.sql.statement(sql)
        cursor = await driver.cursor(statement.driver_sql, *[given[name] for name in statement.names])
        while rows := await cursor.fetch(_AT_ONCE):
            yield cast("Sequence[Mapping[str, Any]]", rows)

    async def _lines(
        self, session: AsyncSession, keys: Sequence[str], book: PriceBook, uses: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Sequence[SettledLine]]:
        began = {use["usage_key"]: use["created_at"] for use in uses}
        found: defaultdict[str, list[SettledLine]] = defaultdict(list)
        for row in await self._database.rows(session, FOCUS_LINES, keys=list(keys)):
            found[row.usage_key].append(_line(row, book, began[row.usage_key]))
        return found


def _use(row: Mapping[str, Any], lines: Sequence[SettledLine]) -> SettledUse:
    names = ("usage_key", "payer_id", "payer_name", "user_id", "feature_key", "feature_name", "consumed", "charged")
    return SettledUse(**{name: row[name] for name in names}, settled_at=row["settled_at"], lines=lines)


def _line(row: Any, book: PriceBook, at: datetime) -> SettledLine:
    tokens = exact_json.loads(row.tokens)
    rates = (
        book.rates(row.model, provider=row.provider, service_tier=row.service_tier, at=at)
        if row.model and tokens
        else None
    )
    cost = LineCost(row.provider_cost_usd, row.input_cost_usd, row.output_cost_usd)
    return SettledLine(
        model=row.model,
        provider=row.provider,
        service_tier=row.service_tier,
        unit=row.unit,
        quantity=row.quantity,
        parts=tuple(token_parts(tokens, cost, rates)),
        credits=row.credits,
        credit_price_usd=row.credit_price_usd,
        price_version=row.price_version,
    )
