"""All statements that read the sums. Each takes one coverage: the buckets that answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.coverage import Coverage
from faregate.analytics.dimensions import Dimension
from faregate.analytics.filters import Filters, Question
from faregate.analytics.raw_facts import MEASURES, Rest, about_models, conditions, measures_sql, parameters
from faregate.analytics.raw_repository import Group, measures_of
from faregate.analytics.values import Measures
from faregate.core.database import Database
from faregate.core.personal_data import ERASURES_VERSION

__all__ = ["RollupRepository"]

_PIECES = """
unnest(cast(:grains as smallint[]), cast(:starts as timestamptz[]), cast(:ends as timestamptz[])) as p (grain, "from", "to")
"""

_ACTIVE = f"""
select {{period}} as period, r.chunk, bit_or(r.users) as users from {_PIECES}
join faregate.usage_active r on r.grain = p.grain and r.bucket >= p."from" and r.bucket < p."to"
where r.dimension = :dimension and r.value = :value {{only}} group by 1, 2
"""  # noqa: S608

_SUMS = ", ".join(f"sum(r.{name}) as {name}" for name in MEASURES)

_STATE = "select from_tx, open_txs, rolled_at, facts from faregate.rollup_state where state_id = 1"

_COUNTED = 10_000

_VERSION = f"""
select concat_ws('/', s.xmin, v.version, waiting.facts) as version, waiting.facts
from faregate.rollup_state s
left join faregate.version v on v.name = '{ERASURES_VERSION}'
cross join lateral (select count(*) as facts from (
  select from faregate.usage_event e where e.tx >= s.from_tx or e.tx = any(s.open_txs) limit {_COUNTED}
) e) waiting
where s.state_id = 1
"""  # noqa: S608

_USER_SUMS = tuple(name for name in MEASURES if name != "quantity")


class RollupRepository:
    """Reads sums of a question whose filters and dimensions are kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, session: AsyncSession) -> Any:
        """Return how far the sums reach."""
        return (await self._database.rows(session, _STATE))[0]

    async def version(self, session: AsyncSession) -> str | None:
        """Return the version of the sums, with the number of facts that are not in them; None from 10,000 of those on."""
        row = (await self._database.rows(session, _VERSION))[0]
        return row.version if row.facts < _COUNTED else None

    async def totals(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, value: str | None
    ) -> dict[Group, Measures]:
        """Return the sums of each value of `dimension`, or of one `value` of it; models come with their provider."""
        keys = "" if value is not None else "r.value, r.detail, " if dimension is Dimension.MODEL else "r.value, "
        sql = f"""
        select {keys} {_SUMS} from {_PIECES}
        join faregate.usage_rollup r on r.grain = p.grain and r.bucket >= p."from" and r.bucket < p."to"
        where r.dimension = :dimension {f"group by {keys.rstrip(', ')}" if keys else "and r.value = :value"}
        """  # noqa: S608
        given = {} if value is None else {"value": value}
        rows = await self._database.rows(session, sql, dimension=int(dimension), **_pieces(coverage), **given)
        if value is not None:
            return {(): measures_of(rows[0])} if rows[0].facts is not None else {}
        return {_key(row, dimension): measures_of(row) for row in rows}

    async def series(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, value: str, unit: str, timezone: str
    ) -> dict[datetime, Measures]:
        """Return the sums of one value by period."""
        sql = f"""
        select date_trunc('{unit}', r.bucket, :timezone) as period, {_SUMS} from {_PIECES}
        join faregate.usage_rollup r on r.grain = p.grain and r.bucket >= p."from" and r.bucket < p."to"
        where r.dimension = :dimension and r.value = :value group by 1
        """  # noqa: S608
        rows = await self._database.rows(
            session, sql, dimension=int(dimension), value=value, timezone=timezone, **_pieces(coverage)
        )
        return {row.period: measures_of(row) for row in rows}

    async def sketch(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, value: str
    ) -> dict[int, int]:
        """Return how many timed requests fell into each bin."""
        sql = f"""
        select s.bin, sum(s.count)::bigint as number from {_PIECES}
        join faregate.usage_rollup r on r.grain = p.grain and r.bucket >= p."from" and r.bucket < p."to"
        cross join lateral unnest(r.bins, r.counts) as s (bin, count)
        where r.dimension = :dimension and r.value = :value group by 1
        """  # noqa: S608
        rows = await self._database.rows(session, sql, dimension=int(dimension), value=value, **_pieces(coverage))
        return {row.bin: row.number for row in rows}

    async def active(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, value: str
    ) -> dict[int, int]:
        """Return who was active in the whole coverage: for each chunk the bits of its subjects."""
        sql = _ACTIVE.format(period="null::timestamptz", only="")
        rows = await self._database.rows(session, sql, dimension=int(dimension), value=value, **_pieces(coverage))
        return {row.chunk: _bits(row.users) for row in rows}

    async def active_in(
        self,
        session: AsyncSession,
        coverage: Coverage,
        dimension: Dimension,
        value: str,
        unit: str,
        timezone: str,
        periods: Sequence[datetime],
    ) -> dict[datetime, dict[int, int]]:
        """Return who was active in each of `periods`: for each chunk the bits of its subjects."""
        period = f"date_trunc('{unit}', r.bucket, :timezone)"
        sql = _ACTIVE.format(period=period, only=f"and {period} = any(cast(:periods as timestamptz[]))")
        given = {"dimension": int(dimension), "value": value, "timezone": timezone, "periods": list(periods)}
        found: dict[datetime, dict[int, int]] = {}
        for row in await self._database.rows(session, sql, **given, **_pieces(coverage)):
            found.setdefault(row.period, {})[row.chunk] = _bits(row.users)
        return found

    async def active_counts(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, value: str, unit: str, timezone: str
    ) -> dict[datetime, int]:
        """Return how many users were active in each period."""
        active = _ACTIVE.format(period=f"date_trunc('{unit}', r.bucket, :timezone)", only="")
        sql = f"select period, sum(bit_count(users))::bigint as number from ({active}) a group by 1"  # noqa: S608
        given = {"dimension": int(dimension), "value": value, "timezone": timezone}
        rows = await self._database.rows(session, sql, **given, **_pieces(coverage))
        return {row.period: row.number for row in rows}

    async def cells(
        self, session: AsyncSession, coverage: Coverage, filters: Filters, by: Sequence[str]
    ) -> dict[Group, Measures]:
        """Return the sums by the values of `by`, with any filters but those on users and status codes; whole days."""
        models = about_models(filters, *by)
        keys = "".join(f"c.{name} as key_{number}, " for number, name in enumerate(by))
        where = [_cube_condition(name) for name in filters.given]
        where += [f"c.{name} is not null" for name in by if name in {"model", "meter"}]
        group = f"group by {', '.join(map(str, range(1, len(by) + 1)))}" if by else ""
        sql = f"""
        select {keys} {_cube_sums(models=models)} from faregate.usage_cube c
        where c.day >= cast(:first as date) and c.day < cast(:last as date) {"".join(f" and {part}" for part in where)} {group}
        """  # noqa: S608
        given = parameters_of(filters)
        rows = await self._database.rows(session, sql, first=coverage.start.date(), last=coverage.end.date(), **given)
        return {tuple(getattr(row, f"key_{n}") for n in range(len(by))): measures_of(row) for row in rows if row.facts}

    async def users(
        self, session: AsyncSession, question: Question, coverage: Coverage, rest: Rest, order: str, limit: int
    ) -> list[tuple[int, Measures, datetime]]:
        """Return the users with the most of `order` (an expression over sums), with those of the rest."""
        names = ", ".join(_USER_SUMS)
        days = "service = :in_service and day >= cast(:first as date) and day < cast(:last as date)"
        sql = f"""
        with of_rest as materialized (
          select e.subject_id, max(e.time) filter (where e.sign > 0) as last_at, {measures_sql(models=False)}
          from faregate.usage_event e where {conditions(question.filters, rest)} group by 1
        ), ranked as materialized (
          select subject_id from (
            select subject_id, facts, {order} as amount from faregate.usage_user_day where {days}
            union all select subject_id, facts, {order} from of_rest
          ) s group by 1 having sum(facts) <> 0 order by sum(amount) desc, subject_id limit :limit
        )
        select * from (select subject_id, max(last_at) as last_at, 0 as quantity,
          {", ".join(f"sum({name}) as {name}" for name in _USER_SUMS)}
        from (
          select subject_id, last_at, {names} from faregate.usage_user_day join ranked using (subject_id) where {days}
          union all select subject_id, last_at, {names} from of_rest join ranked using (subject_id)
        ) s group by subject_id) t order by {order} desc, subject_id
        """  # noqa: S608
        rows = await self._database.rows(
            session,
            sql,
            in_service=question.filters.service or "",
            first=coverage.start.date(),
            last=coverage.end.date(),
            limit=limit,
            **parameters(question, rest),
        )
        return [(row.subject_id, measures_of(row), row.last_at) for row in rows]


