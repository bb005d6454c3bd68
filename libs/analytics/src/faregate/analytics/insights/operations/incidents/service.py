"""Incident service: compares spans, finds whom it hit, prepares refunds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.insights.asking import ask_of
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.operations.incidents.comparison import (
    LEAST_REQUESTS,
    change_answer,
    cost_of,
    most_changed,
    sentences,
    span_answer,
)
from faregate.analytics.insights.operations.incidents.repository import IncidentRepository
from faregate.analytics.insights.operations.incidents.values import (
    Change,
    ChargedUse,
    GiveBack,
    SpanName,
    SpanSums,
)
from faregate.analytics.insights.values import Evidence, Insight, InsightKind, InsightResult, PersonFinding
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.values import Measures, UsageMetrics
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError

__all__ = ["IncidentService"]

_LONGEST = timedelta(days=31)
_WEEK = timedelta(days=7)
_PERCENTS = (50, 95, 99)
_DIMENSIONS = ("service", "feature", "model", "country")
_PEOPLE, _USES = 1000, 10_000
_KEPT, _KEPT_RUNNING = timedelta(hours=1), timedelta(minutes=1)
_NOT_FILTERS = ("country", "device", "status", "meter")


class IncidentService:
    """Tells what a span of time was like; results are kept, and current for an hour, or a minute while the time after it runs."""

    def __init__(
        self,
        database: Database,
        facts: FactReader,
        models: KnownModels,
        repository: IncidentRepository,
        keeper: InsightKeeper,
        clock: IClock,
    ) -> None:
        self._database = database
        self._facts = facts
        self._models = models
        self._repository = repository
        self._keeper = keeper
        self._clock = clock

    async def incident(
        self, question: Question, give_back: GiveBack | None = None, *, limit: int = 100, user_id: str | None = None
    ) -> Insight:
        """Return the question's span beside the times before and after it, the users it hit, and a prepared correction.

        The correction is the list of uses in the facts of each user; `IncidentRefunds` carries it out.

        Raises:
            InvalidError: the span is longer than 31 days or in the future, or a filter that splits uses is given.
            MissingExtraError: it must be computed, but the extra `insights` is not installed.
        """
        asked, rule = self._asked(question), give_back or GiveBack()
        span, now = asked.range, self._clock.now()
        ask = ask_of(
            InsightKind.INCIDENT,
            asked,
            start=span.start.isoformat(),
            end=question.range.end.isoformat(),
            give_back=rule.rule.value,
            slower_than_ms=rule.slower_than_ms,
        )
        is_over = question.range.end + (question.range.end - span.start) <= now
        return await self._keeper.current(
            ask,
            lambda: self._compute(asked, question.range.end, rule),
            made_since=now - (_KEPT if is_over else _KEPT_RUNNING),
            people=limit,
            user_id=user_id,
        )

    def _asked(self, question: Question) -> Question:
        """Return the question up to now."""
        span, now = question.range, self._clock.now()
        if span.end - span.start > _LONGEST:
            raise InvalidError("an incident must not be longer than 31 days", param="startDate")
        if span.start >= now:
            raise InvalidError("startDate must be in the past", param="startDate")
        for name in _NOT_FILTERS:
            if name in question.filters.given:
                raise InvalidError(f"{name} is no filter of an incident; the answer tells its values apart", param=name)
        return replace(question, range=replace(span, end=min(span.end, now)))

    async def _compute(self, asked: Question, end: datetime, rule: GiveBack) -> InsightResult:
        async with self._database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            resolved = await self._models.resolve(session, asked)
            spans = self._spans(resolved, end)
            sums = SpanSums({name: await self._metrics(session, each) for name, each in spans.items()})
            enough = max(each.measures.requests for each in sums.metrics.values()) >= LEAST_REQUESTS
            if not enough:
                return InsightResult(False, _evidence(asked, sums, rule, enough=False), {})
            changes = [change for name in _DIMENSIONS for change in await self._changes(session, spans, name)]
            failing = replace(resolved, filters=replace(resolved.filters, status="error"))
            failed = (await self._facts.measures(session, failing)).get((), Measures())
            hit = await self._facts.users(session, failing, "requests", _PEOPLE) if failed.requests else []
            uses = await self._repository.uses(session, resolved, rule, limit=_USES + 1)
        people = _people(hit, uses[:_USES])
        evidence = _evidence(asked, sums, rule, enough=True, cut=len(uses) > _USES or len(people) > _PEOPLE)
        answer = {
            "spans": {name.value: span_answer(each) for name, each in sums.metrics.items()},
            "sentences": sentences(sums),
            "changes": [change_answer(change) for change in most_changed(changes)],
            "cost": cost_of(sums, failed),
            "give_back": _totals(people[:_PEOPLE], rule),
        }
        return InsightResult(True, evidence, answer, people[:_PEOPLE])

    def _spans(self, asked: Question, end: datetime) -> Mapping[SpanName, Question]:
        span, now = asked.range, self._clock.now()
        length = end - span.start
        found = {
            SpanName.BEFORE: (span.start - length, span.start),
            SpanName.DURING: (span.start, span.end),
            SpanName.AFTER: (end, min(end + length, now)),
            SpanName.WEEK_BEFORE: (span.start - _WEEK, span.end - _WEEK),
        }
        return {
            name: replace(asked, range=replace(span, start=first, end=last))
            for name, (first, last) in found.items()
            if first < last
        }

    async def _metrics(self, session: AsyncSession, question: Question) -> UsageMetrics:
        measures, unique, (p50, p95, p99) = await self._facts.overview(session, question, _PERCENTS)
        return UsageMetrics(measures, unique, p50, p95, p99)

    async def _changes(
        self, session: AsyncSession, spans: Mapping[SpanName, Question], dimension: str
    ) -> Sequence[Change]:
        by_value: dict[str, dict[SpanName, Measures]] = {}
        for name, question in spans.items():
            for value, sums in (await self._parts(session, question, dimension)).items():
                by_value.setdefault(value, {})[name] = sums
        return [Change(dimension, value, sums) for value, sums in by_value.items()]

    async def _parts(self, session: AsyncSession, question: Question, dimension: str) -> Mapping[str, Measures]:
        if dimension != "model":
            found = await self._facts.measures(session, question, (dimension,))
            return {key[0]: sums for key, sums in found.items() if key[0] is not None}
        united: dict[str, Measures] = {}
        calls = await self._facts.measures(session, question, ("model", "provider"))
        for (model, _), sums in self._models.united(calls).items():
            united[model] = united.get(model, Measures()) + sums
        return united


def _people(hit: Sequence[tuple[int, Measures, datetime]], uses: Sequence[ChargedUse]) -> list[PersonFinding]:
    """Return whom it hit: the most credits to give back first, then the most failed requests."""
    failed = {subject_id: sums.requests for subject_id, sums, _ in hit}
    own: dict[int, list[ChargedUse]] = {}
    for use in uses:
        own.setdefault(use.subject_id, []).append(use)
    facts: dict[int, dict[str, Any]] = {
        subject_id: {
            "failed": failed.get(subject_id, 0),
            "give_back": sum((use.credits for use in own.get(subject_id, ())), Decimal(0)),
            "uses": [{"usage_key": use.usage_key, "credits": use.credits} for use in own.get(subject_id, ())],
        }
        for subject_id in {*failed, *own}
    }
    ranked = sorted(facts.items(), key=lambda each: (-each[1]["give_back"], -each[1]["failed"], each[0]))
    return [PersonFinding(subject_id, rank, each) for rank, (subject_id, each) in enumerate(ranked, start=1)]


def _totals(people: Sequence[PersonFinding], rule: GiveBack) -> Mapping[str, Any]:
    return {
        "rule": rule.rule.value,
        "users": sum(1 for each in people if each.facts["uses"]),
        "uses": sum(len(each.facts["uses"]) for each in people),
        "credits": sum((each.facts["give_back"] for each in people), Decimal(0)),
    }


def _evidence(asked: Question, sums: SpanSums, rule: GiveBack, *, enough: bool, cut: bool = False) -> Evidence:
    limits = [
        "a change beside a cause in time is no proof of it; compare the same span a week before",
        "models count calls, everything else counts requests; only what was recorded is seen",
        f"to give back: {rule.about}; nothing is booked until the refunds are confirmed",
    ]
    if not enough:
        limits.insert(0, f"needs {LEAST_REQUESTS} requests in the span, or in one that it is compared with")
    if SpanName.AFTER not in sums.metrics:
        limits.append("the time after it has not begun")
    if cut:
        limits.append(f"lists at most {_PEOPLE} users and {_USES} uses: confirm these, then ask again for the rest")
    if asked.omissions.note is not None:
        limits.append(asked.omissions.note)
    return Evidence(
        method="sums of the span beside those of equal length before and after it, and a week before"
        if enough
        else "none",
        sample=sums.of(SpanName.DURING).requests,
        sampled="requests",
        start=asked.range.start,
        end=asked.range.end,
        uncertainty="sums are exact, percentiles at most 1 % off; missing credits are an estimate from a single earlier span",
        limits=tuple(limits),
    )
