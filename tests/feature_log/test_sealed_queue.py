"""Encryption of queued logs and webhook secrets; a key rotation under load loses nothing."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from worker.test_webhooks import Receiver, low, make_due, receiving

from faregate.core.clock import SystemClock
from faregate.core.messaging.interfaces import Ack, DeadLetter, OutgoingMessage
from faregate.core.privacy.key_ring import KeyRing, parse_keys
from faregate.core.webhooks.egress import Egress
from faregate.core.webhooks.endpoints import open_secret
from faregate.wire import exact_json
from faregate.wire.queues import FEATURE_LOG_QUEUE
from faregate.worker.handlers.feature_logs import FeatureLogHandler
from faregate.worker.webhooks import WebhookDeliverer
from support.apps import Gateway, open_gateway, settings_for

OLD, NEW = (f"{name}:" + base64.b64encode(bytes([n]) * 32).decode() for n, name in ((1, "old"), (2, "new")))
LOG = {"feature_endpoint_value": "chat", "user_id": "ada", "method": "POST", "code": 200, "status": "success"}
CANARY = {"payload": {"prompt": "canary-text"}, "user_email": "canary@example.com"}
_SECRETS = """
select endpoint_id::text || ' ' || secret || ' ' || coalesce(previous_secret, '') from faregate.webhook_endpoint
order by endpoint_id
"""
HOOK = {"url": "https://93.184.215.14/hook", "events": ["credits.low"]}


@pytest.fixture
async def gateways(database_url: str) -> AsyncIterator[list[Gateway]]:
    """Three gateways on one database: without keys, with the old key, and with the new key before the old one."""
    async with AsyncExitStack() as stack:
        rings = (None, OLD, f"{NEW},{OLD}")
        kept = [settings_for(database_url, log_keys=ring, webhook_allow_private=True) for ring in rings]
        yield [await stack.enter_async_context(open_gateway(settings)) for settings in kept]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def handler(gateway: Gateway) -> FeatureLogHandler:
    container = gateway.container
    logs, core = container.feature_log.container, container.core.container
    return FeatureLogHandler(logs.service(), core.transport(), logs.redactor(), core.ring())


async def consume(gateway: Gateway) -> list[Any]:
    """Handle all waiting messages; return the decisions."""
    consumer = await gateway.container.transport().consume(FEATURE_LOG_QUEUE)
    decided: list[Any] = []
    while deliveries := await consumer.take(100, wait_seconds=0):
        decisions = await handler(gateway).handle(deliveries)
        await consumer.decide(decisions)
        decided += [decision for _, decision in decisions]
    await consumer.close()
    return decided


async def texts(gateway: Gateway, sql: str) -> list[Any]:
    async with gateway.database.transaction() as session:
        return [row[0] for row in await gateway.database.rows(session, sql)]


async def enqueue(gateway: Gateway, number: int, **more: Any) -> None:
    answer = await gateway.post(
        "/api/feature-usage-logs", {**LOG, **CANARY, "id": str(number), **more}, prefer="respond-async"
    )
    assert answer.status == 202, answer.body


async def test_logs_are_encrypted_in_the_queue_and_stored_under_any_key_of_the_ring(gateways: list[Gateway]) -> None:
    plain, old, both = gateways
    await enqueue(old, 1)
    await enqueue(plain, 2)
    foreign = OutgoingMessage(exact_json.dumps({**LOG, **CANARY, "id": "3"}))
    await plain.container.transport().publish(FEATURE_LOG_QUEUE, [foreign])
    waiting = [bytes(body) for body in await texts(old, "select body from faregate.message")]
    decided = await consume(both)

    assert [b"canary" in body for body in waiting].count(False) == 1
    assert [type(decision) for decision in decided] == [Ack] * 3
    assert len((await both.get("/api/feature-usage-logs?user_id=ada")).data) == 3


async def test_a_message_whose_key_is_missing_is_dead_lettered_unchanged(gateways: list[Gateway]) -> None:
    """Once the key is back in the ring, it is replayed; none of it was shown or lost."""
    plain, old, both = gateways
    await enqueue(old, 1)
    (sealed,) = await texts(old, "select body from faregate.message")
    (decision,) = await consume(plain)
    erased = await plain.post("/api/privacy/erase", {"user_id": "nobody"})
    letters = (await plain.get("/api/dead-letters")).data
    await plain.post("/api/dead-letters/replay", {"ids": [letters[0]["id"]]})
    decided = await consume(both)

    assert isinstance(decision, DeadLetter)
    assert "'old' is not in FAREGATE_LOG_KEYS" in decision.reason
    assert exact_json.dumps(letters[0]["body"]) == bytes(sealed)
    assert (erased.status, [type(one) for one in decided]) == (404, [Ack])
    assert len((await both.get("/api/feature-usage-logs?user_id=ada")).data) == 1


async def test_invalid_items_are_dead_lettered_encrypted(gateways: list[Gateway]) -> None:
    _, old, _ = gateways
    await enqueue(old, 1, time="2010-01-01T00:00:00Z")
    await consume(old)
    bodies = [bytes(body) for body in await texts(old, "select body from faregate.message where dead_at is not null")]

    assert len(bodies) == 1
    assert b"canary" not in bodies[0]


async def test_an_erasure_includes_encrypted_messages(gateways: list[Gateway]) -> None:
    """Logs of the person are removed, those of others lose the mention; an undecryptable message fails the erasure."""
    plain, old, both = gateways
    await old.grant("ada-77", 1)
    await old.grant("ada", 1)
    for number, (user, text) in enumerate([("ada-77", "x"), ("ada", "for ada-77"), ("ada", "y")]):
        await enqueue(old, number, user_id=user, payload={"prompt": text})
    refused = await plain.post("/api/privacy/erase", {"user_id": "ada-77"})
    erased = await both.post("/api/privacy/erase", {"user_id": "ada-77"})
    await consume(both)
    found = (await both.get("/api/feature-usage-logs")).data
    shown = [(await both.get(f"/api/feature-usage-logs/{log['id']}")).data["payload"]["prompt"] for log in found]

    assert (refused.status, refused.error["code"]) == (refused.status, "log_sealed")
    assert refused.status >= 400
    assert erased.status == 200
    assert {log["user_id"] for log in found} == {"ada"}
    assert sorted(shown) == ["for [erased]", "y"]


async def test_webhook_secrets_are_encrypted_and_rotated(gateways: list[Gateway]) -> None:
    """Older plain secrets are read, too; the new ring encrypts both secrets of a rotation again."""
    plain, old, both = gateways
    made = [(await gateway.post("/api/webhooks", HOOK)).data for gateway in (plain, old)]
    turned = (await old.post(f"/api/webhooks/{made[0]['id']}/rotate", {})).data
    secrets = {made[0]["id"]: [turned["secret"], made[0]["secret"]], made[1]["id"]: [made[1]["secret"]]}
    first = " ".join(await texts(both, _SECRETS))
    store = both.container.webhooks()
    changed = [await both.database.run(store.reseal), await both.database.run(store.reseal)]
    after = {name: stored for name, *stored in (row.split() for row in await texts(both, _SECRETS))}
    only_new = KeyRing(parse_keys(NEW))

    assert [secret in first for kept in secrets.values() for secret in kept] == [False, True, False]
    assert changed == [2, 0]
    assert all(text.startswith("sealed:new:") for stored in after.values() for text in stored)
    assert secrets == {n: [open_secret(only_new, UUID(n), text) for text in stored] for n, stored in after.items()}
    assert "secret" not in (await both.get(f"/api/webhooks/{made[0]['id']}")).data
    assert await plain.database.run(plain.container.webhooks().endpoints), "lists need no key"


async def test_a_delivery_without_its_key_is_retried_with_the_reason(
    gateways: list[Gateway], receiver: Receiver
) -> None:
    """A missing key is a failed attempt and retried later; with the key it is delivered."""
    plain, old, both = gateways
    made = (await old.post("/api/webhooks", {**HOOK, "url": receiver.url})).data
    await low(old)
    assert await deliverer(plain).deliver_due() == 1
    (history,) = await texts(both, "select history::text from faregate.webhook_delivery")
    await make_due(both)
    assert await deliverer(both).deliver_due() == 1

    assert "'old' is not in FAREGATE_LOG_KEYS" in history
    ((headers, body),) = receiver.got
    assert Webhook(made["secret"]).verify(body, headers)["type"] == "credits.low"


async def test_a_rotation_under_load_loses_no_log_and_no_webhook(gateways: list[Gateway], receiver: Receiver) -> None:
    """Two generations of processes write, enqueue and deliver while everything is repeatedly encrypted again."""
    _, old, both = gateways
    hook = {"url": receiver.url, "events": ["settlement.completed"]}
    made = [(await gateway.post("/api/webhooks", hook)).data for gateway in (old, both)]
    await old.grant("ada", 1000)
    written = asyncio.Event()

    async def write(gateway: Gateway, first: int) -> None:
        for number in range(first, first + 15):
            await gateway.post("/api/feature-usage-logs", {**LOG, **CANARY, "id": f"direct-{number}"})
            await enqueue(gateway, number)
            use = {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"}
            assert (await gateway.post("/api/usage", use)).status == 201

    async def turn() -> int:
        done = 0
        while not written.is_set():
            done += await both.container.log_rotation().rotate()
            done += await both.database.run(both.container.webhooks().reseal)
            await consume(both)
            await deliverer(both).deliver_due()
        return done

    turning = asyncio.create_task(turn())
    await asyncio.gather(write(old, 0), write(both, 100))
    written.set()
    assert await turning > 0
    await consume(both)
    await both.container.log_rotation().rotate()
    while await deliverer(both, NEW).deliver_due():
        pass

    assert await texts(both, "select key_id from faregate.feature_log") == ["new"] * 60
    assert await texts(both, "select count(*) from faregate.message where queue = 'feature_usage_queue'") == [0]
    assert set(await texts(both, "select status from faregate.webhook_delivery")) == {"delivered"}
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 30
    assert all(any(_verifies(one["secret"], *got) for one in made) for got in receiver.got)
    assert len(receiver.got) == 60


def deliverer(gateway: Gateway, keys: str | None = None) -> WebhookDeliverer:
    ring = KeyRing(parse_keys(keys)) if keys else gateway.container.ring()
    return WebhookDeliverer(gateway.database, Egress(allow_private=True), SystemClock(), ring=ring)


def _verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True
