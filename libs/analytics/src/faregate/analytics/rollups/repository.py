"""Repository of sums by single dimension and by user."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.archived_months import ARCHIVES_VERSION, ArchivedMonths
from faregate.analytics.facts.conditions_sql import MEASURES, Rest, conditions, measures_sql, parameters, period_sql
from faregate.analytics.facts.repository import Group, measures_of
from faregate.analytics.question.coverage import Coverage
from faregate.analytics.question.dimensions import Dimension, Grain
from faregate.analytics.question.filters import Question
from faregate.analytics.values import Measures
from faregate.core.db.database import Database
from faregate.core.db.transaction_notes import keep_for_transaction, kept_for_transaction
from faregate.core.privacy.personal_data import ERASURES_VERSION

__all__ = ["RollupRepository", "State", "Values", "bits_of"]


def _buckets(table: str, only: str, bucket: str = "timestamptz") -> str:
    """Return rows `r` of the buckets of a coverage, piece by piece, so that the planner cannot scan all buckets instead."""
    return f"""
    unnest(cast(:grains as smallint[]), cast(:starts as timestamptz[]), cast(:ends as timestamptz[]))
      as p (grain, "from", "to")
    cross join lateral (
      select * from faregate.{table} b where {only} and b.grain = p.grain
        and b.bucket >= cast(p."from" as {bucket}) and b.bucket < cast(p."to" as {bucket}) offset 0) r
    """  # noqa: S608


Values = tuple[str, ...]
"""The spellings of one value of a dimension."""


def _of(values: Values) -> str:
    """Return the condition on buckets `b` of one value."""
    one = "b.value = :value" if len(values) == 1 else "b.value = any(cast(:value as text[]))"
    return f"b.dimension = :dimension and {one}"


def _given(dimension: Dimension, values: Values) -> dict[str, Any]:
    return {"dimension": int(dimension), "value": values[0] if len(values) == 1 else list(values)}


def _active(period: str, only: str, values: Values) -> str:
    return f"""
    select {period} as period, r.chunk, bit_or(r.users) as users from {_buckets("usage_active", _of(values))}
    where {only} group by 1, 2
    """  # noqa: S608


_PERIOD = period_sql("r.bucket")

_SUMS = ", ".join(f"sum(r.{name}){'' if name in {'cost', 'quantity'} else '::bigint'} as {name}" for name in MEASURES)

_STATE = """
select from_tx, open_txs, rolled_at, facts, set_config('plan_cache_mode', 'force_custom_plan', true)
from faregate.rollup_state where state_id = 1
"""
"""Disables generic plans, because the parameters differ too much: the range and the tail may be almost empty or everything."""

_TAIL = """
select exists (
  select 1 from faregate.usage_event e where e.tx >= :from_tx or e.tx = any(cast(:open_txs as bigint[]))) as tail
"""
_METERS = f"""
select r.value as name from faregate.usage_rollup r
where r.dimension = {int(Dimension.METER)} and r.grain = {int(Grain.MONTH)} and r.value <> ''
union
select e.meter from faregate.usage_event e, faregate.rollup_state s
where s.state_id = 1 and (e.tx >= s.from_tx or e.tx = any(s.open_txs)) and e.meter is not null
"""  # noqa: S608
_MODELS = f"""
select distinct r.dimension, r.value as name from faregate.usage_rollup r
where r.dimension in ({int(Dimension.MODEL)}, {int(Dimension.PROVIDER)}) and r.grain = {int(Grain.MONTH)} and r.value <> ''
union
select v.dimension, v.name from faregate.usage_event e, faregate.rollup_state s,
  lateral (values ({int(Dimension.MODEL)}, e.model), ({int(Dimension.PROVIDER)}, e.provider)) as v (dimension, name)
