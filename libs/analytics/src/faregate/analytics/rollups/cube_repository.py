"""Repository of daily sums by combination of values.

They cover whole days of UTC and any filters except users and status codes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.conditions_sql import MEASURES, about_models, period_sql
from faregate.analytics.facts.repository import Group, grouped_series, measures_of
from faregate.analytics.question.coverage import Coverage
from faregate.analytics.question.filters import Filters
from faregate.analytics.rollups.repository import bits_of
from faregate.analytics.values import Measures
from faregate.core.db.database import Database

__all__ = ["CubeRepository"]

_PERIOD = period_sql("c.day::timestamp at time zone 'UTC'")


class CubeRepository:
    """Reads sums of a question with any number of filters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cells(
        self, session: AsyncSession, coverage: Coverage, filters: Filters, by: Sequence[str]
    ) -> dict[Group, Measures]:
        """Return the sums by the values of `by`."""
        keys = "".join(f"c.{name} as key_{number}, " for number, name in enumerate(by))
        only = "".join(f" and c.{name} is not null" for name in by if name in {"model", "meter"})
        group = f"group by {', '.join(map(str, range(1, len(by) + 1)))}" if by else ""
        sql = f"""
        select {keys} {_cube_sums(models=about_models(filters, *by))} from faregate.usage_cube c
        where {_cells(filters)}{only} {group}
        """  # noqa: S608
        rows = await self._rows(session, sql, coverage, filters)
        return {
            tuple(getattr(row, f"key_{n}") for n in range(len(by))): measures_of(row, len(by))
            for row in rows
            if row.facts
        }

    async def series(
        self, session: AsyncSession, coverage: Coverage, filters: Filters, periods: Sequence[datetime]
    ) -> dict[datetime, Measures]:
        """Return the sums by period, given by the period starts; each day of UTC must lie within one period."""
        sql = f"""
        select {_PERIOD} as period, {_cube_sums(models=about_models(filters))} from faregate.usage_cube c
        where {_cells(filters)} group by 1
        """  # noqa: S608
        rows = await self._rows(session, sql, coverage, filters, periods=periods)
        return {periods[row.period - 1]: measures_of(row, 1) for row in rows}

    async def series_by(
        self,
        session: AsyncSession,
        coverage: Coverage,
        filters: Filters,
        by: Sequence[str],
        periods: Sequence[datetime],
    ) -> dict[Group, dict[datetime, Measures]]:
        """Return the sums by the values of `by` and by period; each day of UTC must lie within one period."""
        keys = "".join(f"c.{name} as key_{number}, " for number, name in enumerate(by))
        only = "".join(f" and c.{name} is not null" for name in by if name == "model")
        group = ", ".join(map(str, range(1, len(by) + 2)))
        sql = f"""
        select {keys} {_PERIOD} as period, {_cube_sums(models=about_models(filters, *by))} from faregate.usage_cube c
        where {_cells(filters)}{only} group by {group}
        """  # noqa: S608
        return grouped_series(await self._rows(session, sql, coverage, filters, periods=periods), len(by), periods)

    async def sketch(self, session: AsyncSession, coverage: Coverage, filters: Filters) -> dict[int, int]:
        """Return the number of timed requests in each bin."""
        counts = "c.call_counts" if about_models(filters) else "c.counts"
        sql = f"""
        select s.bin, sum(s.count)::bigint as number from faregate.usage_cube c
        cross join lateral unnest(c.bins, {counts}) as s (bin, count) where {_cells(filters)} group by 1
        """  # noqa: S608
        return {row.bin: row.number for row in await self._rows(session, sql, coverage, filters)}

    async def active(
        self,
        session: AsyncSession,
        coverage: Coverage,
        filters: Filters,
        periods: Sequence[datetime] = (),
    ) -> dict[datetime | None, dict[int, int]]:
        """Return the active subjects by period, or without periods in the whole coverage: the bits of each chunk."""
        sql = f"""
        select {_PERIOD if periods else "0"} as period, a.chunk, bit_or(a.users) as users from faregate.usage_cube c
        join faregate.usage_cube_active a using (day, cell) where {_cells(filters)} group by 1, 2
        """  # noqa: S608
        found: dict[datetime | None, dict[int, int]] = {}
        for row in await self._rows(session, sql, coverage, filters, **({"periods": periods} if periods else {})):
            period: datetime | None = periods[int(row.period) - 1] if periods else None
            found.setdefault(period, {})[row.chunk] = bits_of(row.users)
        return found

    async def _rows(
        self, session: AsyncSession, sql: str, coverage: Coverage, filters: Filters, **more: Any
    ) -> Sequence[Any]:
        given = {"first": coverage.start.date(), "last": coverage.end.date(), **parameters_of(filters), **more}
        return await self._database.rows(session, sql, **given)


def _cells(filters: Filters) -> str:
    """Return the `where` of a question over `usage_cube c`."""
    conditions = ["c.day >= cast(:first as date)", "c.day < cast(:last as date)"]
    return " and ".join([*conditions, *(_cube_condition(name) for name in filters.given)])


def parameters_of(filters: Filters) -> dict[str, Any]:
    """Return the parameters of the conditions on cells."""
    values: dict[str, Any] = {**filters.given, **filters.spelled}
    if filters.organization_owner is not None:
        values["organization_id"] = filters.organization_owner
    if filters.country is not None:
        values["country"] = filters.country.upper()
    return values


def _cube_condition(name: str) -> str:
    if name == "organization_id":
        return "c.organization = (select subject_id from faregate.subject where external_id = :organization_id)"
    if name in {"model", "provider"}:
        return f"c.{name} = any(cast(:{name} as text[]))"
    return f"c.{name} = :{name}"


def _cube_sums(*, models: bool) -> str:
    names = {"requests": "calls", "errors": "call_errors"} if models else {}
    if models:
        names |= {"latency_sum": "call_latency_sum", "latency_count": "call_latency_count"}
    return ", ".join(f"coalesce(sum(c.{names.get(name, name)}), 0) as {name}" for name in MEASURES)
