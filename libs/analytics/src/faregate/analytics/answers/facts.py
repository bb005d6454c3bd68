"""Reader of facts: rollups first, raw facts for the rest."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.conditions_sql import Rest
from faregate.analytics.facts.repository import Group, RawRepository
from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.coverage import Coverage, cover, cover_periods
from faregate.analytics.question.dimensions import (
    DIMENSION_OF,
    Dimension,
    Grain,
    active_grains,
    sketch_grains,
    sum_grains,
)
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.percentiles import bin_of, bin_value, percentile
from faregate.analytics.rollups.repository import RollupRepository, Values
from faregate.analytics.rollups.user_chunks import CHUNK_BITS
from faregate.analytics.values import Freshness, Measures
from faregate.core.db.replica import from_replica, lag_seconds
from faregate.core.db.subjects import Subjects
from faregate.wire.ids import organization_owner_id

__all__ = ["FactReader", "Group"]

K = TypeVar("K")
_Kept = tuple[Dimension, Values | None]
"""A dimension whose sums are kept, and the values asked for; None stands for all values."""

_OF_USERS = (Grain.DAY, Grain.WEEK, Grain.MONTH)
_NO_VALUE = ("",)
_WORDS = {"success", "error"}


class FactReader:
    """Reads in the caller's transaction, which is REPEATABLE READ: all parts of an answer are from one snapshot.

    Sums are kept for each dimension alone and for each user; they answer questions without a filter and with one. What they
    do not cover is read from the facts: all of a question with several filters, or the rest of one that they cover.
    """

    def __init__(self, raw: RawRepository, rollups: RollupRepository, subjects: Subjects) -> None:
        self._raw = raw
        self._rollups = rollups
        self._subjects = subjects

    async def freshness(self, session: AsyncSession) -> Freshness:
        """Return when the sums were last updated, and how far behind the server that answers may be."""
        return Freshness((await self._rollups.state(session)).rolled_at, lag_seconds(session))

    async def overview(
        self, session: AsyncSession, question: Question, percents: Sequence[int], *, exact: bool = False
    ) -> tuple[Measures, int, list[Decimal | None]]:
        """Return sums, unique users and percentiles of the latencies (at most 1 % off, or `exact` on demand)."""
        kept = await self._kept(session, question)
        if exact or kept is None or cover(question.range, sketch_grains(kept[0])) is None:
            measures, counts, active = await self._raw.overview(session, question)
            return measures, active, _exactly(counts, percents)
        found = await self._measures(session, question, (), kept)
        unique = await self._unique_users(session, question, None, kept)
        near = await self._percentiles(session, question, percents, kept)
        return found.get((), Measures()), unique.get(None, 0), near

    async def version(self, session: AsyncSession) -> str | None:
        """Return the version of all facts: facts are only added, so that their number is their version.

        A replica has versions of its own: transactions that commit at once may become visible there in another order.
        """
        version = await self._rollups.version(session)
        return f"{version}/replica" if version is not None and from_replica(session) else version

    async def measures(
        self, session: AsyncSession, question: Question, by: Sequence[str] = ()
    ) -> Mapping[Group, Measures]:
        """Return the sums by the values of the dimensions `by`; groups whose facts were all corrected away are left out."""
        return await self._measures(session, question, by, await self._kept(session, question, by))

    async def _measures(
        self, session: AsyncSession, question: Question, by: Sequence[str], alone: _Kept | None
    ) -> Mapping[Group, Measures]:
        coverage = cover(question.range, sum_grains(alone[0])) if alone is not None else None
        if alone is None or coverage is None:
            return _standing(await self._raw.measures(session, question, by))
        rest = await self._rest(session, question, coverage)
        kept = await self._rollups.totals(session, coverage, *alone)
        if alone[0] is Dimension.ORGANIZATION and by:
            kept = {(key[0] and int(key[0]),): sums for key, sums in kept.items()}
        return _standing(kept if rest.empty else _united(kept, await self._raw.measures(session, question, by, rest)))

    async def points(
        self, session: AsyncSession, question: Question, unit: Unit
    ) -> Mapping[datetime, tuple[Measures, int]]:
        """Return sums and unique users by period in the question's time zone; empty periods are left out."""
        kept = await self._kept(session, question)
        if _series_coverage(question, unit, kept) is None:
            return await self._raw.points(session, question, unit)
        found = await self._series(session, question, unit, kept)
        unique = await self._unique_users(session, question, unit, kept)
        nothing = Measures()
        return {period: (found.get(period, nothing), unique.get(period, 0)) for period in {*found, *unique} if period}

    async def series(self, session: AsyncSession, question: Question, unit: Unit) -> Mapping[datetime, Measures]:
        """Return the sums by period in the question's time zone; empty periods are left out."""
        return await self._series(session, question, unit, await self._kept(session, question))

    async def _series(
        self, session: AsyncSession, question: Question, unit: Unit, alone: _Kept | None
    ) -> Mapping[datetime, Measures]:
        coverage = _series_coverage(question, unit, alone)
        if alone is None or coverage is None:
            return await self._raw.series(session, question, unit)
        rest, periods = await self._rest(session, question, coverage), periods_of(question.range, unit)
        kept = await self._rollups.series(session, coverage, alone[0], alone[1] or _NO_VALUE, periods)
        return kept if rest.empty else _united(kept, await self._raw.series(session, question, unit, rest))

    async def series_by(
        self, session: AsyncSession, question: Question, by: Sequence[str], unit: Unit
    ) -> Mapping[Group, Mapping[datetime, Measures]]:
        """Return the sums by the values of the dimensions `by`, each by period; empty periods are left out."""
        alone = await self._kept(session, question, by)
        coverage = _series_coverage(question, unit, alone)
        if alone is None or coverage is None:
            return await self._raw.series_by(session, question, by, unit)
        rest, periods = await self._rest(session, question, coverage), periods_of(question.range, unit)
        kept = await self._rollups.series_by(session, coverage, alone[0], periods)
        if rest.empty:
            return kept
        late = await self._raw.series_by(session, question, by, unit, rest)
        return {key: _united(kept.get(key, {}), late.get(key, {})) for key in {*kept, *late}}

    async def users(
        self, session: AsyncSession, question: Question, order: str, limit: int
    ) -> list[tuple[int, Measures, datetime]]:
        """Return the users with the most of `order`, a sum or an expression over sums: their sums and last activity."""
        found = await self._ranked(session, question, order, limit)
        standing = await self._raw.last_activity(session, question, [subject_id for subject_id, _, _ in found])
        return [(subject_id, sums, standing.get(subject_id, last)) for subject_id, sums, last in found]

    async def _ranked(
        self, session: AsyncSession, question: Question, order: str, limit: int
    ) -> list[tuple[int, Measures, datetime]]:
        """Return the users with the most of `order`; their last activity may be a fact that was voided."""
        coverage = cover(question.range, _OF_USERS)
        if coverage is None or question.filters.given:
            await self._rollups.state(session)
            return await self._raw.users(session, question, order, limit)
        rest = await self._rest(session, question, coverage)
        return await self._rollups.users(session, question, coverage, rest, order, limit)

    async def percentiles(
        self, session: AsyncSession, question: Question, percents: Sequence[int]
    ) -> list[Decimal | None]:
        """Return percentiles of the latencies in milliseconds, at most 1 % off."""
        return await self._percentiles(session, question, percents, await self._kept(session, question))

    async def latency_bins(self, session: AsyncSession, question: Question) -> Mapping[int, int]:
        """Return the number of timed requests in each bin of latencies (`bin_of`)."""
        bins = await self._sketch(session, question, await self._kept(session, question))
        return _binned(await self._raw.latencies(session, question)) if bins is None else bins

    async def _percentiles(
        self, session: AsyncSession, question: Question, percents: Sequence[int], alone: _Kept | None
    ) -> list[Decimal | None]:
        bins = await self._sketch(session, question, alone)
        if bins is None:
            return _exactly(await self._raw.latencies(session, question), percents)
        nearly = [percentile(bins, percent) for percent in percents]
        return [bin_value(number) if number is not None else None for number in nearly]

    async def _sketch(self, session: AsyncSession, question: Question, alone: _Kept | None) -> dict[int, int] | None:
        """Return the bins of the latencies; None if only the facts can answer."""
        coverage = cover(question.range, sketch_grains(alone[0])) if alone is not None else None
        if alone is None or coverage is None:
            return None
        rest = await self._rest(session, question, coverage)
        bins = await self._rollups.sketch(session, coverage, alone[0], alone[1] or _NO_VALUE)
        late = {} if rest.empty else _binned(await self._raw.latencies(session, question, rest))
        return {number: bins.get(number, 0) + late.get(number, 0) for number in {*bins, *late}}

    async def unique_users(
        self, session: AsyncSession, question: Question, unit: Unit | None = None
    ) -> Mapping[datetime | None, int]:
        """Return how many users were active, exactly: by period, or under None in the whole range."""
        return await self._unique_users(session, question, unit, await self._kept(session, question))

    async def _unique_users(
        self, session: AsyncSession, question: Question, unit: Unit | None, alone: _Kept | None
    ) -> Mapping[datetime | None, int]:
        coverage = _active_coverage(question, unit, alone)
        if alone is None or coverage is None:
            return await self._raw.active_counts(session, question, unit)
        rest = await self._rest(session, question, coverage)
        late = {} if rest.empty else await self._raw.active(session, question, unit, rest)
        if any(facts <= 0 for users in late.values() for facts in users.values()):
            return await self._raw.active_counts(session, question, unit)  # a correction that is not rolled up yet
        dimension, values = alone[0], alone[1] or _NO_VALUE
        if unit is None:
            return {
                None: _bits_with(await self._rollups.active(session, coverage, dimension, values), late.get(None, ()))
            }
        periods = periods_of(question.range, unit)
        found = await self._rollups.active_counts(session, coverage, dimension, values, periods)
        counts: dict[datetime | None, int] = dict(found.items())
        changed = [period for period in late if period is not None]
        if changed:
            kept = await self._rollups.active_in(session, coverage, dimension, values, periods, changed)
            counts |= {period: _bits_with(kept.get(period, {}), late[period]) for period in changed}
        return counts

    async def _kept(self, session: AsyncSession, question: Question, by: Sequence[str] = ()) -> _Kept | None:
        """Return the one dimension that a question is about; None if it is about a combination, or its sums are not kept."""
        await self._rollups.state(session)  # this also sets the planner options of the session
        given = question.filters.given
        if not given and len(by) <= 1:
            return (DIMENSION_OF[by[0]], None) if by else (Dimension.TOTAL, _NO_VALUE)
        if not given and tuple(by) == ("model", "provider"):
            return Dimension.MODEL, None
        if len(given) != 1 or by:
            return None
        ((name, value),) = given.items()
        if name == "user_id" or (name == "status" and value not in _WORDS):
            return None
        if name == "organization_id":
            owner = organization_owner_id(value)
            found = (await self._subjects.find(session, [owner])).get(owner)
            value = str(found.subject_id) if found else "0"
        values = tuple(question.filters.spelled.get(name, (value.upper() if name == "country" else value,)))
        return DIMENSION_OF[name], values

    async def _rest(self, session: AsyncSession, question: Question, coverage: Coverage) -> Rest:
        state, span = await self._rollups.state(session), question.range
        start = coverage.start if span.start < coverage.start else None
        end = coverage.end if coverage.end < span.end else None
        return Rest(start, end, state.tail, state.from_tx, state.open_txs)


