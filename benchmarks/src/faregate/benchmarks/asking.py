"""P5: timing of the dashboard's questions.

They are asked one after the other, without a cache of answers; each has its limit.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from statistics import median

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.answers.meter_totals import MeterTotals
from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.answers.trends import Patterns
from faregate.analytics.columnar.container import make_facts
from faregate.analytics.columnar.registry import Registry
from faregate.analytics.columnar.repository import ColumnarRepository
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.repository import RawRepository
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.rollups.repository import RollupRepository
from faregate.benchmarks.processor_time import ProcessorTime
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.settings import Settings, load_settings
from faregate.core.values.time_zones import time_zone
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["Asked", "ask_all"]

_CLOCK = SystemClock()

Ask = Callable[[], Awaitable[object]]


_PLAIN_MS = 30
_FILTERED_MS = 150
_USERS_MS = 60
_DASHBOARD_MS = 300
_METERS_MS = 100
"""The longest median in milliseconds of questions without a filter, with any, about users, and of the others."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Times of one question: the median and the longest of its rounds, the processor time of the server and of this process
    for one round, and one round on the raw facts.
    """

    name: str
    limit_ms: float
    ms: float
    most_ms: float
    server_ms: float
    process_ms: float
    raw_ms: float | None


async def ask_all(
    database: Database, rounds: int, *, days: int, scale: int = 1, copy: Settings | None = None
) -> list[Asked]:
    """Ask every question about the last `days` `rounds` times; the limits are multiplied by `scale`.

    With `copy`, settings that name the place of a columnar copy, facts are read from it.
    """
    archived, subjects = ArchivedMonths(database), Subjects(database)
    raw = RawRepository(database, archived)
    rollups, meters = RollupRepository(database, archived), MeterCatalog(database)
    facts = _facts(database, raw, copy or load_settings())
    reader = FactReader(facts, rollups, subjects)
    models = KnownModels(rollups)
    known = KnownMeters(database, meters, rollups)
    analytics = AnalyticsService(database, reader, subjects, models, known)
    asked: list[Asked] = []
    patterns = Patterns(analytics, raw, database, meters, known, models, credit_price_usd=Decimal("0.01"))
    questions = [
        *_questions(analytics, raw, database, days),
        _of_meters(analytics, patterns, database, days),
    ]
    for name, limit, ask, of_facts in questions:
        before = await ProcessorTime.now(database)
        took = sorted([await _ms(ask, facts) for _ in range(rounds)])
        used = await ProcessorTime.now(database) - before
        raw_ms = round(await _ms(of_facts, facts), 1) if of_facts is not None else None
        server_ms, process_ms = (round(seconds * 1000 / rounds, 1) for seconds in (used.server, used.process))
        asked.append(
            Asked(name, limit * scale, round(median(took), 1), round(took[-1], 1), server_ms, process_ms, raw_ms)
        )
    return asked


def _facts(database: Database, raw: RawRepository, settings: Settings) -> RawRepository:
    """Return what reads facts in a gateway of those settings: the columnar copy, or the table."""
    return make_facts(settings, database, Subjects(database), ArchivedMonths(database), Registry(database), raw)


def _questions(
    analytics: AnalyticsService, raw: RawRepository, database: Database, days: int
) -> Iterator[tuple[str, float, Ask, Ask | None]]:
    def overview(question: Question) -> Ask:
        async def ask() -> object:
            async with database.transaction(read_only=True) as session:
                return await raw.overview(session, question)

        return ask

    def of(span: TimeRange, **filters: str) -> Question:
        return Question(span, Filters(**filters))

    month, india = _last(days, "UTC"), _last(days, "Asia/Kolkata")
    every, chat = of(month), of(month, service="chat")
    two = of(month, service="chat", country="DE")
    yield "metrics", _PLAIN_MS, lambda: analytics.metrics(every), overview(every)
    yield "metrics, one service", _FILTERED_MS, lambda: analytics.metrics(chat), overview(chat)
    yield "metrics, one model", _FILTERED_MS, lambda: analytics.metrics(of(month, model="gpt-4o")), None
    yield "metrics, one user", _FILTERED_MS, lambda: analytics.metrics(of(month, user_id="user-1")), None
    yield "services", _PLAIN_MS, lambda: analytics.breakdown(every, "service"), None
    yield "models", _PLAIN_MS, lambda: analytics.breakdown(every, "model"), None
    yield "models, one service", _FILTERED_MS, lambda: analytics.breakdown(chat, "model"), None
    yield "series by day", _PLAIN_MS, lambda: analytics.series(every, "day"), None
    yield "series by day, one service", _FILTERED_MS, lambda: analytics.series(chat, "day"), None
    yield "series by hour", _PLAIN_MS, lambda: analytics.series(every, "hour"), None
    yield "series by hour, one service", _FILTERED_MS, lambda: analytics.series(chat, "hour"), None
    yield "metrics in India", _PLAIN_MS, lambda: analytics.metrics(of(india)), None
    yield "series by day in India", _PLAIN_MS, lambda: analytics.series(of(india), "day"), None
    yield (
        "series by day in India, one service",
        _FILTERED_MS,
        lambda: analytics.series(of(india, service="chat"), "day"),
        None,
    )
    yield "top users", _USERS_MS, lambda: analytics.top_users(every), None
    yield "top users, one service", _FILTERED_MS, lambda: analytics.top_users(chat), None
    yield "top users, one model", _FILTERED_MS, lambda: analytics.top_users(of(month, model="gpt-4o")), None
    yield "services, two filters", _FILTERED_MS, lambda: analytics.breakdown(two, "service"), None
    yield "metrics, two filters", _FILTERED_MS, lambda: analytics.metrics(two), overview(two)
    broad = of(month, status="success", device="mobile")
    yield "metrics, two broad filters", _FILTERED_MS, lambda: analytics.metrics(broad), overview(broad)
    yield "series by day, two filters", _FILTERED_MS, lambda: analytics.series(two, "day"), None
    yield "series by hour, two filters", _FILTERED_MS, lambda: analytics.series(two, "hour"), None
    yield "dashboard", _DASHBOARD_MS, lambda: analytics.dashboard(every), None
    yield "dashboard, two filters", _DASHBOARD_MS, lambda: analytics.dashboard(two), None


def _of_meters(
    analytics: AnalyticsService, patterns: Patterns, database: Database, days: int
) -> tuple[str, float, Ask, Ask | None]:
    """Return the question for the value of each meter; it reads the facts once per meter."""
    month = Question(_last(days, "UTC"))
    totals = MeterTotals(analytics, patterns, MeterCatalog(database))

    async def of_facts() -> object:
        parts = await analytics.breakdown(month, "meter")
        return [await patterns.meter_value(month, part.value) for part in parts if part.value is not None]

    return "meters", _METERS_MS, lambda: totals.totals(month), of_facts


def _last(days: int, timezone: str) -> TimeRange:
    """Return the days before the coming midnight in a time zone, as the pages do."""
    today = _CLOCK.now().astimezone(time_zone(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    end = (today + timedelta(days=1)).astimezone(UTC)
    return TimeRange(end - timedelta(days=days), end, timezone)


async def _ms(ask: Ask, facts: RawRepository) -> float:
    if isinstance(facts, ColumnarRepository):
        facts.forget()
    began = _CLOCK.monotonic()
    await ask()
    return (_CLOCK.monotonic() - began) * 1000
