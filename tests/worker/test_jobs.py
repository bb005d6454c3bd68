"""Scheduled jobs of the worker, run as by the schedule."""

from faregate.core.container import engines
from faregate.core.db.database import Database
from faregate.worker.container import WorkerContainer
from support.apps import settings_for

_ANSWERS = """
insert into faregate.idempotent_answer (credential, key, request_hash, status, body, created_at)
select 'key:k', 'order-' || n, 'h', 201, '{}', now() - make_interval(days => case when n <= 5001 then 37 else 35 end)
from generate_series(1, 5003) as n
"""


async def test_exactly_the_answers_older_than_36_days_are_deleted(database: Database, database_url: str) -> None:
    """More than one batch of answers; answers that may still be requested stay."""
    async with database.transaction() as session:
        await database.rows(session, _ANSWERS)
    container = WorkerContainer(settings=settings_for(database_url))
    (job,) = [job for job in container.jobs() if job.name == "forget_answers"]
    async with engines(container.database(), container.transport()):
        await job.run()
        await job.run()
    async with database.transaction() as session:
        left = await database.rows(session, "select key from faregate.idempotent_answer order by key")

    assert [row.key for row in left] == ["order-5002", "order-5003"]
