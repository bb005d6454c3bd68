"""Recording of usage events: validated, deduplicated, written by COPY."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database, is_passing
from faregate.core.db.partitions import Month, Partitions, months_between
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError
from faregate.core.runtime.batcher import Batcher, bisect_failures
from faregate.core.runtime.gc_tuning import gc_paused
from faregate.usage.events.claims import claim_key
from faregate.usage.events.column_rows import prepare_all
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.groups import ParsedEvents
from faregate.usage.events.interfaces import IEventPrices
from faregate.usage.events.keys import event_key
from faregate.usage.events.parsing import parse_events
from faregate.usage.events.reports import IngestReport, RecordedItems, Rejected
from faregate.usage.events.repository import EventRepository
from faregate.usage.events.rows import Prepared, RowMaker, TimeBounds
from faregate.usage.pricing.event_costs import EventCosts
from faregate.wire.exact_json import mended
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["BATCH_SIZE", "REJECTIONS_LISTED", "EventLike", "UsageRecorder"]

BATCH_SIZE = 10_000
REJECTIONS_LISTED = 100
_LANES = 2
_GATHERED_UP_TO = 50
"""Calls with more events than this use a transaction of their own."""

EventLike = UsageEvent | Mapping[str, Any] | InvalidError
"""An event, its fields, or the error of an item that could not be read, which is reported with the others."""


class UsageRecorder:
    """Records usage events. Concurrent calls with few events share transactions.

    Args:
        prices: the costs of events that name a model and no cost.
        late_days: how far in the past an event's time may be; claims are kept longer, so that nothing counts twice.
        future_seconds: how far in the future it may be.
    """

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        repository: EventRepository,
        partitions: Partitions,
        clock: IClock,
        prices: IEventPrices,
        *,
        late_days: float = 35,
        future_seconds: float = 300,
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._repository = repository
        self._partitions = partitions
        self._clock = clock
        self._prices = prices
        self._late_days = late_days
        self._future_seconds = future_seconds
        self._calls: Batcher[Sequence[EventLike], IngestReport] = Batcher(self._record_calls)

    @property
    def bounds(self) -> TimeBounds:
        """The times that are accepted now."""
        return TimeBounds.around(self._clock.now(), late_days=self._late_days, future_seconds=self._future_seconds)

    async def record(self, items: Sequence[EventLike], *, session: AsyncSession | None = None) -> IngestReport:
        """Record events. An invalid event does not affect the others, and a repeated `(source, id)` is never counted twice.

        Without `session`, every 10,000 items are one transaction, two at a time; concurrent calls of up to 50 items share
        one. With the caller's `session` (READ COMMITTED) the events are committed and rolled back with it.

        Raises:
            EngineUnavailableError: the database is unavailable; repeat the call. Events with an id are safe to repeat.
        """
        if session is not None:
            return _whole(await self._record(session, items, *await self._parsed(items)), items)
        if len(items) <= _GATHERED_UP_TO and not self._database.is_joined:
            return await self._calls.submit(items, lane_key=object())
        if len(items) <= BATCH_SIZE:
            return await self._record_alone(items)
        return await self.record_stream(_chunks(items), listed=len(items))

    async def record_stream(
        self, chunks: AsyncIterator[Sequence[EventLike]], *, listed: int = REJECTIONS_LISTED
    ) -> IngestReport:
        """Record chunks as they arrive, two at a time; each chunk is one transaction.

        The report lists the first `listed` rejected items and counts the others, because a stream can be of any length.
        """
        reports: list[tuple[int, IngestReport]] = []
        taken, lock = 0, asyncio.Lock()

        async def lane() -> None:
            nonlocal taken
            while True:
                async with lock:
                    chunk = await anext(chunks, None)
                    offset = taken
                    taken += len(chunk or ())
                if chunk is None:
                    return
                reports.append((offset, (await self._record_alone(chunk)).shortened(listed)))

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_LANES):
                    tasks.create_task(lane())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return IngestReport.sum(reports).shortened(listed)

    async def _record_calls(self, calls: Sequence[Sequence[EventLike]]) -> Sequence[IngestReport | Exception]:
        return await bisect_failures(calls, self._record_together, is_passing=is_passing)

    async def _record_together(self, calls: Sequence[Sequence[EventLike]]) -> Sequence[IngestReport | Exception]:
        items = [item for call in calls for item in call]
        ends = list(accumulate(map(len, calls), initial=0))
        recorded = await self._record_items(items)
        return [recorded.report(first, end) for first, end in pairwise(ends)]

    async def _record_alone(self, items: Sequence[EventLike]) -> IngestReport:
        return _whole(await self._record_items(items), items)

    async def _record_items(self, items: Sequence[EventLike]) -> RecordedItems:
        parsed, costs = await self._parsed(items)
        return await self._database.run(lambda session: self._record(session, items, parsed, costs))

    async def _parsed(self, items: Sequence[EventLike]) -> tuple[ParsedEvents, EventCosts]:
        """Validate the events; create missing partitions and load prices before a transaction begins."""
        with gc_paused():
            parsed, bounds = parse_events(items), self.bounds
        times = [time for time in parsed.values("time") if time is not None]
        first, last = min(times, default=bounds.now), max(times, default=bounds.now)
        first, last = min(max(first, bounds.earliest), bounds.now), max(min(last, bounds.latest), bounds.now)
        await self._partitions.ensure(months_between(Month.of(first), Month.of(last)))
        return parsed, await self._prices.costs(parsed.values("model"))

    async def _record(
        self, session: AsyncSession, items: Sequence[EventLike], parsed: ParsedEvents, costs: EventCosts
    ) -> RecordedItems:
        subjects, refused = await self._subject_ids(session, parsed)
        with gc_paused():
            accepted = parsed.without(refused) if refused else parsed
            made = prepare_all(RowMaker(subjects, self.bounds, costs), accepted)
            rejected = [
                Rejected(place, found.detail) for place, found in enumerate(made) if isinstance(found, InvalidError)
            ]
            read = [place for place, found in enumerate(made) if not isinstance(found, InvalidError)]
            prepared = [found for found in made if not isinstance(found, InvalidError)]
            fresh, claims = _first_of_each(prepared)
        if rejected:
            await self._remember(session, items, rejected)
        new = await self._write(session, prepared, fresh, claims) if prepared else ()
        return RecordedItems(read, new, rejected)

    async def _write(
        self, session: AsyncSession, prepared: Sequence[Prepared], fresh: Sequence[int], claims: Sequence[bytes]
    ) -> Sequence[int]:
        """Write those of the `fresh` events that were never counted; return their positions in `prepared`."""
        if claims and not await self._repository.claim_all(session, claims):
            new = await self._repository.claim_new(session, claims)
            fresh = [number for number in fresh if new.issuperset(map(claim_key, prepared[number][1]))]
        await self._repository.add(session, [prepared[number][0] for number in fresh])
        return fresh

    async def _subject_ids(
        self, session: AsyncSession, parsed: ParsedEvents
    ) -> tuple[Mapping[str, int], Mapping[str, InvalidError]]:
        """Return the subject ids of all users and organisations, and why some of them have none."""
        names = set(parsed.values("user_id"))
        organizations = set(parsed.values("organization_id")) - {None}
        names.update(f"{ORGANIZATION_PREFIX}{organization}" for organization in organizations)
        refused = await self._subjects.refused(session, names)
        return await self._subjects.numbers(session, names - refused.keys()), refused

    async def _remember(self, session: AsyncSession, items: Sequence[EventLike], rejected: Sequence[Rejected]) -> None:
        reasons: dict[UUID, str] = {}
        for item in rejected:
            source, external_id = _name(items[item.index])
            if external_id is not None:
                reasons[event_key(source, external_id)] = mended(item.error[:1000])
        if reasons:
            await self._repository.reject(session, reasons)


def _whole(recorded: RecordedItems, items: Sequence[EventLike]) -> IngestReport:
    return recorded.report(0, len(items))


def _first_of_each(prepared: Sequence[Prepared]) -> tuple[Sequence[int], list[bytes]]:
    """Return the positions of the events without repetitions among themselves, and their claims, sorted."""
    claims = [claim for _, wanted in prepared for claim in wanted]
    if len(set(map(claim_key, claims))) == len(claims):
        return range(len(prepared)), sorted(claims)
    seen: dict[bytes, bytes] = {}
    repeated: set[int] = set()
    for number, (_, wanted) in enumerate(prepared):
        for claim in wanted:
            if seen.setdefault(claim_key(claim), claim) is not claim:
                repeated.add(number)
    return [number for number in range(len(prepared)) if number not in repeated], sorted(seen.values())


def _name(item: EventLike) -> tuple[str | None, str | None]:
    if isinstance(item, InvalidError):
        return None, None
    given: Mapping[str, Any] = {"source": item.source, "id": item.id} if isinstance(item, UsageEvent) else item
    source, external_id = given.get("source"), given.get("id")
    source = mended(source) if isinstance(source, str) else None
    return source, (mended(external_id) if isinstance(external_id, str) else None)


async def _chunks(items: Sequence[EventLike]) -> AsyncIterator[Sequence[EventLike]]:
    for start in range(0, len(items), BATCH_SIZE):
        yield items[start : start + BATCH_SIZE]
