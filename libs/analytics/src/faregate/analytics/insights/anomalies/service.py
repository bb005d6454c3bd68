"""Anomaly service: checks the newest hours, lists anomalies, takes verdicts."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.insights.anomalies.detector import QUIET_STEPS
from faregate.analytics.insights.anomalies.evidence import evidence_of_suspect
from faregate.analytics.insights.anomalies.quiet_hours import QuietHours
from faregate.analytics.insights.anomalies.reasons import Contribution, mean_of, reason_of
from faregate.analytics.insights.anomalies.repository import AnomalyFilter, AnomalyRepository, Silence
from faregate.analytics.insights.anomalies.values import (
    Anomaly,
    AnomalyMeasure,
    AnomalyScope,
    Suspect,
    Verdict,
    Watched,
)
from faregate.analytics.insights.anomalies.watch import suspects
from faregate.analytics.insights.errors import UnknownAnomalyError
from faregate.analytics.insights.numeric import require_extra
from faregate.analytics.insights.series import Series, SeriesReader, complete_range
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.values import Measures
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.values.time_zones import time_zone

__all__ = ["AnomalyService"]

_WEEKS = 6
_NEWEST_HOURS = 3
_WATCHED_VALUES = 20
_WATCHED_USERS = 50
_DAYS_BEFORE = 7
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_DIMENSIONS = {AnomalyScope.MODEL: ("feature",), AnomalyScope.FEATURE: ("model",)}


class AnomalyService:
    """The use cases of anomalies; each opens its own transactions.

    Args:
        timezone: of the seasons and the special days.
        channels: the names of the channels that report anomalies.
        quiet: when reports wait.
    """

    def __init__(
        self,
        database: Database,
        repository: AnomalyRepository,
        reader: SeriesReader,
        analytics: AnalyticsService,
        clock: IClock,
        *,
        timezone: str = "UTC",
        special_days: Collection[date] = (),
        channels: Sequence[str] = (),
        quiet: QuietHours | None = None,
    ) -> None:
        self._database = database
        self._repository = repository
        self._reader = reader
        self._analytics = analytics
        self._clock = clock
        self._timezone = timezone
        self._special = special_days
        self._channels = channels
        self._quiet = quiet

    async def check(self) -> Sequence[Anomaly]:
        """Look for anomalies in the newest complete hours, store them and queue their alerts; return the new ones.

        Safe to run in any process, any number of times: an anomaly is stored once, and a series that had one is silent for
        `QUIET_STEPS` hours. While all use is reported for a measure, anomalies of its models, features and users are stored
        without an alert of their own.

        Raises:
            MissingExtraError: the extra `insights` is not installed.
        """
        require_extra()
        now = self._clock.now()
        span = TimeRange(now - _DAY, now, self._timezone)
        asked = complete_range(Question(span), "hour", now=now, count=_WEEKS * 168)
        watched = await self._watched(asked)
        series = await self._reader.several([about for _, about in watched], "hour")
        found: list[Anomaly] = []
        async with self._database.transaction(read_only=True) as session:
            silences = await self._repository.silences(session, since=now - QUIET_STEPS * _HOUR)
        reported = {measure for (one, measure), silence in silences.items() if _is_total(one) and silence.last_at}
        for (one, about), values in zip(watched, series, strict=True):
            seen: set[AnomalyMeasure] = set()
            for suspect in await self._suspects(one, values):
                if suspect.measure in seen or _is_silent(suspect, silences):
                    continue
                seen.add(suspect.measure)
                found += await self._report(suspect, about, values, told=suspect.measure in reported)
                if _is_total(one):
                    reported.add(suspect.measure)
        return found

    async def anomalies(self, wanted: AnomalyFilter) -> Sequence[Anomaly]:
        """Return anomalies, the latest first."""
        async with self._database.reading() as session:
            return await self._repository.matching(session, wanted)

    async def judge(self, anomaly_id: UUID, verdict: Verdict, *, actor: str) -> Anomaly:
        """Store what a person said about an anomaly, or raise `UnknownAnomalyError`.

        After `not_an_anomaly` the same series is not reported for a deviation of that size or less in that direction.
        """
        async with self._database.transaction() as session:
            now = self._clock.now()
            if not await self._repository.judge(session, anomaly_id, verdict, actor=actor, now=now):
                raise UnknownAnomalyError(anomaly_id)
            judged = await self._repository.find(session, anomaly_id)
        assert judged is not None  # noqa: S101  it was just changed
        return judged

    async def _watched(self, asked: Question) -> list[tuple[Watched, Question]]:
        """Return all use, the models and features with the most credits, and the users with the most."""

        def about(**filters: str) -> Question:
            return replace(asked, filters=Filters(**filters))

        found = [(Watched(AnomalyScope.TOTAL), asked)]
        for scope, name in ((AnomalyScope.MODEL, "model"), (AnomalyScope.FEATURE, "feature")):
            parts = await self._analytics.breakdown(asked, name, limit=_WATCHED_VALUES)
            values = dict.fromkeys(part.value for part in parts if part.value is not None)
            found += [(Watched(scope, value), about(**{name: value})) for value in values]
        async with self._database.transaction(read_only=True) as session:
            users = await self._repository.watched_users(session, since=asked.range.start, limit=_WATCHED_USERS)
        found += [(Watched(AnomalyScope.USER, subject_id=number), about(user_id=user_id)) for number, user_id in users]
        return found

    async def _suspects(self, watched: Watched, values: Series) -> Sequence[Suspect]:
        known, zone = values.since_first_use(), time_zone(self._timezone)
        look = partial(suspects, newest=_NEWEST_HOURS, zone=zone, special=self._special)
        return await asyncio.to_thread(look, watched, known.periods, known.measures)

    async def _report(self, suspect: Suspect, about: Question, values: Series, *, told: bool) -> list[Anomaly]:
        place = values.periods.index(suspect.start)
        before = [values.measures[place - 24 * back] for back in range(1, _DAYS_BEFORE + 1) if place >= 24 * back]
        parts = await self._contributions(suspect, about)
        evidence = evidence_of_suspect(suspect, values, about.omissions.note)
        reason = {
            **reason_of(suspect, values.measures[place], mean_of(before), parts),
            "evidence": asdict(evidence),
        }
        now = self._clock.now()
        deliver_at = self._quiet.end_after(now) if self._quiet is not None else now

        async def work(session: AsyncSession) -> list[Anomaly]:
            added = await self._repository.add(
                session, suspect, reason, now=now, channels=() if told else self._channels, deliver_at=deliver_at
            )
            stored = await self._repository.find(session, added) if added is not None else None
            return [stored] if stored is not None else []

        return await self._database.run(work)

    async def _contributions(self, suspect: Suspect, about: Question) -> list[Contribution]:
        found: list[Contribution] = []
        for dimension in _DIMENSIONS.get(suspect.watched.scope, ("model", "feature")):
            now, *before = [
                await self._hour(about, suspect.start - back * _DAY, dimension) for back in range(_DAYS_BEFORE + 1)
            ]
            found += [
                Contribution(
                    dimension,
                    value,
                    now.get(value, Measures()),
                    mean_of([day.get(value, Measures()) for day in before]),
                )
                for value in {*now, *(value for day in before for value in day)}
            ]
        return found

    async def _hour(self, about: Question, start: datetime, dimension: str) -> Mapping[str | None, Measures]:
        span = replace(about.range, start=start, end=start + _HOUR)
        found: dict[str | None, Measures] = {}
        for part in await self._analytics.breakdown(replace(about, range=span), dimension):
            found[part.value] = found.get(part.value, Measures()) + part.measures
        return found


def _is_total(watched: Watched) -> bool:
    return watched.scope is AnomalyScope.TOTAL


def _is_silent(suspect: Suspect, silences: Mapping[tuple[Watched, AnomalyMeasure], Silence]) -> bool:
    silence = silences.get((suspect.watched, suspect.measure))
    if silence is None:
        return False
    if silence.last_at is not None and suspect.start - silence.last_at < QUIET_STEPS * _HOUR:
        return True
    usual = silence.usual_up if suspect.actual >= suspect.expected else silence.usual_down
    return usual is not None and abs(suspect.actual - suspect.expected) <= usual
