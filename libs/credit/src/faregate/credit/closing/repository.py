"""Reads and writes closes, in the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.closing import lookup_sql, sql
from faregate.credit.closing.recognition import GrantFate, paid_value
from faregate.wire import exact_json

__all__ = ["CloseRepository", "json_of"]

_WALLETS_AT_ONCE = 20_000
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_GRANT_COLUMNS = (
    "grant_id",
    "number",
    "wallet_id",
    "seq",
    "granted",
    "used",
    "expired",
    "forfeited",
    "paid_cents",
    "revenue_cents",
    "breakage_cents",
    "forfeited_cents",
    "deferred_cents",
)


class CloseRepository:
    """The tables `close`, `close_wallet`, `close_grant` and `grant_payment`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lock(self, session: AsyncSession) -> None:
        """Wait for a running close to end, and let no other one begin until the transaction ends."""
        await self._database.rows(session, sql.WITHOUT_LIMITS)
        await self._database.rows(session, sql.LOCK_CLOSES)

    async def now(self, session: AsyncSession, now: datetime | None) -> datetime:
        """Return the simulated moment if there is one, else the database's."""
        ((moment,),) = await self._database.rows(session, sql.NOW, now=now)
        return moment  # type: ignore[no-any-return]

    async def closes(self, session: AsyncSession, period: str | None = None) -> Sequence[Any]:
        """Return the rows of all closes, or of one period, oldest first."""
        return await self._database.rows(session, lookup_sql.CLOSES, period=period)

    async def due_wallets(self, session: AsyncSession, *, until: datetime, after: int, limit: int) -> list[int]:
        """Return wallets that time has changed before `until`, in order of their ids, starting after `after`."""
        rows = await self._database.rows(session, sql.DUE_WALLETS, until=until, after=after, limit=limit)
        return [row.wallet_id for row in rows]

    async def add_wallets(self, session: AsyncSession, number: int, *, until: datetime) -> None:
        """Fix the ranges of all wallets that moved before `until`, and write their statements."""
        await self._database.rows(session, sql.ADD_WALLETS, number=number, until=until)

    async def assign_payments(self, session: AsyncSession, number: int, *, until: datetime) -> None:
        """Let the payments before `until` that no close holds belong to this one."""
        await self._database.rows(session, sql.ASSIGN_PAYMENTS, number=number, until=until)

    async def add_grants(self, session: AsyncSession, number: int) -> None:
        """Divide the paid value of all paid grants that changed in a close, and write it."""
        bounds = await self._database.rows(session, sql.WALLET_BOUNDS, number=number, size=_WALLETS_AT_ONCE)
        await self._database.rows(session, sql.PLANNER, nestloop="off")
        edges = [_LOWEST, *(row.wallet_id for row in bounds), _HIGHEST]
        for first, last in pairwise(edges):
            rows = await self._database.rows(session, sql.GRANTS_OF_CLOSE, number=number, first=first, last=last)
            found = [_grant_row(number, row) for row in rows]
            if found:
                await self._database.copy(session, "close_grant", _GRANT_COLUMNS, found)
        await self._database.rows(session, sql.PLANNER, nestloop="on")

    async def totals(self, session: AsyncSession, number: int, *, since: datetime | None) -> Mapping[str, Any]:
        """Return the totals of a close whose wallets and grants are written."""
        totals: dict[str, Any] = {}
        for statement in (sql.MOVEMENT_SUMS, sql.FLOW_SUMS, sql.MONEY_SUMS, sql.UNVALUED):
            (row,) = await self._database.rows(session, statement, number=number)
            totals.update(row.items())
        ((totals["late"],),) = await self._database.rows(session, sql.LATE_COUNT, number=number, since=since)
        return totals

    async def add_close(self, session: AsyncSession, values: Mapping[str, Any]) -> Any:
        """Write the row of a close and return it."""
        texts = {name: exact_json.dumps(json_of(values[name])).decode() for name in ("granted", "flows")}
        (row,) = await self._database.rows(session, sql.ADD_CLOSE, **{**values, **texts})
        return row

    async def statements(
        self, session: AsyncSession, number: int, *, after: int, limit: int, wallet_id: int | None = None
    ) -> Sequence[Any]:
        """Return the statements of the wallets that had moved by a close, in order of their ids, starting after `after`."""
        return await self._database.rows(
            session, lookup_sql.WALLET_STATEMENTS, number=number, after=after, limit=limit, wallet_id=wallet_id
        )

    async def late(
        self,
        session: AsyncSession,
        number: int,
        *,
        since: datetime | None,
        after: tuple[int, int, str, str],
        limit: int,
    ) -> Sequence[Any]:
        """Return the late facts of a close, starting after a position."""
        wallet_id, seq, grant_id, key = after
        return await self._database.rows(
            session,
            lookup_sql.LATE_FACTS,
            number=number,
            since=since,
            after_wallet=wallet_id,
            after_seq=seq,
            after_grant=grant_id,
            after_key=key,
            limit=limit,
        )

    async def lock_grant(self, session: AsyncSession, wallet_id: int, grant_id: UUID) -> str | None:
        """Lock a grant of a wallet and return its source; None if the wallet has no such grant."""
        rows = await self._database.rows(session, lookup_sql.GRANT_OF_WALLET, wallet_id=wallet_id, grant_id=grant_id)
        return rows[0].source if rows else None

    async def payments(self, session: AsyncSession, grant_id: UUID) -> Mapping[str, int]:
        """Return the cents of the payments recorded for a grant, by their stored key."""
        rows = await self._database.rows(session, lookup_sql.PAYMENTS_OF_GRANT, grant_id=grant_id)
        return {row.key: row.cents for row in rows}

    async def add_payment(
        self,
        session: AsyncSession,
        wallet_id: int,
        grant_id: UUID,
        *,
        key: str,
        cents: int,
        paid_at: datetime | None,
        now: datetime | None,
    ) -> None:
        """Write a payment for a grant; without `paid_at` it is of now."""
        await self._database.rows(
            session,
            lookup_sql.ADD_PAYMENT,
            grant_id=grant_id,
            key=key,
            wallet_id=wallet_id,
            cents=cents,
            paid_at=paid_at,
            now=now,
        )


def json_of(value: Any) -> Any:
    """Return a JSON column as a value: the driver returns its text."""
    return exact_json.loads(value) if isinstance(value, str | bytes) else value


def _grant_row(number: int, row: Any) -> tuple[Any, ...]:
    fate = GrantFate(row.granted, row.used, row.expired, row.forfeited)
    value = paid_value(row.paid_cents, fate)
    return (
        row.grant_id,
        number,
        row.wallet_id,
        row.seq,
        *_parts(fate),
        *(value.paid, value.revenue, value.breakage, value.forfeited, value.deferred),
    )


def _parts(fate: GrantFate) -> Iterable[int]:
    return fate.granted, fate.used, fate.expired, fate.forfeited
