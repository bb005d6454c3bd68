"""Guarantees of the PostgreSQL transport: transactional outbox, leases, fencing."""

import asyncio
from typing import Any

import pytest

from faregate.core.db.database import Database
from faregate.core.messaging.interfaces import Ack, OutgoingMessage
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.wire.queues import DELIVERY_LIMIT
from faregate.wire.queues import SETTLE_QUEUE as QUEUE


@pytest.fixture
def transport(database: Database) -> PostgresTransport:
    return PostgresTransport(database)


async def test_an_outbox_message_exists_exactly_if_the_transaction_commits(
    database: Database, transport: PostgresTransport
) -> None:
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            await transport.add(session, QUEUE, [OutgoingMessage(b"never")])
            raise RuntimeError
    async with database.transaction() as session:
        await transport.add(session, QUEUE, [OutgoingMessage(b"told")])

    consumer = await transport.consume(QUEUE)
    taken = await consumer.take(10, wait_seconds=1)
    await consumer.close()

    assert [delivery.body for delivery in taken] == [b"told"]


class CutDatabase(Database):
    """A database whose connections for notifications are closed before use, as if the server stopped at that moment."""

    async def connect(self) -> Any:
        connection = await super().connect()
        connection.terminate()
        return connection


async def test_a_consumer_without_its_notification_connection_polls(
    database_url: str, transport: PostgresTransport
) -> None:
    database = CutDatabase(database_url)
    await database.open()
    consumer = await PostgresTransport(database).consume(QUEUE)
    taking = asyncio.create_task(consumer.take(1, wait_seconds=30))
    await asyncio.sleep(0)
    await transport.publish(QUEUE, [OutgoingMessage(b"heard of by asking")])
    (delivery,) = await taking
    await consumer.close()
    await database.close()

    assert delivery.body == b"heard of by asking"


async def test_a_consumer_that_died_loses_its_messages_when_the_lease_ends(
    database: Database, transport: PostgresTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.core.messaging.postgres_transport._LEASE_SECONDS", 0.3)
    await transport.publish(QUEUE, [OutgoingMessage(b"x")])
    dead, alive = await transport.consume(QUEUE), await transport.consume(QUEUE)
    (first,) = await dead.take(1, wait_seconds=1)

    assert await alive.take(1, wait_seconds=0) == ()
    (second,) = await alive.take(1, wait_seconds=3)
    assert (second.attempt, second.redelivered) == (2, True)

    await dead.decide([(first, Ack())])
    assert (await transport.backlog(QUEUE)).depth == 1, "a consumer without the lease can no longer decide"
    await alive.decide([(second, Ack())])
    assert (await transport.backlog(QUEUE)).depth == 0
    await dead.close()
    await alive.close()


async def test_a_message_that_kills_its_consumers_is_dead_lettered_after_the_limit(
    database: Database, transport: PostgresTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.core.messaging.postgres_transport._LEASE_SECONDS", 0)
    await transport.publish(QUEUE, [OutgoingMessage(b"killer")])
    consumer = await transport.consume(QUEUE)
    for _ in range(DELIVERY_LIMIT):
        assert len(await consumer.take(1, wait_seconds=1)) == 1

    assert await consumer.take(1, wait_seconds=0) == ()
    (letter,) = [letter async for letter in transport.dead_letters()]
    assert letter.reason == f"delivered {DELIVERY_LIMIT} times without a decision"
    await consumer.close()
