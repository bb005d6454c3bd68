"""Usage events by queue: counted once, whatever is delivered again."""

from datetime import UTC, datetime
from typing import Any

from faregate.core import exact_json
from faregate.core.interfaces import Ack, DeadLetter, Delivery
from faregate.core.queues import USAGE_EVENTS_QUEUE
from faregate.core.settings import Settings, load_settings
from faregate.worker.container import WorkerContainer


def delivery(body: Any, message_id: str | None = "m1", *, redelivered: bool = False) -> Delivery:
    return Delivery(USAGE_EVENTS_QUEUE, exact_json.dumps(body), message_id, 1, redelivered, datetime.now(UTC), {}, None)


async def test_messages_count_once_and_bad_items_go_on_alone(database_url: str) -> None:
    settings: Settings = load_settings(database_url=database_url)
    container = WorkerContainer(settings=settings)
    core = container.core.container
    await core.database().open()
    await core.transport().open()
    handler = container.usage_events()
    good = {"user_id": "anna", "service": "chat"}
    bad = {"user_id": "anna", "service": "chat", "status": 1}

    first = await handler.handle(
        [delivery([good, {**good, "id": "x"}]), delivery([good, bad], "m2"), delivery(bad, "m3")]
    )
    again = await handler.handle(
        [
            delivery([good, {**good, "id": "x"}], redelivered=True),
            delivery(good, None),
            delivery(good, None, redelivered=True),
        ]
    )
    async with core.database().transaction() as session:
        counted = await core.database().rows(session, "select sum(requests) as n from faregate.usage_event")
    backlog = await core.transport().backlog(USAGE_EVENTS_QUEUE)
    await core.transport().close()
    await core.database().close()

    assert [type(decision) for _, decision in first] == [Ack, Ack, DeadLetter]
    assert [type(decision) for _, decision in again] == [Ack, Ack, DeadLetter]
    assert counted[0].n == 4
    assert backlog.depth == 1, "the bad item of the array stands alone now"
