"""Recording of usage events: validated, deduplicated, written by COPY."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.isolation import ITransact, isolate_failures
from faregate.core.db.partitions import Month, Partitions, months_between
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError
from faregate.core.runtime.batcher import Batcher
from faregate.core.runtime.gc_tuning import gc_paused
from faregate.usage.events.column_rows import prepare_in_steps
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.groups import ParsedEvents
from faregate.usage.events.interfaces import IEventPrices
from faregate.usage.events.keys import event_key
from faregate.usage.events.parsing import parse_events
from faregate.usage.events.prepared import PreparedEvents
from faregate.usage.events.reports import IngestReport, RecordedItems, Rejected
from faregate.usage.events.repository import EventRepository
from faregate.usage.events.rows import RowMaker, TimeBounds
from faregate.usage.pricing.event_costs import EventCosts
from faregate.wire.exact_json import mended
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["BATCH_SIZE", "REJECTIONS_LISTED", "EventLike", "UsageRecorder"]

BATCH_SIZE = 5_000
REJECTIONS_LISTED = 100
_LANES = 3
"""Transactions at a time: while one is prepared, the server writes the others."""
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

        Without `session`, every 5,000 items are one transaction, three at a time; concurrent calls of up to 50 items share
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
        return await self.record_stream(_one(items), listed=len(items))

    async def record_stream(
        self, chunks: AsyncIterator[Sequence[EventLike]], *, listed: int = REJECTIONS_LISTED
    ) -> IngestReport:
        """Record chunks as they arrive, three at a time; each chunk of up to 5,000 items is one transaction.

        The report lists the first `listed` rejected items and counts the others, because a stream can be of any length.
        """
        reports: list[tuple[int, IngestReport]] = []
        taken, lock, parts = 0, asyncio.Lock(), _parts(chunks)

        async def lane() -> None:
            nonlocal taken
            while True:
                async with lock:
                    chunk = await anext(parts, None)
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
        return await isolate_failures(self._database, calls, self._record_together)

    async def _record_together(
        self, calls: Sequence[Sequence[EventLike]], transact: ITransact
    ) -> Sequence[IngestReport | Exception]:
        items = [item for call in calls for item in call]
        ends = list(accumulate(map(len, calls), initial=0))
        recorded = await self._record_items(items, transact)
        return [recorded.report(first, end) for first, end in pairwise(ends)]

    async def _record_alone(self, items: Sequence[EventLike]) -> IngestReport:
        return _whole(await self._record_items(items, self._database.run), items)

    async def _record_items(self, items: Sequence[EventLike], transact: ITransact) -> RecordedItems:
        parsed, costs = await self._parsed(items)
        return await transact(lambda session: self._record(session, items, parsed, costs))

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
        accepted = parsed.without(refused) if refused else parsed
        made = await _prepared(RowMaker(subjects, self.bounds, costs), accepted)
        rejected = [Rejected(place, error.detail) for place, error in sorted(made.errors.items())]
        first, claims = made.first_claims()
        if rejected:
            await self._remember(session, items, rejected)
        new = await self._write(session, made, first, claims) if made.rows else ()
        return RecordedItems(sorted(made.rows), new, rejected)

    async def _write(
        self, session: AsyncSession, made: PreparedEvents, first: Sequence[int], claims: Sequence[bytes]
    ) -> Sequence[int]:
        """Write those of the events at the places `first` that were never counted; return their places."""
        if claims and not await self._repository.claim_all(session, claims):
            counted = made.unclaimed(await self._repository.claim_new(session, claims))
            first = [place for place in first if place not in counted]
        await self._repository.add(session, map(made.rows.__getitem__, first))
        return first

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


async def _prepared(maker: RowMaker, parsed: ParsedEvents) -> PreparedEvents:
    """Prepare events in steps, between which the loop goes on: other calls are answered, and COPY of others gets its data."""
    made = PreparedEvents(errors=dict(parsed.errors))
    steps = prepare_in_steps(maker, parsed, made)
    done = object()
    while True:
        with gc_paused():
            if next(steps, done) is done:
                return made
        await asyncio.sleep(0)


def _whole(recorded: RecordedItems, items: Sequence[EventLike]) -> IngestReport:
    return recorded.report(0, len(items))


def _name(item: EventLike) -> tuple[str | None, str | None]:
    if isinstance(item, InvalidError):
        return None, None
    given: Mapping[str, Any] = {"source": item.source, "id": item.id} if isinstance(item, UsageEvent) else item
    source, external_id = given.get("source"), given.get("id")
    source = mended(source) if isinstance(source, str) else None
    return source, (mended(external_id) if isinstance(external_id, str) else None)


async def _one(items: Sequence[EventLike]) -> AsyncIterator[Sequence[EventLike]]:
    yield items


async def _parts(chunks: AsyncIterator[Sequence[EventLike]]) -> AsyncIterator[Sequence[EventLike]]:
    """Return the items in transactions' sizes."""
    async for chunk in chunks:
        for start in range(0, len(chunk), BATCH_SIZE):
            yield chunk[start : start + BATCH_SIZE]
