"""Usage events by queue: counted once, also after redeliveries."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from faregate.core.messaging.interfaces import Ack, DeadLetter, DeadMessage, Delivery, OutgoingMessage
from faregate.core.settings import Settings, load_settings
from faregate.wire import exact_json
from faregate.wire.queues import USAGE_EVENTS_QUEUE
from faregate.worker.container import WorkerContainer
from support.apps import open_gateway, running_worker, settings_for


def delivery(body: Any, message_id: str | None = "m1", *, redelivered: bool = False) -> Delivery:
    return Delivery(USAGE_EVENTS_QUEUE, exact_json.dumps(body), message_id, 1, redelivered, datetime.now(UTC), {}, None)


async def test_messages_count_once_and_bad_items_become_messages_of_their_own(database_url: str) -> None:
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


async def test_negative_amounts_and_reserved_sources_become_dead_letters(database_url: str) -> None:
    """Also if the event has its id from the message."""
    container = WorkerContainer(settings=load_settings(database_url=database_url))
    core = container.core.container
    await core.database().open()
    await core.transport().open()
    good = {"user_id": "anna", "service": "chat"}
    bad = [{**good, "credits": -1}, {**good, "source": "faregate:use"}, {**good, "id": "K", "source": "Faregate:use"}]
    decided = await container.usage_events().handle([delivery(body, f"m{n}") for n, body in enumerate(bad)])
    await core.transport().close()
    await core.database().close()

    reasons = [decision.reason for _, decision in decided if isinstance(decision, DeadLetter)]
    assert len(reasons) == len(bad)
    assert "POST /api/usage-events/corrections" in reasons[0]
    assert all("source of yours" in reason for reason in reasons[1:])


async def test_published_events_are_counted_once_by_a_worker(database_url: str) -> None:
    await _counted_by_a_worker(settings_for(database_url))


async def test_events_published_to_rabbitmq_are_counted_once_by_a_worker(database_url: str, broker_url: str) -> None:
    await _counted_by_a_worker(settings_for(database_url, broker_url=broker_url))


async def _counted_by_a_worker(settings: Settings) -> None:
    """Publish one event, an array that repeats it, and a message that is not an event, for the worker's consumer."""
    named = {"user_id": "anna", "service": "chat", "id": "e1", "source": "test"}
    bodies: list[Any] = [named, [named, {"user_id": "bob", "service": "chat"}], {"user_id": "anna"}]
    async with open_gateway(settings) as gateway:
        transport = gateway.container.transport()
        await transport.publish(USAGE_EVENTS_QUEUE, [OutgoingMessage(exact_json.dumps(body)) for body in bodies])
        letters: list[DeadMessage] = []
        metrics: dict[str, Any] = {}
        async with running_worker(settings), asyncio.timeout(30):
            while not letters or metrics["totalRequests"] < 2:
                await asyncio.sleep(0.1)
                letters = [letter async for letter in transport.dead_letters()]
                metrics = (await gateway.get("/api/analytics/metrics")).data

    assert (metrics["totalRequests"], metrics["uniqueUsers"]) == (2, 2)
    assert [letter.queue for letter in letters] == [USAGE_EVENTS_QUEUE]
