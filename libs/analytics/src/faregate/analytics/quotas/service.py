"""Quota service: settings, status, alerts."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.errors import UnknownQuotaError
from faregate.analytics.quotas.history import AlertHistory
from faregate.analytics.quotas.interfaces import IUsageTotals
from faregate.analytics.quotas.levels import Level, Thresholds, levels_reached, percent_used
from faregate.analytics.quotas.periods import Window, check_timezone, window_at
from faregate.analytics.quotas.prediction import predict, recent_start
from faregate.analytics.quotas.repository import QuotaRepository
from faregate.analytics.quotas.totals import BUILT_IN_MEASURES
from faregate.analytics.quotas.values import (
    EVERYBODY,
    Alert,
    AlertFilter,
    Quota,
    QuotaSpec,
    QuotaStatus,
    UsageQuestion,
)
from faregate.analytics.quotas.wording import body_of
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.db.versioned_cache import raise_version
from faregate.core.errors import InvalidError
from faregate.core.webhooks.outgoing_events import Event, EventType, IAnnouncer
from faregate.wire.ids import ORGANIZATION_PREFIX, check_external_id, check_user_id

__all__ = ["HARD_QUOTAS", "QuotaService"]

HARD_QUOTAS = "hard_quotas"
"""The version of the hard quotas that processes keep in memory."""

_CHECKED_AT_ONCE = 500
_OF_AN_OWNER = 1000
_LEAST_PREDICTED_PERCENT = 25


class QuotaService:
    """The use cases of quotas; each opens its own transactions.

    `channels` are the names of the channels that deliver alerts; a process that fires alerts must name all of them.
    """

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        repository: QuotaRepository,
        history: AlertHistory,
        totals: IUsageTotals,
        clock: IClock,
        meters: KnownMeters,
        *,
        thresholds: Thresholds,
        channels: Sequence[str] = (),
        announcer: IAnnouncer | None = None,
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._repository = repository
        self._history = history
        self._totals = totals
        self._clock = clock
        self._meters = meters
        self._thresholds = thresholds
        self._channels = channels
        self._announcer = announcer

    async def put(self, spec: QuotaSpec) -> Quota:
        """Set the quota of an owner for a meter and a period. Setting the same quota again changes nothing.

        Another limit, time zone or thresholds begin a new revision, whose alerts may fire again in this period.

        Raises:
            InvalidError: a field is invalid; `param` names it.
            UnknownMeterError: the meter is unknown; such a quota would never fire.
        """
        check_spec(spec)
        await self._require_meter(spec.meter)

        async def work(session: AsyncSession) -> Quota:
            subject_id = None
            if spec.owner_id != EVERYBODY:
                subject_id = (await self._subjects.ensure(session, [spec.owner_id]))[spec.owner_id].subject_id
            quota_id = await self._repository.put(session, spec, subject_id=subject_id, now=self._clock.now())
            await raise_version(self._database, session, HARD_QUOTAS)
            return await self._require(session, quota_id)

        return await self._database.run(work)

    async def get(self, quota_id: UUID) -> Quota:
        """Return one quota, or raise `UnknownQuotaError`."""
        async with self._database.transaction(read_only=True) as session:
            return await self._require(session, quota_id)

    async def quotas(
        self, *, owner_id: str | None = None, meter: str | None = None, after: UUID | None = None, limit: int = 100
    ) -> Sequence[Quota]:
        """Return quotas in the order of their creation; the next page begins after the id `after`.

        Raises:
            UnknownMeterError: the meter is unknown.
        """
        await self._require_meter(meter)
        async with self._database.reading() as session:
            return await self._repository.matching(session, owner_id=owner_id, meter=meter, after=after, limit=limit)

    async def check_owner(self, owner_id: str, meter: str | None = None) -> Sequence[QuotaStatus]:
        """Return the current status of an owner's quotas, at most 1,000, or only of those for one meter. Fires no alert.

        Raises:
            UnknownMeterError: the meter is unknown.
        """
        await self._require_meter(meter)
        async with self._database.transaction(read_only=True) as session:
            found = await self._repository.matching(
                session, owner_id=owner_id, meter=meter, after=None, limit=_OF_AN_OWNER
            )
            return await self.statuses(session, found)

    async def all_statuses(self) -> Sequence[QuotaStatus]:
        """Return the current status of the active quotas, of the first 500 in the order of their creation. Fires no alert."""
        async with self._database.transaction(read_only=True) as session:
            return await self.statuses(
                session, await self._repository.active(session, after=None, limit=_CHECKED_AT_ONCE)
            )

    async def remove(self, quota_id: UUID) -> None:
        """Delete a quota and the history of its alerts, or raise `UnknownQuotaError`."""
        async with self._database.transaction() as session:
            if not await self._repository.remove(session, quota_id):
                raise UnknownQuotaError(quota_id)
            await raise_version(self._database, session, HARD_QUOTAS)

    async def status(self, quota_id: UUID) -> QuotaStatus:
        """Return the current status of one quota, with all committed use."""
        async with self._database.transaction(read_only=True) as session:
            (status,) = await self.statuses(session, [await self._require(session, quota_id)])
            return status

    async def statuses(self, session: AsyncSession, quotas: Sequence[Quota]) -> Sequence[QuotaStatus]:
        """Return the current status of `quotas`, in order."""
        now = self._clock.now()
        windows = [window_at(quota.spec.period, now, quota.spec.timezone) for quota in quotas]
        whole = [question(quota, window) for quota, window in zip(quotas, windows, strict=True)]
        recent = [
            question(quota, Window(recent_start(window, now), window.end))
            for quota, window in zip(quotas, windows, strict=True)
        ]
        answers = await self._totals.totals(session, [*whole, *recent])
        halves = zip(answers[: len(quotas)], answers[len(quotas) :], strict=True)
        return [
            self._status(quota, window, now, used, late)
            for quota, window, (used, late) in zip(quotas, windows, halves, strict=True)
        ]

    async def check(self) -> Sequence[Alert]:
        """Check every active quota and fire the alerts that it has reached; safe to run in any process, any number of times.

        Each level fires once per quota, revision and period. If a quota passes several levels at once, all are stored in
        the history and the most urgent one is delivered.
        """
        fired: list[Alert] = []
        after: UUID | None = None
        while True:
            quotas, alerts = await self._database.run(partial(self._check, after))
            fired += alerts
            if len(quotas) < _CHECKED_AT_ONCE:
                return fired
            after = quotas[-1].id

    async def alerts(self, wanted: AlertFilter) -> Sequence[Alert]:
        """Return the history of alerts, latest first.

        Raises:
            UnknownMeterError: the filter names an unknown meter.
        """
        await self._require_meter(wanted.meter)
        async with self._database.reading() as session:
            return await self._history.matching(session, wanted)

    async def _check(self, after: UUID | None, session: AsyncSession) -> tuple[Sequence[Quota], Sequence[Alert]]:
        quotas = await self._repository.active(session, after=after, limit=_CHECKED_AT_ONCE)
        reached = [(status, level) for status in await self.statuses(session, quotas) for level in self._levels(status)]
        if not reached:
            return quotas, ()
        alerts = await self._history.fire(session, reached, now=self._clock.now(), channels=self._channels)
        if alerts and self._announcer is not None:
            owners = {quota.id: quota.subject_id for quota in quotas}
            await self._announcer.announce(session, [_event(alert, owners[alert.quota_id]) for alert in alerts])
        return quotas, alerts

    def _levels(self, status: QuotaStatus) -> tuple[Level, ...]:
        reached = levels_reached(status.used, status.quota.spec.limit, self._thresholds_of(status.quota))
        if reached or status.prediction is None or status.prediction.runs_out_at is None:
            return reached
        early = status.percent is not None and status.percent < _LEAST_PREDICTED_PERCENT
        return () if early else (Level.PREDICTED,)

    def _status(self, quota: Quota, window: Window, now: datetime, used: Decimal, recent: Decimal) -> QuotaStatus:
        limit = quota.spec.limit
        reached = levels_reached(used, limit, self._thresholds_of(quota))
        return QuotaStatus(
            quota=quota,
            at=now,
            window=window,
            used=used,
            remaining=max(limit - used, Decimal(0)),
            percent=percent_used(used, limit),
            level=reached[-1] if reached else None,
            prediction=predict(window, now, used=used, recent=recent, limit=limit),
        )

    def _thresholds_of(self, quota: Quota) -> Thresholds:
        return quota.spec.thresholds or self._thresholds

    async def _require_meter(self, meter: str | None) -> None:
        if meter is not None and meter not in BUILT_IN_MEASURES:
            await self._meters.require(meter)

    async def _require(self, session: AsyncSession, quota_id: UUID) -> Quota:
        quota = await self._repository.find(session, quota_id)
        if quota is None:
            raise UnknownQuotaError(quota_id)
        return quota


def _event(alert: Alert, subject_id: int | None) -> Event:
    """Return the data of the event `usage.alert`; the owner is added when it is sent."""
    personal = {"owner_id", "message"} if subject_id is not None else set[str]()
    data = {name: value for name, value in body_of(alert)["data"].items() if name not in personal}
    return Event(EventType.USAGE_ALERT, data, {"owner_id": subject_id} if subject_id is not None else {})


def question(quota: Quota, window: Window) -> UsageQuestion:
    """Return the question for the use of `quota` in `window`."""
    organization = quota.spec.owner_id.startswith(ORGANIZATION_PREFIX)
    return UsageQuestion(quota.subject_id, organization, quota.spec.meter, window.start, window.end)


def check_spec(spec: QuotaSpec) -> None:
    """Raise `InvalidError` unless `spec` is valid."""
    if spec.owner_id.startswith(ORGANIZATION_PREFIX):
        check_external_id(spec.owner_id.removeprefix(ORGANIZATION_PREFIX), param="owner_id")
    elif spec.owner_id != EVERYBODY:
        check_user_id(spec.owner_id, param="owner_id")
    if not spec.limit.is_finite() or not 0 <= spec.limit < 10**18:
        raise InvalidError("limit must be a number from 0 to below 10^18", param="limit")
    check_timezone(spec.timezone)
    for address in spec.emails:
        if "@" not in address or any(character.isspace() for character in address):
            raise InvalidError("emails must be addresses such as ops@example.com", param="emails")
