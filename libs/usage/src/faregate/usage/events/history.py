"""Status and corrections of events; corrections append and never overwrite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError, RetryTransactionError
from faregate.usage.errors import AlreadyCorrectedError, UnknownEventError
from faregate.usage.events.claims import claim_of
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.interfaces import IEventPrices
from faregate.usage.events.keys import event_key, settled_meaning
from faregate.usage.events.parsing import parse_event
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.events.repository import EventRepository
from faregate.usage.events.rows import RowMaker, TimeBounds
from faregate.usage.events.terms import check_source
from faregate.usage.pricing.event_costs import EventCosts
from faregate.wire import exact_json
from faregate.wire.credits import to_credits
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["Correction", "EventFate", "EventHistory"]


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of an event: `voided`, or `replaced` by its next version."""

    action: str
    reason: str | None
    actor: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class EventFate:
    """Status of an event.

    Attributes:
        status: `counted`, `duplicate` (its use already counts as the request of its settlement, or of an event reported
            before), `corrected`, `voided`, or `rejected`.
        counted_at: the time at which it counts; `counted_in`: the start of its quarter-hour, hour, day and month.
        event: the version that counts now, or None.
        reason: why it was rejected.
    """

    source: str
    id: str
    status: str
    received_at: datetime | None = None
    counted_at: datetime | None = None
    counted_in: Mapping[str, datetime] | None = None
    event: Mapping[str, Any] | None = None
    reason: str | None = None
    corrections: tuple[Correction, ...] = ()


class EventHistory:
    """Reads the status of single events, and corrects them."""

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        repository: EventRepository,
        partitions: Partitions,
        recorder: UsageRecorder,
        prices: IEventPrices,
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._repository = repository
        self._partitions = partitions
        self._recorder = recorder
        self._prices = prices

    async def fate(self, source: str | None, external_id: str) -> EventFate:
        """Return the status of the event that `source` calls `external_id`.

        Raises:
            UnknownEventError: no such event was received within the deduplication window.
        """
        key = event_key(source, external_id)
        async with self._database.transaction(read_only=True) as session:
            claim = await self._repository.claimed(session, key)
            rejection = await self._repository.rejection(session, key)
            if claim is None:
                if rejection is None:
                    raise UnknownEventError(source, external_id)
                return EventFate(
                    source or "", external_id, "rejected", received_at=rejection.rejected_at, reason=rejection.reason
                )
            versions = await self._repository.versions(session, claim.event_key)
            corrections = await self._repository.corrections(session, claim.event_key)
        return _fate(source or "", external_id, claim, versions, corrections)

    async def void(
        self, source: str | None, external_id: str, *, reason: str | None = None, actor: str | None = None
    ) -> EventFate:
        """Void an event, so that it no longer counts; voiding it again changes nothing.

        Raises:
            UnknownEventError, InvalidError (the event was recorded by Faregate: refund or adjust its use).
        """
        check_source(source)
        await self._correct(source, external_id, None, reason, actor)
        return await self.fate(source, external_id)

    async def replace(
        self,
        source: str | None,
        external_id: str,
        event: UsageEvent | Mapping[str, Any],
        *,
        reason: str | None = None,
        actor: str | None = None,
    ) -> EventFate:
        """Replace an event by `event`; repeating the same replacement changes nothing.

        The time may be any that is not in the future; without one the event keeps its time.

        Raises:
            UnknownEventError, AlreadyCorrectedError (it was voided).
            InvalidError: the new event is not consistent, it names a use whose request is another event, or the event was
                recorded by Faregate (refund or adjust its use).
        """
        check_source(source)
        fields = parse_event(event)
        parsed = event if isinstance(event, UsageEvent) else UsageEvent(**fields)
        costs = await self._prices.costs([fields.get("model")])
        await self._correct(source, external_id, _Wanted(parsed, costs), reason, actor)
        return await self.fate(source, external_id)

    async def _correct(
        self, source: str | None, external_id: str, wanted: "_Wanted | None", reason: str | None, actor: str | None
    ) -> None:
        if wanted is not None and wanted.event.time is not None:
            await self._partitions.ensure([Month.of(min(wanted.event.time, self._recorder.bounds.latest))])

        async def work(session: AsyncSession) -> None:
            claim = await self._repository.claimed(session, event_key(source, external_id))
            versions = await self._repository.versions(session, claim.event_key) if claim else ()
            if claim is None or not versions:
                raise UnknownEventError(source, external_id)
            await self._apply(session, claim.event_key, versions, wanted, reason, actor)

        await self._database.run(work)

    async def _apply(
        self,
        session: AsyncSession,
        key: UUID,
        versions: Sequence[Any],
        wanted: "_Wanted | None",
        reason: str | None,
        actor: str | None,
    ) -> None:
        last, meaning = versions[-1], _meaning(wanted.event if wanted is not None else None)
        earlier = await self._repository.corrections(session, key)
        if earlier and earlier[-1].meaning_hash == meaning:
            return
        if earlier and not earlier[-1].replaced:
            raise AlreadyCorrectedError(str(last.external_id or last.usage_key or key))
        replacement = await self._replacement(session, last, wanted, key) if wanted is not None else None
        where = replacement or last
        stored = await self._repository.correct(
            session,
            key=key,
            version=last.version,
            replaced=replacement is not None,
            meaning=meaning,
            subject_id=where.subject_id,
            time=where.time,
            reason=reason,
            actor=actor,
        )
        if not stored:
            raise RetryTransactionError("another call is correcting the event")
        await self._repository.take_back(
            session, key=key, version=last.version, subject_id=last.subject_id, time=last.time
        )
        if replacement is not None:
            await self._repository.add(session, [replacement.row])

    async def _replacement(self, session: AsyncSession, last: Any, wanted: "_Wanted", key: UUID) -> "_Replacement":
        event = wanted.event
        names = {event.user_id}
        if event.organization_id is not None:
            names.add(ORGANIZATION_PREFIX + event.organization_id)
        subjects = {name: s.subject_id for name, s in (await self._subjects.ensure(session, names)).items()}
        time = event.time or last.time
        bounds = TimeBounds(last.time, min(last.time, time), self._recorder.bounds.latest)
        fields = {**vars(event), "id": last.external_id, "source": last.source or None}
        maker = RowMaker(subjects, bounds, wanted.costs)
        row, claims = maker.prepare(fields, version=last.version + 1, key=key.bytes)
        await self._claim(session, key, claims)
        return _Replacement(row, subjects[event.user_id], time)

    async def _claim(self, session: AsyncSession, key: UUID, claims: Sequence[bytes]) -> None:
        """Claim the use whose request the replacement is, so that no other request of that use counts as well."""
        await self._repository.claim_new(session, sorted(set(claims)))
        for claim in map(claim_of, claims):
            held = await self._repository.claimed(session, claim.key)
            if held is not None and held.event_key != key:
                problem = "usage_key: another event is the request of this use; void this one, or omit usage_key"
                raise InvalidError(problem, param="usage_key")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The event that an earlier one becomes, and what prices it."""

    event: UsageEvent
    costs: EventCosts


@dataclass(frozen=True, slots=True)
class _Replacement:
    """The row of an event's next version, and the subject and time by which it is found."""

    row: bytes
    subject_id: int
    time: datetime


