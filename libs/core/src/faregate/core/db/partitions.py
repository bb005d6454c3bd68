"""Monthly partitions of a table: creation, listing, detaching and dropping.

A partition of `usage_event` for November 2026 is the table `usage_event_y2026m11`; months are UTC. Partitions are created ahead
of time and detached at the end of their retention, by functions of the schema that have the rights of its owner: the role of
a process needs none on tables but to read and write rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from faregate.core.db.ambient_transaction import outside_transaction
from faregate.core.db.sql import MONTH_CREATE, MONTH_DETACH, MONTH_DROP
from faregate.core.errors import InvalidError

if TYPE_CHECKING:  # the command line reads `Month` without loading SQLAlchemy
    from sqlalchemy.ext.asyncio import AsyncSession

    from faregate.core.db.database import Database

__all__ = ["Month", "Partitions", "months_between"]

_MONTH = re.compile(r"(\d{4})-(\d{2})")

_ATTACHED = """
select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = cast(cast(:parent as text) as regclass)
"""

_TABLES = "select tablename as name from pg_tables where schemaname = :schema and tablename like cast(:pattern as text)"


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """Return the month that holds `moment` (aware)."""
        utc = moment.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2026-11`, or raise `InvalidError`."""
        found = _MONTH.fullmatch(text)
        if found is None or not 1 <= int(found[2]) <= 12 or not int(found[1]):
            raise InvalidError(f"{text!r} is not a month; write it as 2026-11", param="month")
        return cls(int(found[1]), int(found[2]))

    @property
    def start(self) -> datetime:
        """The first moment of the month."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after the month."""
        return self.after(1).start

    def after(self, months: int) -> Month:
        """Return the month the given number of months later (earlier, if negative)."""
        years, number = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(years, number + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


def months_between(first: Month, last: Month) -> list[Month]:
    """Return all months from `first` to `last`, both included."""
    months: list[Month] = []
    while first <= last:
        months.append(first)
        first = first.after(1)
    return months


class Partitions:
    """The monthly partitions of one table of our schema, which is partitioned by range over a `timestamptz` column."""

    def __init__(self, database: Database, table: str) -> None:
        self.table = table
        self._database = database
        self._known: set[Month] = set()

    def name(self, month: Month) -> str:
        """Return the table that holds `month`."""
        return f"{self.table}_y{month.year:04d}m{month.number:02d}"

    async def ensure(self, months: Iterable[Month]) -> None:
        """Create the partitions of these months, in separate transactions. Safe to repeat, also concurrently.

        Writers are not blocked: the partition is created as a separate table, then attached. Months that exist are remembered, so
        that repeated calls cost nothing on a hot path.
        """
        missing = set(months) - self._known
        if not missing:
            return
        with outside_transaction():  # what is remembered must not depend on a transaction that may roll back
            self._known.update(missing.intersection(await self._database.run(self.attached)))
            for month in sorted(missing - self._known):
                await self._database.run(partial(self._make, month=month))
                self._known.add(month)

    async def attached(self, session: AsyncSession) -> Sequence[Month]:
        """Return the months that can be read and written, oldest first."""
        rows = await self._database.rows(session, _ATTACHED, parent=self._qualified)
        return self._months(row.name for row in rows)

    async def detached(self, session: AsyncSession) -> Sequence[Month]:
        """Return the months whose table was detached and not dropped yet: an archiving run was interrupted."""
        pattern = self.table.replace("_", r"\_") + r"\_y____m__"
        rows = await self._database.rows(session, _TABLES, schema=self._database.sql.schema, pattern=pattern)
        attached = set(await self.attached(session))
        return [month for month in self._months(row.name for row in rows) if month not in attached]

    async def detach(self, session: AsyncSession, month: Month) -> None:
        """Detach a month, in the caller's transaction: its rows stay in a table of their own, and readers no longer see them."""
        self._known.discard(month)
        await self._do(session, MONTH_DETACH, month)

    async def drop(self, session: AsyncSession, month: Month) -> None:
        """Drop a detached month, in the caller's transaction."""
        await self._do(session, MONTH_DROP, month)

    async def drop_empty(self, session: AsyncSession, month: Month) -> None:
        """Detach and drop a month, in the caller's transaction, if it holds no row."""
        if month not in await self.attached(session):
            return
        await self._database.rows(session, f"lock table faregate.{self.name(month)} in access exclusive mode")
        if not await self._database.rows(session, f"select 1 from faregate.{self.name(month)} limit 1"):  # noqa: S608
            await self.detach(session, month)
            await self.drop(session, month)

    async def _make(self, session: AsyncSession, month: Month) -> None:
        await self._do(session, MONTH_CREATE, month)

    async def _do(self, session: AsyncSession, statement: str, month: Month) -> None:
        await self._database.rows(session, statement, parent=self.table, month=month.start.date())

    def _months(self, names: Iterable[str]) -> list[Month]:
        prefix = f"{self.table}_y"
        found = [re.fullmatch(r"(\d{4})m(\d{2})", name.removeprefix(prefix)) for name in names if prefix in name]
        return sorted(Month(int(match[1]), int(match[2])) for match in found if match is not None)

    @property
    def _qualified(self) -> str:
        return f"{self._database.sql.schema}.{self.table}"
