"""Reader of facts: rollups first, raw facts for the rest."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.conditions_sql import Rest
from faregate.analytics.facts.repository import Group, RawRepository
from faregate.analytics.models import CHUNK_BITS
from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.coverage import Coverage, cover, cover_periods
from faregate.analytics.question.dimensions import DIMENSION_OF, Dimension, Grain
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.cube_repository import CubeRepository
from faregate.analytics.rollups.percentiles import bin_of, bin_value, percentile
from faregate.analytics.rollups.repository import RollupRepository, Values
from faregate.analytics.values import Freshness, Measures
from faregate.core.db.replica import from_replica, lag_seconds
from faregate.core.db.subjects import Subjects
from faregate.wire.ids import organization_owner_id

__all__ = ["FactReader", "Group"]

K = TypeVar("K")
_Kept = tuple[Dimension, Values | None]
"""A dimension whose sums are kept, and the values asked for; None stands for all values."""

_ALL = (Grain.QUARTER, Grain.HOUR, Grain.DAY, Grain.MONTH)
_FROM_HOUR = _ALL[1:]
_FROM_DAY = _ALL[2:]
_DAYS = (Grain.DAY,)
_OF_USERS = (Grain.DAY, Grain.WEEK, Grain.MONTH)
_NO_VALUE = ("",)
_WORDS = {"success", "error"}


class FactReader:
    """Reads in the caller's transaction, which is REPEATABLE READ: all parts of an answer are from one snapshot.

    Sums are kept for each single dimension (any number of periods, percentiles, users), for all combinations by day, and
    for users by day; what they do not cover is read from the facts, which is exact and slower.
    """

    def __init__(self, raw: RawRepository, rollups: RollupRepository, cube: CubeRepository, subjects: Subjects) -> None:
        self._raw = raw
        self._rollups = rollups
        self._cube = cube
        self._subjects = subjects

    async def freshness(self, session: AsyncSession) -> Freshness:
        """Return when the sums were last updated, and how far behind the server that answers may be."""
        return Freshness((await self._rollups.state(session)).rolled_at, lag_seconds(session))

    async def overview(
        self, session: AsyncSession, question: Question, percents: Sequence[int], *, exact: bool = False
    ) -> tuple[Measures, int, list[Decimal | None]]:
        """Return sums, unique users and percentiles of the latencies (at most 1 % off, or `exact` on demand)."""
        if exact or not _in_cells(question) or cover(question.range, _DAYS) is None:
            await self._rollups.state(session)
            measures, counts, active = await self._raw.overview(session, question)
            return measures, active, _exactly(counts, percents)
        kept = await self._kept(session, question)
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
        coverage = cover(question.range, _ALL if alone else _DAYS)
        if coverage is None or (alone is None and not _in_cells(question)):
            return _standing(await self._raw.measures(session, question, by))
        rest = await self._rest(session, question, coverage)
        if alone is not None:
            kept = await self._rollups.totals(session, coverage, *alone)
        else:
            kept = await self._cube.cells(session, coverage, question.filters, by)
        if alone is not None and alone[0] is Dimension.ORGANIZATION and by:
            kept = {(key[0] and int(key[0]),): sums for key, sums in kept.items()}
        return _standing(kept if rest.empty else _united(kept, await self._raw.measures(session, question, by, rest)))

    async def points(
        self, session: AsyncSession, question: Question, unit: Unit
    ) -> Mapping[datetime, tuple[Measures, int]]:
        """Return sums and unique users by period in the question's time zone; empty periods are left out."""
        kept = await self._kept(session, question)
        if self._series_coverage(question, unit, kept) is None:
            return await self._raw.points(session, question, unit)
        found = await self._series(session, question, unit, kept)
        unique = await self._unique_users(session, question, unit, kept)
        return {
            period: (found.get(period, Measures()), unique.get(period, 0)) for period in {*found, *unique} if period
        }

    async def series(self, session: AsyncSession, question: Question, unit: Unit) -> Mapping[datetime, Measures]:
        """Return the sums by period in the question's time zone; empty periods are left out."""
        return await self._series(session, question, unit, await self._kept(session, question))

    async def _series(
        self, session: AsyncSession, question: Question, unit: Unit, alone: _Kept | None
    ) -> Mapping[datetime, Measures]:
        coverage = self._series_coverage(question, unit, alone)
        if coverage is None:
            return await self._raw.series(session, question, unit)
        rest, periods = await self._rest(session, question, coverage), periods_of(question.range, unit)
        if alone is None:
            kept = await self._cube.series(session, coverage, question.filters, periods)
        else:
            kept = await self._rollups.series(session, coverage, alone[0], alone[1] or _NO_VALUE, periods)
        return kept if rest.empty else _united(kept, await self._raw.series(session, question, unit, rest))

    async def series_by(
        self, session: AsyncSession, question: Question, by: Sequence[str], unit: Unit
    ) -> Mapping[Group, Mapping[datetime, Measures]]:
        """Return the sums by the values of the dimensions `by`, each by period; empty periods are left out."""
        alone = await self._kept(session, question, by)
        coverage = self._series_coverage(question, unit, alone)
        if coverage is None:
            return await self._raw.series_by(session, question, by, unit)
        rest, periods = await self._rest(session, question, coverage), periods_of(question.range, unit)
        if alone is None:
            kept = await self._cube.series_by(session, coverage, question.filters, by, periods)
        else:
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
        if coverage is None or set(question.filters.given) - {"service"}:
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
        total = alone is not None and alone[0] is Dimension.TOTAL
        coverage = cover(question.range, _FROM_HOUR if total else _FROM_DAY if alone else _DAYS)
        if coverage is None or (alone is None and not _in_cells(question)):
            return None
        rest = await self._rest(session, question, coverage)
        if alone is None:
            bins = await self._cube.sketch(session, coverage, question.filters)
        else:
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
        coverage = self._series_coverage(question, unit, alone)
        if coverage is None:
            return _counted(await self._raw.active(session, question, unit))
        rest = await self._rest(session, question, coverage)
        late = {} if rest.empty else await self._raw.active(session, question, unit, rest)
        if any(facts <= 0 for users in late.values() for facts in users.values()):
            return _counted(await self._raw.active(session, question, unit))  # a correction that is not rolled up yet
        if alone is None:
            periods = periods_of(question.range, unit) if unit is not None else ()
            bits = await self._cube.active(session, coverage, question.filters, periods)
            return {period: _bits_with(bits.get(period, {}), late.get(period, ())) for period in {*bits, *late}}
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

    def _series_coverage(self, question: Question, unit: Unit | None, alone: _Kept | None) -> Coverage | None:
        """Return buckets that cover the range, each within one period; None if only the facts can answer."""
        if alone is None and not _in_cells(question):
            return None
        grains = _ALL if alone is not None else _DAYS
        return cover(question.range, grains) if unit is None else cover_periods(question.range, unit, grains)

    async def _kept(self, session: AsyncSession, question: Question, by: Sequence[str] = ()) -> _Kept | None:
        """Return the one dimension that a question is about; None if it is about a combination, or its sums are not kept."""
        await self._rollups.state(session)  # this also sets the planner options of the session
        given = question.filters.given
        if not given and len(by) <= 1:
            return (DIMENSION_OF[by[0]], None) if by else (Dimension.TOTAL, _NO_VALUE)
        if not given and tuple(by) == ("model", "provider"):
            return Dimension.MODEL, None
        if len(given) != 1 or by or not _in_cells(question):
            return None
        ((name, value),) = given.items()
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


def _in_cells(question: Question) -> bool:
    """Tell whether sums are kept for the filters."""
    filters = question.filters
    return filters.user_id is None and (filters.status is None or filters.status in _WORDS)


def _united(kept: Mapping[K, Measures], rest: Mapping[K, Measures]) -> dict[K, Measures]:
    return {key: kept.get(key, Measures()) + rest.get(key, Measures()) for key in {*kept, *rest}}


def _standing(found: Mapping[Group, Measures]) -> dict[Group, Measures]:
    return {key: measures for key, measures in found.items() if not measures.empty}


def _counted(found: Mapping[datetime | None, Mapping[int, int]]) -> dict[datetime | None, int]:
    return {period: sum(1 for facts in users.values() if facts > 0) for period, users in found.items()}


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