def _meaning(event: UsageEvent | None) -> UUID:
    """Return the hash of a correction; an equal hash means a repeated correction."""
    text = exact_json.dumps(event.model_dump()).decode() if event is not None else "void"
    return event_key("faregate:correction", text)


def _fate(source: str, external_id: str, claim: Any, versions: Sequence[Any], corrections: Sequence[Any]) -> EventFate:
    last = versions[-1] if versions else None
    voided = bool(corrections) and not corrections[-1].replaced
    own = last is not None and last.external_id == external_id and last.source == source
    settled = last is not None and voided and corrections[-1].meaning_hash == settled_meaning(last.usage_key)
    if settled or not (own or corrections):
        status = "duplicate"
    else:
        status = "voided" if voided else "corrected" if corrections else "counted"
    return EventFate(
        source,
        external_id,
        status,
        received_at=claim.received_at,
        counted_at=last.time if last is not None and not voided else None,
        counted_in=_buckets(last.time) if last is not None and not voided else None,
        event=_described(last) if last is not None and not voided else None,
        corrections=tuple(
            Correction("replaced" if c.replaced else "voided", c.reason, c.actor, c.corrected_at) for c in corrections
        ),
    )


def _buckets(time: datetime) -> dict[str, datetime]:
    quarter = time.replace(minute=time.minute // 15 * 15, second=0, microsecond=0)
    day = quarter.replace(hour=0, minute=0)
    return {"quarter": quarter, "hour": quarter.replace(minute=0), "day": day, "month": day.replace(day=1)}


_SHOWN = ("service", "feature_key", "usage_key", "model", "provider", "meter", "quantity", "latency_ms", "status")


def _described(row: Any) -> dict[str, Any]:
    return {
        "kind": ("request", "line", "meter")[row.kind],
        "user_id": row.user_id,
        "organization_id": row.organization.removeprefix(ORGANIZATION_PREFIX) if row.organization else None,
        **{name: getattr(row, name) for name in _SHOWN},
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "credits": to_credits(row.credits),
        "version": row.version,
    }
