"""Monthly close: closes months in order and returns what they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.ambient_transaction import outside_transaction
from faregate.core.db.database import Database
from faregate.core.values.time_zones import time_zone
from faregate.credit.closing.journal import JournalLine, check_accounts, credits_journal, usd_journal
from faregate.credit.closing.payments import FIRST_PAYMENT, PaymentRecords
from faregate.credit.closing.periods import OPENING, ClosingMonth, parse_month
from faregate.credit.closing.repository import CloseRepository
from faregate.credit.closing.values import Close, GrantPayment, LateFact, WalletClose
from faregate.credit.closing.views import close_view, late_view, statement_view
from faregate.credit.errors import NotClosableError, UnknownCloseError
from faregate.credit.services.credits import CreditService
from faregate.credit.services.ledger_session import LedgerSession

__all__ = ["CloseService", "JournalUnit"]

JournalUnit = Literal["usd", "credits"]

_WALLETS_AT_ONCE = 500
_FIRST_LATE = (-1, -1, "", "")


@dataclass(frozen=True, slots=True)
class _Planned:
    """A close to write: its number and its bounds."""

    number: int
    period: str
    zone: ZoneInfo
    since: datetime | None
    until: datetime


class CloseService:
    """Closes months and reads what was closed. Owns its transactions.

    A closed month never changes: what arrives later belongs to the next month that is closed, and is listed there as late.

    Args:
        accounts: the codes of the general ledger's accounts, by the names of `JournalAccount`.
    """

    def __init__(
        self,
        database: Database,
        repository: CloseRepository,
        ledger_session: LedgerSession,
        credit: CreditService,
        payments: PaymentRecords,
        *,
        accounts: Mapping[str, str] | None = None,
    ) -> None:
        self._database = database
        self._closes = repository
        self._ledger_session = ledger_session
        self._credit = credit
        self._payments = payments
        self._accounts = dict(accounts or {})

    async def run(self, period: str, *, timezone: str | None = None, catch_up: bool = False) -> Close:
        """Close a month; a month that is closed already is returned as it is.

        Args:
            period: the month, as `2026-10`.
            timezone: the IANA zone whose midnight ends the month. Required to agree with the closes before; UTC by default.
            catch_up: close the months before it that are not closed, too.

        Raises:
            InvalidError: the period is not a month, or the zone is not known.
            NotClosableError: the month is not over, is not the next one to close, or the zone differs from the last close's.
        """
        month = parse_month(period)
        zone = time_zone(timezone) if timezone is not None else None
        if catch_up:
            for earlier in await self._open_before(month):
                await self._close(earlier, zone)
        return await self._close(month, zone)

    async def list(self) -> Sequence[Close]:
        """Return all closes, oldest first."""
        async with self._database.transaction(read_only=True) as session:
            return [close_view(row) for row in await self._closes.closes(session)]

    async def next_period(self) -> str | None:
        """Return the month to close next; None before the first close."""
        closed = [close for close in await self.list() if close.period != OPENING]
        return str(parse_month(closed[-1].period).next) if closed else None

    async def get(self, period: str) -> Close:
        """Return a close, or raise `UnknownCloseError`."""
        async with self._database.transaction(read_only=True) as session:
            return close_view(await self._row(session, period))

    async def statement(self, period: str, owner_id: str) -> WalletClose:
        """Return the statement of one wallet in a closed month.

        Raises:
            UnknownCloseError, UnknownWalletError: the month is not closed, or the owner has no wallet.
        """
        async with self._database.transaction(read_only=True) as session:
            row = await self._row(session, period)
            wallet_id = (await self._credit.get_owner(session, owner_id)).subject_id
            found = await self._closes.statements(
                session, row.number, after=wallet_id - 1, limit=1, wallet_id=wallet_id
            )
        return statement_view(found[0]) if found else WalletClose.unmoved(owner_id, Decimal(0))

    async def statements(
        self, period: str, *, after: int = -1, limit: int = 100
    ) -> tuple[Sequence[WalletClose], int | None]:
        """Return the statements of wallets in a closed month, and where the next page begins (None on the last one).

        A wallet that has not moved since is included: its opening and closing balances are equal.
        """
        async with self._database.transaction(read_only=True) as session:
            row = await self._row(session, period)
            found = await self._closes.statements(session, row.number, after=after, limit=limit)
        return [statement_view(one) for one in found], found[-1].wallet_id if len(found) == limit else None

    async def late(
        self, period: str, *, after: tuple[int, int, str, str] = _FIRST_LATE, limit: int = 100
    ) -> tuple[Sequence[LateFact], tuple[int, int, str, str] | None]:
        """Return the facts of earlier months that arrived after their close and belong to this one, and the next position."""
        async with self._database.transaction(read_only=True) as session:
            row = await self._row(session, period)
            found = await self._closes.late(session, row.number, since=row.since, after=after, limit=limit)
        position = None
        if len(found) == limit:
            last = found[-1]
            position = (last.wallet_id, last.seq, str(last.grant_id or ""), last.key or "")
        return [late_view(one) for one in found], position

    async def journal(
        self, period: str, *, unit: JournalUnit = "usd", accounts: Mapping[str, str] | None = None
    ) -> Sequence[JournalLine]:
        """Return the journal lines of a closed month: of the paid value, or of the credits.

        Args:
            accounts: codes of the general ledger's accounts that replace those of the settings.

        Raises:
            UnknownCloseError: the month is not closed.
            InvalidError: a name in `accounts` is not one of `JournalAccount`.
        """
        codes = check_accounts({**self._accounts, **(accounts or {})})
        close = await self.get(period)
        day = parse_month(period).last_day if period != OPENING else _last_day(close)
        if unit == "credits":
            return credits_journal(period, day, close.flows, codes)
        return usd_journal(period, day, close.statement.value, codes)

    async def record_payment(
        self,
        owner_id: str,
        grant_id: UUID,
        paid_usd: Decimal,
        *,
        key: str = FIRST_PAYMENT,
        paid_at: datetime | None = None,
        session: AsyncSession | None = None,
    ) -> GrantPayment:
        """Record what was paid for a grant, in the caller's transaction if `session` is given. Safe to repeat: once per key.

        `PaymentRecords.record` describes the arguments and errors.
        """

        async def work(session: AsyncSession) -> GrantPayment:
            return await self._payments.record(session, owner_id, grant_id, paid_usd, key=key, paid_at=paid_at)

        return await work(session) if session is not None else await self._database.run(work)

    async def _open_before(self, month: ClosingMonth) -> Sequence[ClosingMonth]:
        """Return the months before `month` that follow the last close."""
        following = await self.next_period()
        if following is None:
            return []
        first, found = parse_month(following), list[ClosingMonth]()
        while first < month:
            found.append(first)
            first = first.next
        return found

    async def _close(self, month: ClosingMonth, zone: ZoneInfo | None) -> Close:
        known = await self._known(month)
        if known is not None:
            return known
        _, until = month.bounds(zone or await self._zone())
        await self._mature(until)
        return await self._database.run(partial(self._write, month=month, zone=zone))

    async def _known(self, month: ClosingMonth) -> Close | None:
        async with self._database.transaction(read_only=True) as session:
            rows = await self._closes.closes(session, str(month))
        return close_view(rows[0]) if rows else None

    async def _zone(self) -> ZoneInfo:
        closed = await self.list()
        return time_zone(closed[-1].timezone if closed else "UTC")

    async def _mature(self, until: datetime) -> None:
        """Post what was due before `until`, such as expiries, in transactions of their own: any other call would post it, too."""
        after = -1

        async def work(session: AsyncSession, after: int) -> list[int]:
            due = await self._closes.due_wallets(session, until=until, after=after, limit=_WALLETS_AT_ONCE)
            if due:
                await self._ledger_session.write(session, await self._ledger_session.lock(session, due))
            return due

        with outside_transaction():
            while due := await self._database.run(partial(work, after=after)):
                after = due[-1]

    async def _write(self, session: AsyncSession, *, month: ClosingMonth, zone: ZoneInfo | None) -> Close:
        await self._closes.lock(session)
        rows = await self._closes.closes(session)
        now = await self._closes.now(session, self._ledger_session.now())
        done = next((row for row in rows if row.period == str(month)), None)
        if done is not None:
            return close_view(done)
        plans = _plan(rows, month, zone, now=now)
        last: Any = rows[-1] if rows else None
        for plan in plans:
            last = await self._write_one(session, plan, last=last, now=now)
        return close_view(last)

    async def _write_one(self, session: AsyncSession, plan: _Planned, *, last: Any, now: datetime) -> Any:
        await self._closes.add_wallets(session, plan.number, until=plan.until)
        await self._closes.assign_payments(session, plan.number, until=plan.until)
        await self._closes.add_grants(session, plan.number)
        totals = await self._closes.totals(session, plan.number, since=plan.since)
        opening = last.closing if last is not None else 0
        deferred = last.deferred_closing_cents if last is not None else 0
        named = {name: value for name, value in totals.items() if name not in {"change", "deferred_cents"}}
        return await self._closes.add_close(
            session,
            {
                **named,
                "number": plan.number,
                "period": plan.period,
                "timezone": plan.zone.key,
                "since": plan.since,
                "until": plan.until,
                "closed_at": now,
                "opening": opening,
                "closing": opening + totals["change"],
                "deferred_opening_cents": deferred,
                "deferred_closing_cents": deferred + totals["deferred_cents"],
            },
        )

    async def _row(self, session: AsyncSession, period: str) -> Any:
        rows = await self._closes.closes(session, period)
        if not rows:
            raise UnknownCloseError(period)
        return rows[0]


def _plan(rows: Sequence[Any], month: ClosingMonth, zone: ZoneInfo | None, *, now: datetime) -> list[_Planned]:
    """Return the close of `month`, after the opening if it is the first one.

    Raises:
        NotClosableError: the month is not over, is not the next one, or the zone differs from the last close's.
    """
    zone = _agreed(rows, zone)
    since, until = month.bounds(zone)
    if until > now:
        raise NotClosableError(
            f"period {month} is not over before {until.isoformat()}; close it after that, or close an earlier month",
            param="period",
        )
    if not rows:
        opening = _Planned(0, OPENING, zone, None, since)
        return [opening, _Planned(1, str(month), zone, since, until)]
    following = parse_month(rows[-1].period).next
    if month < following:
        raise NotClosableError(
            f"period {month} is before the first closed month, whose opening balances hold it; the next one is {following}",
            param="period",
        )
    if month > following:
        raise NotClosableError(
            f"period {month} is not the next one: close {following} first, or set catch_up to close all months up to {month}",
            param="period",
        )
    return [_Planned(rows[-1].number + 1, str(month), zone, rows[-1].until, until)]


def _agreed(rows: Sequence[Any], zone: ZoneInfo | None) -> ZoneInfo:
    known = time_zone(rows[-1].timezone) if rows else None
    if known is not None and zone is not None and known.key != zone.key:
        raise NotClosableError(
            f"timezone {zone.key} differs from {known.key}, in which the months before were closed; leave it out",
            param="timezone",
        )
    return known or zone or time_zone("UTC")


def _last_day(opening: Close) -> date:
    """Return the last day before the first closed month."""
    return opening.until.astimezone(time_zone(opening.timezone)).date() - timedelta(days=1)
