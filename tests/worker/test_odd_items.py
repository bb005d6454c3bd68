"""Unusual items on every queue: each becomes a dead letter alone, and the others are settled, counted and stored."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from faregate.core.messaging.interfaces import DeadMessage, OutgoingMessage
from faregate.core.settings import Settings
from faregate.wire import exact_json
from faregate.wire.queues import (
    FEATURE_LOG_QUEUE,
    PUBLIC_QUEUES,
    SETTLE_MULTIMODEL_QUEUE,
    SETTLE_QUEUE,
    USAGE_EVENTS_QUEUE,
)
from support.apps import Gateway, open_gateway, running_worker, settings_for

SETTLE = b'{"user_id":"ada","feature_endpoint_id":"chat","ai_model":"gpt-4o","input_tokens":10%s}'
MULTI = b'{"user_id":"ada","feature_endpoint_id":"chat","usages":[{"ai_model":"gpt-4o","input_tokens":10}]%s}'
EVENT = b'{"user_id":"ada","service":"chat"%s}'
LOG = b'{"feature_endpoint_value":"chat","user_id":"ada","method":"POST","code":200,"status":"success"%s}'
FORMS = {SETTLE_QUEUE: SETTLE, SETTLE_MULTIMODEL_QUEUE: MULTI, USAGE_EVENTS_QUEUE: EVENT, FEATURE_LOG_QUEUE: LOG}

BAD = [
    b',"usage_key":"k\\u0000"',
    b',"usage_key":"k\\ud800"',
    b',"usage_key":"\xff"',
    b',"usage_key":"k\n"',
    b',"x":1,"x":2',
    b',"metadata":{"n":NaN}',
    b',"metadata":{"n":1e999}',
    b',"metadata":{"n":' + b"9" * 70 + b"}",
    b',"metadata":' + b"[" * 99 + b"]" * 99,
    b',"metadata":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
]
"""Changes that make an item of any form invalid."""


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with open_gateway(settings) as gateway:
        await gateway.feature("chat", min_credits=0)
        await gateway.grant("ada", 100)
        yield gateway


async def _worked(gateway: Gateway, settings: Settings) -> list[DeadMessage]:
    """Run a worker until all queues are empty; return the dead letters."""
    transport = gateway.container.transport()
    async with running_worker(settings), asyncio.timeout(30):
        while sum([(await transport.backlog(queue)).depth for queue in PUBLIC_QUEUES]):
            await asyncio.sleep(0.05)
    return [letter async for letter in transport.dead_letters()]


def _named(bad: bytes, number: int) -> bytes:
    return b',"id":"bad%d"' % number + bad


async def _count(gateway: Gateway, table: str) -> int:
    async with gateway.database.transaction() as session:
        ((count,),) = await gateway.database.rows(session, f"select count(*) as n from faregate.{table}")
    return int(count)


async def test_one_bad_item_becomes_a_dead_letter_alone_on_every_queue(gateway: Gateway, settings: Settings) -> None:
    """Its dead letter has the original item and the reason; the others are settled, counted and stored."""
    transport = gateway.container.transport()
    for queue, form in FORMS.items():
        arrays = [
            b"["
            + form % (b',"id":"a%d"' % n)
            + b","
            + form % _named(bad, n)
            + b","
            + form % (b',"id":"b%d"' % n)
            + b"]"
            for n, bad in enumerate(BAD)
        ]
        await transport.publish(queue, [OutgoingMessage(array) for array in arrays])
    dead = await _worked(gateway, settings)
    letters = {queue: [letter for letter in dead if letter.queue == queue] for queue in FORMS}
    logs = (await gateway.get("/api/feature-usage-logs?limit=1000")).data

    assert all(letter.reason.startswith(("malformed", "invalid")) for letter in dead), [one.reason for one in dead]
    for queue in (SETTLE_QUEUE, SETTLE_MULTIMODEL_QUEUE, USAGE_EVENTS_QUEUE):
        assert sorted(letter.body for letter in letters[queue]) == sorted(
            FORMS[queue] % _named(bad, n) for n, bad in enumerate(BAD)
        )
    assert await _count(gateway, "charge") == 2 * 2 * len(BAD)
    assert len(logs) + len(letters[FEATURE_LOG_QUEUE]) == 3 * len(BAD), "a log is lost (redaction mends some)"
    assert len(logs) >= 2 * len(BAD)


async def test_free_texts_are_repaired_and_stop_nothing(gateway: Gateway, settings: Settings) -> None:
    """NUL in metadata or in a log's body becomes U+FFFD, for one message and for an item of an array."""
    transport = gateway.container.transport()
    bad = b',"metadata":{"note":"a\\u0000b\\ud800"}'
    await transport.publish(SETTLE_QUEUE, [OutgoingMessage(SETTLE % (bad + b',"usage_key":"one"'))])
    await transport.publish(
        SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(b"[" + MULTI % (bad + b',"usage_key":"two"') + b"]")]
    )
    await transport.publish(USAGE_EVENTS_QUEUE, [OutgoingMessage(EVENT % (bad + b',"id":"e1"'))])
    await transport.publish(FEATURE_LOG_QUEUE, [OutgoingMessage(LOG % b',"payload":{"a":"\\u0000"}')])
    dead = await _worked(gateway, settings)
    (log,) = (await gateway.get("/api/feature-usage-logs")).data
    stories = [(await gateway.get(f"/api/credits-process/{key}")).data for key in ("one", "two")]

    assert dead == []
    assert [story["metadata"] for story in stories] == [{"note": "a�b�"}] * 2
    assert (await gateway.get(f"/api/feature-usage-logs/{log['id']}")).data["payload"] == {"a": "�"}
    assert await _count(gateway, "usage_event") >= 1


async def test_bytes_that_are_not_json_become_a_dead_letter_and_stop_nothing(
    gateway: Gateway, settings: Settings
) -> None:
    transport = gateway.container.transport()
    junk = [b"\x00\xff\xfe", b"", b"[", b"[" * 100_000, b"\x1f\x8b\x08\x00", "{}".encode("utf-16")]
    for queue in FORMS:
        await transport.publish(queue, [OutgoingMessage(body) for body in junk])
    dead = await _worked(gateway, settings)
    listed = await gateway.get("/api/dead-letters")

    assert len(dead) == len(junk) * len(FORMS)
    assert (listed.status, len(listed.data)) == (200, len(dead))
    assert exact_json.dumps(listed.body)