def _series_coverage(question: Question, unit: Unit, alone: _Kept | None) -> Coverage | None:
    """Return buckets of sums that cover the range, each within one period; None if only the facts can answer."""
    return _coverage(question, unit, sum_grains(alone[0])) if alone is not None else None


def _active_coverage(question: Question, unit: Unit | None, alone: _Kept | None) -> Coverage | None:
    """Return buckets of active users; those of one value, which are months, must be the whole range: else the facts have to be
    read anyway, and all of them are read faster than their two ends.
    """
    if alone is None:
        return None
    found = _coverage(question, unit, active_grains(alone[0]))
    whole = found is not None and found.start <= question.range.start and question.range.end <= found.end
    return found if whole or alone[0] is Dimension.TOTAL else None


def _coverage(question: Question, unit: Unit | None, grains: tuple[Grain, ...]) -> Coverage | None:
    return cover(question.range, grains) if unit is None else cover_periods(question.range, unit, grains)


def _united(kept: Mapping[K, Measures], rest: Mapping[K, Measures]) -> dict[K, Measures]:
    united = dict(kept)
    for key, sums in rest.items():
        united[key] = united[key] + sums if key in united else sums
    return united


def _standing(found: Mapping[Group, Measures]) -> dict[Group, Measures]:
    return {key: measures for key, measures in found.items() if not measures.empty}


def _binned(counts: Mapping[int, int]) -> dict[int, int]:
    """Return the number of values in each bin."""
    bins: dict[int, int] = {}
    for value, count in counts.items():
        bins[bin_of(value)] = bins.get(bin_of(value), 0) + count
    return bins


def _exactly(counts: Mapping[int, int], percents: Sequence[int]) -> list[Decimal | None]:
    found = [percentile(counts, percent) for percent in percents]
    return [Decimal(value) if value is not None else None for value in found]


def _bits_with(kept: Mapping[int, int], also: Iterable[int]) -> int:
    """Return how many subjects are in the chunks `kept` or among `also`."""
    chunks = dict(kept)
    for subject_id in also:
        chunk, bit = divmod(subject_id, CHUNK_BITS)
        chunks[chunk] = chunks.get(chunk, 0) | 1 << bit
    return sum(bits.bit_count() for bits in chunks.values())
