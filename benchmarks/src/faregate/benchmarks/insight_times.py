"""Times of insights over many events: made, and read again."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from statistics import median

from faregate.analytics.insights.anomalies.repository import AnomalyFilter
from faregate.analytics.insights.costs.scenario import Proposal, ProposedMargin, ProposedPrice
from faregate.analytics.insights.forecasting.forecast import forecast_series
from faregate.analytics.insights.operations.incidents.values import GiveBack, GiveBackRule
from faregate.analytics.insights.operations.objectives.values import Indicator, ObjectiveScope, ObjectiveSpec
from faregate.analytics.question.filters import Question, TimeRange
from faregate.benchmarks.commands.main import private_database
from faregate.benchmarks.metering import fill, roll_up
from faregate.benchmarks.settled_uses_sql import ADD_FEEDBACK, ADD_LINES, ADD_USES
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.core.settings import load_settings
from faregate.core.values.time_zones import time_zone
from faregate.host.container import FaregateContainer
from faregate.usage.values import Feature, FeatureRef, SettleRequest

__all__ = ["DAYS", "LIMIT_MAKE_MS", "LIMIT_READ_MS", "InsightTime", "InsightTimes", "time_insights"]

LIMIT_MAKE_MS, LIMIT_READ_MS = 5000, 100
DAYS = 90
"""Enough for a forecast by day."""

_CLOCK = SystemClock()
_PROPOSAL = Proposal(
    margins=(ProposedMargin(Decimal(30)), ProposedMargin(Decimal(50), model="gpt-5")),
    prices=tuple(
        ProposedPrice(model, {"input_mtok": Decimal(2), "cache_read_mtok": Decimal("0.5"), "output_mtok": Decimal(9)})
        for model in ("gpt-4o", "gpt-4o-mini", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro")
    ),
)
_DAY = timedelta(days=1)
_SETTLED = 300


@dataclass(frozen=True, slots=True)
class InsightTime:
    """Milliseconds to make an insight, and to read the kept result."""

    name: str
    make_ms: float
    read_ms: float


@dataclass(frozen=True, slots=True)
class InsightTimes:
    """All times, and the medians of a settlement in milliseconds: alone, and beside insights that another process makes."""

    insights: Sequence[InsightTime]
    settled_alone_ms: float
    settled_beside_ms: float


async def time_insights(count: int) -> InsightTimes:
    """Return the times over `count` events, of which all are in the sums, with the libraries of the extra loaded.

    A settlement makes two events: half as many settled uses are written, each with a line, and every fifth with feedback.
    """
    async with private_database(10, shared_buffers="1GB") as database:
        await fill(database, count, days=DAYS)
        await _add_uses(database, count // 2)
        await roll_up(database)
        container = FaregateContainer(settings=load_settings(database_url=database.url))
        async with container.engines():
            _load()
            makers = dict(container.insight_jobs().makers())
            makers["run-out dates"] = lambda: container.run_outs().run_outs()
            makers["what-if of margins and prices"] = lambda: container.costs().what_if(_question(), _PROPOSAL)
            makers["capacity"] = lambda: container.capacity().capacity()
            makers["incident of a day"] = lambda: _incident(container)
            times = [InsightTime(name, await _ms(make), await _ms(make)) for name, make in makers.items()]
            times += [await _watched(container, name, spec) for name, spec in _objectives()]
            times.append(await _odd(container))
            return InsightTimes(times, *await _settlements(container))


async def _settlements(container: FaregateContainer) -> tuple[float, float]:
    """Return the median times of a settlement: alone, and while another process makes all insights anew."""
    await container.catalog().save(Feature(key="bench", name="bench", min_credits=Decimal(1), strategy="free"))
    alone = await _settled(container, "alone")
    maker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "faregate.cli", "insights", "make"),
        stdout=DEVNULL,
        env={
            **os.environ,
            "FAREGATE_DATABASE_URL": container.database().url,
            "FAREGATE_INSIGHTS_TIMEZONE": "Asia/Tokyo",
        },
    )
    beside = await _settled(container, "beside", until=maker)
    if maker.returncode:
        raise FaregateError(f"faregate insights make ended with {maker.returncode}")
    return alone, beside


async def _settled(container: FaregateContainer, name: str, *, until: Process | None = None) -> float:
    """Return the median time of a settlement: of 300, or of those until a process has ended."""
    service, found = container.usage_service(), list[float]()
    while len(found) < _SETTLED if until is None else until.returncode is None:
        request = SettleRequest(f"{name}-{len(found)}", "ada", FeatureRef(value="bench"), ())
        found.append(await _ms(partial(service.settle, request)))
    return median(found)


def _load() -> None:
    """Load the numeric libraries, as a worker does once, by the forecast of a made-up series."""
    start = _CLOCK.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [start + n * _DAY for n in range(75)]
    values = [Decimal(n % 7) for n in range(60)]
    forecast_series(days[:60], values, days[60:], "day", time_zone("UTC"))


async def _incident(container: FaregateContainer) -> object:
    midnight = _CLOCK.now().replace(hour=0, minute=0, second=0, microsecond=0)
    asked = Question(TimeRange(midnight - 10 * _DAY, midnight - 9 * _DAY))
    return await container.incidents().incident(asked, GiveBack(GiveBackRule.ALL))


def _objectives() -> Sequence[tuple[str, ObjectiveSpec]]:
    target, scope = Decimal(99), ObjectiveScope.FEATURE
    return [
        ("objective: availability of all use", ObjectiveSpec("up", Indicator.AVAILABILITY, target)),
        ("objective: latency of all use", ObjectiveSpec("quick", Indicator.LATENCY, target, threshold_ms=2000)),
        (
            "objective: latency of a feature, 90 days",
            ObjectiveSpec("chat", Indicator.LATENCY, target, scope, "feature-0", 2000, DAYS),
        ),
    ]


async def _watched(container: FaregateContainer, name: str, spec: ObjectiveSpec) -> InsightTime:
    """Return the time of a check of one objective, as the worker makes it every minute, and of reading it."""
    service = container.objectives()
    async with container.database().transaction() as session:
        await container.operations.container.objective_repository().put(session, spec, now=_CLOCK.now())
    times = InsightTime(name, await _ms(service.check), await _ms(lambda: service.objective(spec.name)))
    await service.remove(spec.name)
    return times


async def _odd(container: FaregateContainer) -> InsightTime:
    service = container.anomalies()
    return InsightTime(
        "anomalies of an hour", await _ms(service.check), await _ms(lambda: service.anomalies(AnomalyFilter()))
    )


def _question() -> Question:
    end = _CLOCK.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return Question(TimeRange(end - timedelta(days=30), end, "UTC"))


async def _add_uses(database: Database, count: int) -> None:
    async with database.transaction() as session:
        for statement in (ADD_USES, ADD_LINES, ADD_FEEDBACK):
            await database.rows(session, statement, count=count)


async def _ms(work: Callable[[], Awaitable[object]]) -> float:
    began = _CLOCK.monotonic()
    await work()
    return (_CLOCK.monotonic() - began) * 1000