where s.state_id = 1 and (e.tx >= s.from_tx or e.tx = any(s.open_txs)) and v.name is not null
"""  # noqa: S608
_VIEW = "faregate_sums"

_COUNTED = 10_000

_VERSION = f"""
select concat_ws('/', s.xmin, v.version, a.version, waiting.facts) as version, waiting.facts
from faregate.rollup_state s
left join faregate.version v on v.name = '{ERASURES_VERSION}'
left join faregate.version a on a.name = '{ARCHIVES_VERSION}'
cross join lateral (select count(*) as facts from (
  select from faregate.usage_event e where e.tx >= s.from_tx or e.tx = any(s.open_txs) limit {_COUNTED}
) e) waiting
where s.state_id = 1
"""  # noqa: S608

_USER_SUMS = tuple(name for name in MEASURES if name != "quantity")


@dataclass(frozen=True, slots=True)
class State:
    """How far the sums reach, and whether there is a `tail` of facts that they do not contain."""

    from_tx: int
    open_txs: tuple[int, ...]
    rolled_at: datetime | None
    tail: bool


class RollupRepository:
    """Reads the sums of a question for whose filters and dimensions sums are kept."""

    def __init__(self, database: Database, archived: ArchivedMonths) -> None:
        self._database = database
        self._archived = archived

    async def state(self, session: AsyncSession) -> State:
        """Return how far the sums reach; it is read once in each transaction, which sees one snapshot."""
        known: State | None = kept_for_transaction(session, _VIEW)
        if known is not None:
            return known
        row = (await self._database.rows(session, _STATE))[0]
        open_txs = tuple(row.open_txs)
        (tail,) = await self._database.rows(session, _TAIL, from_tx=row.from_tx, open_txs=list(open_txs))
        state = State(row.from_tx, open_txs, row.rolled_at, tail.tail)
        keep_for_transaction(session, _VIEW, state)
        return state

    async def version(self, session: AsyncSession) -> str | None:
        """Return the version of the sums and the number of facts that are not in them; None from 10,000 such facts on."""
        row = (await self._database.rows(session, _VERSION))[0]
        return row.version if row.facts < _COUNTED else None

    async def meters(self, session: AsyncSession) -> set[str]:
        """Return the names of all meters in the events so far."""
        return {row.name for row in await self._database.rows(session, _METERS)}

    async def models(self, session: AsyncSession) -> tuple[set[str], set[str]]:
        """Return the names of all models and of all providers in the events so far, in their original spelling."""
        rows = await self._database.rows(session, _MODELS)
        models = {row.name for row in rows if row.dimension == Dimension.MODEL}
        return models, {row.name for row in rows if row.dimension == Dimension.PROVIDER}

    async def totals(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, values: Values | None
    ) -> dict[Group, Measures]:
        """Return the sums of each value of `dimension`, or of one value of it; models come with their provider."""
        keys = "" if values is not None else "r.value, r.detail, " if dimension is Dimension.MODEL else "r.value, "
        only = _of(values) if values is not None else "b.dimension = :dimension"
        sql = f"""
        select {keys} {_SUMS} from {_buckets("usage_rollup", only)}
        {f"group by {keys.rstrip(', ')}" if keys else ""}
        """  # noqa: S608
        given = _given(dimension, values) if values is not None else {"dimension": int(dimension)}
        rows = await self._database.rows(session, sql, **_pieces(coverage), **given)
        if values is not None:
            return {(): measures_of(rows[0], 0)} if rows[0].facts is not None else {}
        return {_key(row, dimension): measures_of(row, keys.count(",")) for row in rows}

    async def series(
        self,
        session: AsyncSession,
        coverage: Coverage,
        dimension: Dimension,
        values: Values,
        periods: Sequence[datetime],
    ) -> dict[datetime, Measures]:
        """Return the sums of one value by period, given by the period starts."""
        sql = f"""
        select {_PERIOD} as period, {_SUMS} from {_buckets("usage_rollup", _of(values))} group by 1
        """  # noqa: S608
        rows = await self._database.rows(
            session, sql, **_given(dimension, values), periods=periods, **_pieces(coverage)
        )
        return {periods[row.period - 1]: measures_of(row, 1) for row in rows}

    async def series_by(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, periods: Sequence[datetime]
    ) -> dict[Group, dict[datetime, Measures]]:
        """Return the sums of each value of `dimension` by period; models come with their provider."""
        keys = "r.value, r.detail, " if dimension is Dimension.MODEL else "r.value, "
        sql = f"""
        select {keys} {_PERIOD} as period, {_SUMS} from {_buckets("usage_rollup", "b.dimension = :dimension")}
        group by {", ".join(map(str, range(1, keys.count(",") + 2)))}
        """  # noqa: S608
        rows = await self._database.rows(session, sql, **_pieces(coverage), dimension=int(dimension), periods=periods)
        found: dict[Group, dict[datetime, Measures]] = {}
        for row in rows:
            found.setdefault(_key(row, dimension), {})[periods[row.period - 1]] = measures_of(row, keys.count(",") + 1)
        return found

    async def sketch(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, values: Values
    ) -> dict[int, int]:
        """Return the number of timed requests in each bin."""
        sql = f"""
        select s.bin, sum(s.count)::bigint as number from {_buckets("usage_rollup", _of(values))}
        cross join lateral unnest(r.bins, r.counts) as s (bin, count) group by 1
        """  # noqa: S608
        rows = await self._database.rows(session, sql, **_given(dimension, values), **_pieces(coverage))
        return {row.bin: row.number for row in rows}

    async def active(
        self, session: AsyncSession, coverage: Coverage, dimension: Dimension, values: Values
    ) -> dict[int, int]:
        """Return the active subjects of the whole coverage: for each chunk the bits of its subjects."""
        sql = _active("0", "true", values)
        rows = await self._database.rows(session, sql, **_given(dimension, values), **_pieces(coverage))
        return {row.chunk: bits_of(row.users) for row in rows}

    async def active_in(
        self,
        session: AsyncSession,
        coverage: Coverage,
        dimension: Dimension,
        values: Values,
        periods: Sequence[datetime],
        wanted: Collection[datetime],
    ) -> dict[datetime, dict[int, int]]:
        """Return the active subjects of those `periods` that are `wanted`: for each chunk the bits of its subjects."""
        places = [place for place, period in enumerate(periods, 1) if period in wanted]
        sql = _active(_PERIOD, f"{_PERIOD} = any(cast(:places as int[]))", values)
        given = {**_given(dimension, values), "periods": periods, "places": places}
        found: dict[datetime, dict[int, int]] = {}
        for row in await self._database.rows(session, sql, **given, **_pieces(coverage)):
            found.setdefault(periods[int(row.period) - 1], {})[row.chunk] = bits_of(row.users)
        return found

    async def active_counts(
        self,
        session: AsyncSession,
        coverage: Coverage,
        dimension: Dimension,
        values: Values,
        periods: Sequence[datetime],
    ) -> dict[datetime, int]:
        """Return the number of active users in each period, given by the period starts."""
        given = {**_given(dimension, values), **_pieces(coverage)}
        if len(values) == 1 and coverage.buckets_from(periods):
            sql = f"""
            select r.bucket as start, sum(bit_count(r.users))::bigint as number
            from {_buckets("usage_active", _of(values))} group by 1
            """  # noqa: S608
            rows = await self._database.rows(session, sql, **given)
            starts = {period.timestamp(): period for period in periods}
            return {starts[row.start.timestamp()]: row.number for row in rows}
        active = _active(_PERIOD, "true", values)
        sql = f"select period, sum(bit_count(users))::bigint as number from ({active}) a group by 1"  # noqa: S608
        rows = await self._database.rows(session, sql, **given, periods=periods)
        return {periods[row.period - 1]: row.number for row in rows}

    async def users(
        self, session: AsyncSession, question: Question, coverage: Coverage, rest: Rest, order: str, limit: int
    ) -> list[tuple[int, Measures, datetime]]:
        """Return the users with the most of `order` (an expression over sums), including the facts of the rest."""
        names = ", ".join(_USER_SUMS)
        kept = _buckets("usage_user", "true", "date")
        of_ranked = _buckets("usage_user", "b.subject_id = any(array(table ranked))", "date")
        sql = f"""
        with of_rest as materialized (
          select e.subject_id, max(e.time) filter (where e.sign > 0) as last_at, {measures_sql(models=False)}
          from faregate.usage_event e where {conditions(question.filters, rest)} group by 1
        ), ranked as materialized (
          select subject_id from (
            select subject_id, facts, {order} as amount from {kept}
            union all select subject_id, facts, {order} from of_rest
          ) s group by 1 having sum(facts) <> 0 order by sum(amount) desc, subject_id limit :limit
        )
        select * from (select subject_id, max(last_at) as last_at,
          {", ".join(f"sum({name}) as {name}" for name in _USER_SUMS)}, 0 as quantity
        from (
          select subject_id, last_at, {names} from {of_ranked}
          union all select subject_id, last_at, {names} from of_rest join ranked using (subject_id)
        ) s group by subject_id) t order by {order} desc, subject_id
        """  # noqa: S608
        await self._archived.note(session, question, rest)
        rows = await self._database.rows(session, sql, limit=limit, **_pieces(coverage), **parameters(question, rest))
        return [(row.subject_id, measures_of(row, 2), row.last_at) for row in rows]


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


def bits_of(users: Any) -> int:
    """Return a bit string as an integer whose bit i stands for the subject with remainder i."""
    return int(users.to_int("little")) if users is not None else 0
