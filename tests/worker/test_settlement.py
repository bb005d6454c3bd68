"""Settlement of messages: once, in batches, beside any other message."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.messaging.interfaces import DeadMessage, ITransport, OutgoingMessage
from faregate.core.settings import Settings
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE
from support.apps import Gateway, open_gateway, running_worker, settings_for

LINE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
COST = Decimal("0.42")


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with open_gateway(settings) as gateway:
        await gateway.feature("chat", min_credits=1)
        await gateway.grant("ada", 100)
        yield gateway


@pytest.fixture
def transport(gateway: Gateway) -> ITransport:
    return gateway.container.transport()


def _body(key: str | None = None, **more: Any) -> dict[str, Any]:
    named = {"usage_key": key} if key else {}
    return {"user_id": "ada", "feature_endpoint_id": "chat", "usages": [LINE], **named, **more}


async def _publish(transport: ITransport, *bodies: Any, queue: str = SETTLE_MULTIMODEL_QUEUE) -> None:
    encoded = [body if isinstance(body, bytes) else exact_json.dumps(body) for body in bodies]
    await transport.publish(queue, [OutgoingMessage(body) for body in encoded])


async def _drain(transport: ITransport, settings: Settings) -> list[DeadMessage]:
    """Run a worker until both queues are empty; return the messages that it could not settle."""
    async with running_worker(settings):
        for _ in range(200):
            depths = [(await transport.backlog(queue)).depth for queue in (SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE)]
            if sum(depths) == 0:
                break
            await asyncio.sleep(0.05)
    return [letter async for letter in transport.dead_letters()]


async def test_a_published_settlement_is_settled(gateway: Gateway, transport: ITransport, settings: Settings) -> None:
    key = (await gateway.start("ada", "chat")).data["usage_key"]
    await _publish(transport, _body(key))
    dead = await _drain(transport, settings)
    story = (await gateway.get(f"/api/credits-process/{key}")).data

    assert dead == []
    assert (story["status"], story["credits_charged"], story["flags"]) == ("settled", COST, [])
    assert (await gateway.get("/api/wallets/ada")).data["held"] == 0


async def test_both_queues_accept_their_bodies(gateway: Gateway, transport: ITransport, settings: Settings) -> None:
    flat = {
        "user_id": "ada",
        "feature_endpoint_id": "chat",
        "usage_key": "flat",
        "ai_model": "gpt-4o",
        "input_tokens": 1000,
    }
    await _publish(transport, flat, queue=SETTLE_QUEUE)
    await _publish(transport, _body("multi"))

    assert await _drain(transport, settings) == []
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - COST - Decimal("0.3")


async def test_a_message_may_be_an_array(gateway: Gateway, transport: ITransport, settings: Settings) -> None:
    await _publish(transport, [_body(f"k{n}") for n in range(20)])

    assert await _drain(transport, settings) == []
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - 20 * COST


async def test_the_same_message_again_is_charged_once(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    await _publish(transport, *[_body("K", duration=n) for n in range(5)])

    assert await _drain(transport, settings) == []
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - COST


POISON = [
    (b"not json", "malformed"),
    (b"\xff\xfe\x00", "malformed"),
    (b"5", "malformed"),
    (b"[1]", "invalid"),
    (b"[" * 500, "malformed"),
    (exact_json.dumps(_body("x", usages="many")), "invalid"),
    (exact_json.dumps(_body("x", usages=[{**LINE, "input_tokens": 10**10}])), "invalid"),
    (exact_json.dumps(_body("x", usages=[{**LINE, "input_tokens": -1}])), "invalid"),
    (exact_json.dumps(_body("x", user_id="org:acme")), "invalid"),
    (exact_json.dumps(_body("x", feature_endpoint_id="unheard-of")), "unknown_feature"),
    (b'{"user_id":"ada","user_id":"bela"}', "malformed"),
    (exact_json.dumps([_body()] * 1001), "invalid"),
]


async def test_invalid_messages_become_dead_letters_with_reason_and_the_others_settle(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    messages: list[Any] = []
    for number, (body, _) in enumerate(POISON):
        messages += [_body(f"good-{number}"), body]
    await _publish(transport, *messages)
    dead = await _drain(transport, settings)

    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - len(POISON) * COST
    reasons = {letter.body: letter.reason.partition(":")[0] for letter in dead}
    assert reasons == dict(POISON)


async def test_only_the_bad_item_of_an_array_becomes_a_dead_letter(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    await _publish(transport, [_body("a"), {"user_id": "ada"}, _body("b")])
    dead = await _drain(transport, settings)

    assert [exact_json.loads(letter.body) for letter in dead] == [{"user_id": "ada"}]
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - 2 * COST


async def test_a_conflicting_settlement_becomes_a_dead_letter(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    await _publish(transport, _body("K"), _body("K", usages=[LINE, LINE]))
    (letter,) = await _drain(transport, settings)

    assert letter.reason.startswith("key_conflict")
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - COST


async def test_a_keyless_message_is_charged_once_by_its_message_id(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    await _publish(transport, _body(), [_body(), _body()])

    assert await _drain(transport, settings) == []
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - 3 * COST


async def test_a_thousand_messages_are_settled_in_batches(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    await gateway.grant("ada", 1000)
    await _publish(transport, *[_body(f"k{n}") for n in range(1000)])

    assert await _drain(transport, settings) == []
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 1100 - 1000 * COST


async def test_expired_holds_are_released_without_any_call(gateway: Gateway, settings: Settings) -> None:
    started = await gateway.start("ada", "chat", ttl_seconds=1, estimated_credits=50)
    async with running_worker(settings):
        held = 50
        while held:
            await asyncio.sleep(0.1)
            async with gateway.database.transaction() as session:
                held = (await gateway.database.rows(session, "select held from faregate.wallet limit 1"))[0].held

    assert started.data["hold"] == 50


async def test_holds_do_not_expire_while_settlement_is_behind(gateway: Gateway, transport: ITransport) -> None:
    """A backlog must not release credits that are spent: their settlement has only not been read yet."""
    heartbeats = gateway.container.heartbeats()
    clock = gateway.container.clock()
    await heartbeats.report("slow worker", "worker", settled_until=clock.now() - timedelta(minutes=1))
    started = (await gateway.start("ada", "chat", ttl_seconds=1, estimated_credits=50)).data
    while clock.now() <= datetime.fromisoformat(started["expires_at"]):
        await asyncio.sleep(0.02)
    behind = (await gateway.get("/api/wallets/ada")).data["held"]
    settled = await gateway.end("ada", "chat", usage_key=started["usage_key"], usages=[LINE])
    await heartbeats.forget("slow worker")

    assert behind == 50
    assert settled.data["flags"] == []


async def test_an_unknown_token_count_becomes_a_dead_letter_with_the_right_name(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    """The hold stays, so that the corrected body settles it."""
    key = (await gateway.start("ada", "chat")).data["usage_key"]
    flat = {"user_id": "ada", "feature_endpoint_id": "chat", "usage_key": key, "ai_model": "gpt-4o"}
    await _publish(transport, {**flat, "inputTokens": 1000}, flat, queue=SETTLE_QUEUE)
    await _publish(transport, _body(key, usages=[{"ai_model": "gpt-4o", "output_reasoning_token": 5}]))
    reasons = sorted(letter.reason for letter in await _drain(transport, settings))
    before = (await gateway.get(f"/api/credits-process/{key}")).data["status"]
    await _publish(transport, {**flat, "input_tokens": 1000, "output_tokens": 100}, queue=SETTLE_QUEUE)

    assert [reason.partition(" is wrong: ")[2] for reason in reasons] == [
        "a line of a model needs its counts; send input_tokens and output_tokens, 0 if none were used",
        "inputTokens is not known here; did you mean input_tokens?",
        "output_reasoning_token is not known here; did you mean output_reasoning_tokens?",
    ]
    assert before == "open"
    assert len(await _drain(transport, settings)) == 3
    assert (await gateway.get(f"/api/credits-process/{key}")).data["credits_charged"] == COST


async def test_a_settlement_for_an_invalid_organisation_becomes_a_dead_letter_with_reason(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    """For an unknown organisation, and for one without the user as member; nothing is charged."""
    await gateway.put("/api/organizations/acme", {"policy": "pooled"})
    await gateway.grant("org:acme", 100)
    await _publish(transport, _body("a", organization_id="typo"), _body("b", organization_id="acme"))
    dead = await _drain(transport, settings)

    assert sorted((letter.reason or "").partition(":")[0] for letter in dead) == [
        "not_a_member",
        "unknown_organization",
    ]
    assert [(await gateway.get(f"/api/wallets/{owner}")).data["balance"] for owner in ("ada", "org:acme")] == [100, 100]


async def test_a_queued_settlement_counts_against_the_cap_of_its_key(
    gateway: Gateway, transport: ITransport, settings: Settings
) -> None:
    """A use that was never started, sent with `Prefer: respond-async`; the next one is refused at once."""
    cap = {"credits": COST, "period": "day"}
    made = (await gateway.post("/api/keys", {"name": "shop", "scopes": ["credits:process"], "spend_cap": cap})).data
    headers = {"x-server-api-key": made["key"], "Prefer": "respond-async"}
    path = "/api/credits-process/end-multimodel"
    accepted = await gateway.call("POST", path, _body("a"), headers=headers)
    dead = await _drain(transport, settings)
    used = (await gateway.get(f"/api/keys/{made['key_id']}")).data["spend_caps"][0]
    start = {"user_id": "ada", "feature_endpoint_id": "chat", "estimated_credits": 1}
    refused = await gateway.call("POST", "/api/credits-process/start", start, headers={"x-server-api-key": made["key"]})

    assert (accepted.status, dead) == (202, [])
    assert (used["spent"], refused.status, refused.error["code"]) == (COST, 402, "member_limit")