def parameters_of(filters: Filters) -> dict[str, Any]:
    """Return the values of the conditions on cells."""
    values: dict[str, Any] = dict(filters.given)
    if filters.organization_owner is not None:
        values["organization_id"] = filters.organization_owner
    if filters.country is not None:
        values["country"] = filters.country.upper()
    return values


def _cube_condition(name: str) -> str:
    if name == "organization_id":
        return "c.organization = (select subject_id from faregate.subject where external_id = :organization_id)"
    return f"c.{name} = :{name}"


def _cube_sums(*, models: bool) -> str:
    names = {"requests": "calls", "errors": "call_errors"} if models else {}
    if models:
        names |= {"latency_sum": "call_latency_sum", "latency_count": "call_latency_count"}
    return ", ".join(f"coalesce(sum(c.{names.get(name, name)}), 0) as {name}" for name in MEASURES)


def _pieces(coverage: Coverage) -> dict[str, Any]:
    pieces = coverage.pieces
    return {
        "grains": [int(piece.grain) for piece in pieces],
        "starts": [piece.start for piece in pieces],
        "ends": [piece.end for piece in pieces],
    }


def _key(row: Any, dimension: Dimension) -> Group:
    if dimension is Dimension.MODEL:
        return row.value, row.detail or None
    return (row.value or None,)


def _bits(users: Any) -> int:
    """Return a bit string as an integer whose bit i is the subject with remainder i."""
    return int(users.to_int("little")) if users is not None else 0
