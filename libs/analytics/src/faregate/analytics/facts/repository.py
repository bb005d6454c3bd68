"""Repository of raw facts."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.conditions_sql import (
    DIMENSIONS,
    MEASURES,
    Rest,
    about_models,
    conditions,
    measures_sql,
    parameters,
    period_sql,
)
from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.filters import Question
from faregate.analytics.values import Measures
from faregate.core.db.database import Database

__all__ = ["RawRepository", "grouped_series", "measures_of"]

Group = tuple[Any, ...]

_AMOUNTS = {
    "requests": ("e.requests::numeric", "e.requests <> 0"),
    "tokens": ("(e.input_tokens + e.output_tokens)::numeric", "e.calls <> 0 or e.input_tokens + e.output_tokens <> 0"),
    "credits": ("e.credits * 0.000001", "e.credits <> 0"),
    "cost": ("e.cost * 0.000000000001", "e.cost is not null"),
    "quantity": ("e.quantity", "e.quantity is not null"),
    "events": ("1::numeric", "true"),
}
"""The amount of one event, in its unit, and the condition of events that have one."""

_READINGS = {
    "sum": "sum(value)",
    "count": "count(*)",
    "max": "max(value)",
    "unique": "count(distinct subject_id)",
    "latest": "(array_agg(value order by time desc))[1]",
}
"""How the quantities of a meter are aggregated to its value."""


class RawRepository:
    """Adds up the facts of a question; with a `rest`, only those that the sums do not contain."""

    def __init__(self, database: Database, archived: ArchivedMonths) -> None:
        self._database = database
        self._archived = archived

    async def measures(
        self, session: AsyncSession, question: Question, by: Sequence[str] = (), rest: Rest | None = None
    ) -> dict[Group, Measures]:
        """Return the sums by the values of the dimensions `by`."""
        models = about_models(question.filters, *by)
        keys = "".join(f"{DIMENSIONS[name]} as key_{number}, " for number, name in enumerate(by))
        only = "".join(f" and e.{name} is not null" for name in by if name in {"model", "meter"})
        sql = f"""
        select {keys} {measures_sql(models=models)} from faregate.usage_event e
        where {conditions(question.filters, rest)}{only} {_group_by(len(by))}
        """  # noqa: S608
        rows = await self._rows(session, sql, question, rest)
        return {
            tuple(getattr(row, f"key_{number}") for number in range(len(by))): measures_of(row, len(by)) for row in rows
        }

    async def series(
        self, session: AsyncSession, question: Question, unit: Unit, rest: Rest | None = None
    ) -> dict[datetime, Measures]:
        """Return the sums by period (`hour`, `day`, `week`, `month`) of the question's time zone."""
        sql = f"""
        select {period_sql("e.time")} as period, {measures_sql(models=about_models(question.filters))}
        from faregate.usage_event e where {conditions(question.filters, rest)} group by 1
        """  # noqa: S608
        periods = periods_of(question.range, unit)
        rows = await self._rows(session, sql, question, rest, periods=periods)
        return {periods[row.period - 1]: measures_of(row, 1) for row in rows}

    async def series_by(
        self, session: AsyncSession, question: Question, by: Sequence[str], unit: Unit, rest: Rest | None = None
    ) -> dict[Group, dict[datetime, Measures]]:
        """Return the sums by the values of the dimensions `by` and by period."""
        keys = "".join(f"{DIMENSIONS[name]} as key_{number}, " for number, name in enumerate(by))
        only = "".join(f" and e.{name} is not null" for name in by if name == "model")
        sql = f"""
        select {keys} {period_sql("e.time")} as period, {measures_sql(models=about_models(question.filters, *by))}
        from faregate.usage_event e where {conditions(question.filters, rest)}{only} {_group_by(len(by) + 1)}
        """  # noqa: S608
        periods = periods_of(question.range, unit)
        return grouped_series(await self._rows(session, sql, question, rest, periods=periods), len(by), periods)

    async def overview(self, session: AsyncSession, question: Question) -> tuple[Measures, dict[int, int], int]:
        """Return sums, latencies and the number of active users in one pass."""
        models = about_models(question.filters)
        weight = "calls" if models else "requests"
        sql = f"""
        with e as materialized (
          select e.subject_id, e.sign, e.quantity, e.requests, e.calls, e.input_tokens, e.output_tokens, e.credits,
            e.charged, e.cost, e.latency_ms, e.status
          from faregate.usage_event e where {conditions(question.filters)}
        ), latencies as (
          select latency_ms, sum({weight})::bigint as number from e where latency_ms is not null and {weight} <> 0 group by 1
        )
        select {measures_sql(models=models)},
          (select count(*) from (select 1 from e group by subject_id having sum(sign) > 0) a) as active,
          array(select latency_ms from latencies order by 1) as latencies,
          array(select number from latencies order by latency_ms) as numbers
        from e
        """  # noqa: S608
        (row,) = await self._rows(session, sql, question, None)
        return measures_of(row, 0), dict(zip(row.latencies, row.numbers, strict=True)), row.active

    async def points(
        self, session: AsyncSession, question: Question, unit: Unit
    ) -> dict[datetime, tuple[Measures, int]]:
        """Return sums and the number of active users by period, in one pass."""
        sql = f"""
        select period, {", ".join(f"sum({name}) as {name}" for name in MEASURES)},
          count(*) filter (where facts > 0) as active
        from (
          select {period_sql("e.time")} as period, e.subject_id,
            {measures_sql(models=about_models(question.filters))}
          from faregate.usage_event e where {conditions(question.filters)} group by 1, 2
        ) s group by 1
        """  # noqa: S608
        periods = periods_of(question.range, unit)
        rows = await self._rows(session, sql, question, None, periods=periods)
        return {periods[row.period - 1]: (measures_of(row, 1), row.active) for row in rows}

    async def users(
        self, session: AsyncSession, question: Question, order: str, limit: int
    ) -> list[tuple[int, Measures, datetime]]:
        """Return the users with the most of `order`, a sum or an expression over sums: their sums and last activity."""
        sql = f"""
        select * from (
          select e.subject_id, max(e.time) filter (where e.sign > 0) as last_at,
            {measures_sql(models=about_models(question.filters))}
          from faregate.usage_event e where {conditions(question.filters)} group by 1
        ) s where facts <> 0 order by {order} desc, subject_id limit :limit
        """  # noqa: S608
        rows = await self._rows(session, sql, question, None, limit=limit)
        return [(row.subject_id, measures_of(row, 2), row.last_at) for row in rows]

    async def last_activity(
        self, session: AsyncSession, question: Question, subject_ids: Sequence[int]
    ) -> dict[int, datetime]:
        """Return the time of each subject's last valid fact; a subject whose facts are all archived is left out."""
        sql = f"""
        select wanted.subject_id, last.time
        from unnest(cast(:subject_ids as bigint[])) as wanted (subject_id)
        cross join lateral (
          select e.time from faregate.usage_event e
          where e.subject_id = wanted.subject_id and {conditions(question.filters)} and e.sign > 0 and not exists (
            select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version)
          order by e.time desc limit 1
        ) last
        """  # noqa: S608
        given = {"subject_ids": list(subject_ids), **parameters(question)}
        return {row.subject_id: row.time for row in await self._database.rows(session, sql, **given)}

    async def latencies(self, session: AsyncSession, question: Question, rest: Rest | None = None) -> dict[int, int]:
        """Return the number of requests by latency in milliseconds."""
        weight = "e.calls" if about_models(question.filters) else "e.requests"
        sql = f"""
        select e.latency_ms as value, sum({weight})::bigint as number from faregate.usage_event e
        where {conditions(question.filters, rest)} and e.latency_ms is not null and {weight} <> 0 group by 1
        """  # noqa: S608
        rows = await self._rows(session, sql, question, rest)
        return {row.value: row.number for row in rows}

    async def statistics(self, session: AsyncSession, question: Question, amount: str) -> Any:
        """Return the exact `count`, `total`, `average`, `least`, `most` and `ranks` (median, p95, p99; nearest rank) of the
        amounts of single events; voided and replaced events are left out.
        """
        value, only = _AMOUNTS[amount]
        sql = f"""
        select count(*) as count, coalesce(sum(value), 0) as total, avg(value) as average, min(value) as least,
          max(value) as most, percentile_disc(array[0.5, 0.95, 0.99]) within group (order by value) as ranks
        from (
          select {value} as value from faregate.usage_event e
          where {conditions(question.filters)} and ({only}) and e.sign > 0 and not exists (
            select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version)
        ) standing
        """  # noqa: S608
        return (await self._rows(session, sql, question, None))[0]

    async def meter_value(self, session: AsyncSession, question: Question, aggregation: str) -> Decimal:
        """Return a meter's value by `aggregation`: `sum`, `count`, `max`, `unique` (users) or `latest`; 0 without events."""
        sql = f"select {_READINGS[aggregation]} as value from ({_standing(question)}) standing"  # noqa: S608
        return Decimal((await self._rows(session, sql, question, None))[0].value or 0)

    async def meter_values(
        self, session: AsyncSession, question: Question, aggregation: str, unit: Unit
    ) -> dict[datetime, Decimal]:
        """Return a meter's value in each period (`hour`, `day`, `week`, `month`) of the question's time zone that has one."""
        sql = f"""
        select {period_sql("time")} as period, {_READINGS[aggregation]} as value
        from ({_standing(question)}) standing group by 1
        """  # noqa: S608
        periods = periods_of(question.range, unit)
        rows = await self._rows(session, sql, question, None, periods=periods)
        return {periods[row.period - 1]: Decimal(row.value) for row in rows}

    async def active(
        self, session: AsyncSession, question: Question, unit: Unit | None = None, rest: Rest | None = None
    ) -> dict[datetime | None, dict[int, int]]:
        """Return, by period or for the whole range, the number of valid facts of each subject (corrections subtracted)."""
        periods: Sequence[datetime] = periods_of(question.range, unit) if unit else ()
        sql = f"""
        select {period_sql("e.time") if periods else "0"} as period, e.subject_id, sum(e.sign)::bigint as facts
        from faregate.usage_event e
        where {conditions(question.filters, rest)} group by 1, 2
        """  # noqa: S608
        found: dict[datetime | None, dict[int, int]] = {}
        for row in await self._rows(session, sql, question, rest, **({"periods": periods} if periods else {})):
            period: datetime | None = periods[int(row.period) - 1] if periods else None
            found.setdefault(period, {})[row.subject_id] = row.facts
        return found

    async def active_counts(
        self, session: AsyncSession, question: Question, unit: Unit | None = None
    ) -> dict[datetime | None, int]:
        """Return, by period or for the whole range, the number of subjects with valid facts."""
        periods: Sequence[datetime] = periods_of(question.range, unit) if unit else ()
        sql = f"""
        select period, count(*) as number from (
          select {period_sql("e.time") if periods else "0"} as period from faregate.usage_event e
          where {conditions(question.filters)} group by 1, e.subject_id having sum(e.sign) > 0
        ) a group by 1
        """  # noqa: S608
        rows = await self._rows(session, sql, question, None, **({"periods": periods} if periods else {}))
        return {periods[int(row.period) - 1] if periods else None: row.number for row in rows}

    async def _rows(
        self, session: AsyncSession, sql: str, question: Question, rest: Rest | None, **more: Any
    ) -> Sequence[Any]:
        await self._archived.note(session, question, rest)
        return await self._database.rows(session, sql, **parameters(question, rest), **more)


def measures_of(row: Any, first: int) -> Measures:
    """Return the sums of a row with one column for each measure, in their order, from column `first` on."""
    *counts, quantity = row[first : first + _COUNT]
    return Measures.of([*map(int, counts), Decimal(quantity)])


def grouped_series(
    rows: Sequence[Any], keys: int, periods: Sequence[datetime]
) -> dict[Group, dict[datetime, Measures]]:
    """Return the sums of rows that begin with the columns `key_…` and the position of the period."""
    found: dict[Group, dict[datetime, Measures]] = {}
    for row in rows:
        found.setdefault(tuple(row[:keys]), {})[periods[row.period - 1]] = measures_of(row, keys + 1)
    return found


_COUNT = len(MEASURES)


def _standing(question: Question) -> str:
    """Return a query for the quantities of valid events."""
    return f"""
    select e.subject_id, e.time, max(e.quantity) filter (where e.sign > 0) as value from faregate.usage_event e
    where {conditions(question.filters)} and e.quantity is not null
    group by e.event_key, e.version, e.subject_id, e.time having sum(e.sign) > 0
    """  # noqa: S608


def _group_by(count: int) -> str:
    return f"group by {', '.join(map(str, range(1, count + 1)))}" if count else ""
