"""Insights beside settlements: neither waits for the other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

from insights.conftest import NOW, Study
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.operations.objectives.values import Indicator, ObjectiveSpec
from faregate.analytics.question.filters import Question, TimeRange
from faregate.usage.values import FeatureRef, Settled, SettleRequest

DAY = timedelta(days=1)
_WRITTEN = ("wallet", "charge", "transfer", "grant_slice", "usage_line", "usage_event", "credit_grant")


@asynccontextmanager
async def unfinished_settlement(study: Study) -> AsyncGenerator[None]:
    """Hold the locks of a settlement of all wallets, before its commit."""
    async with study.database.transaction() as session:
        for table in _WRITTEN:
            await study.database.rows(session, f"lock table faregate.{table} in row exclusive mode")
        await study.database.rows(session, "select 1 from faregate.wallet for update")
        await study.database.rows(session, "update faregate.wallet set held = held returning 1")
        yield


async def make_all(study: Study) -> None:
    for make in study.insights.jobs().makers().values():
        await make()
    await study.insights.jobs().hourly()
    await study.operations.jobs().watch()
    await study.operations.jobs().daily()
    await study.operations.incidents().incident(Question(TimeRange(NOW - DAY, NOW)))


async def filled(study: Study) -> None:
    await study.library.grant("ada", 100)
    facts = [
        {"user_id": f"u{n % 30}", "service": "web", "time": NOW - n * DAY / 20, "credits": 1} for n in range(1, 1200)
    ]
    await study.record(facts)
    await study.operations.objectives().put(ObjectiveSpec("up", Indicator.AVAILABILITY, Decimal(99)))


async def test_every_insight_is_made_while_settlements_are_not_finished(study: Study) -> None:
    await filled(study)

    async with unfinished_settlement(study):
        await asyncio.wait_for(make_all(study), 60)

    kept = "select count(distinct kind) as kinds from faregate.insight"
    async with study.database.transaction(read_only=True) as session:
        assert (await study.database.rows(session, kept))[0].kinds >= 9


async def test_a_settlement_commits_while_the_snapshot_of_an_insight_is_open(study: Study) -> None:
    """An insight holds no more than its snapshot: a read-only transaction, whose only locks are those of reading."""
    await filled(study)
    read = study.operations.facts()

    async def locks(session: AsyncSession) -> set[str]:
        sql = "select distinct mode from pg_locks where pid = pg_backend_pid() and locktype in ('relation', 'tuple')"
        return {row.mode for row in await study.database.rows(session, sql)}

    async with study.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        await read.overview(session, Question(TimeRange(NOW - 30 * DAY, NOW)), (50,))
        request = SettleRequest("during", "ada", FeatureRef(value="chat"), ())
        (done,) = await study.library.service.settle_batch([request])
        held = await locks(session)

    assert isinstance(done, Settled)
    assert held == {"AccessShareLock"}
