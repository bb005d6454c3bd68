"""Dead letters on RabbitMQ, by command and over HTTP, as on PostgreSQL."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.settings import Settings
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from support.apps import Gateway, open_gateway, running_worker, settings_for
from support.desk import Desk

LETTERS = "/api/dead-letters"


@pytest.fixture
def settings(database_url: str, broker_url: str) -> Settings:
    return settings_for(database_url, broker_url=broker_url)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with open_gateway(settings) as gateway:
        yield gateway


async def _buried(gateway: Gateway, settings: Settings, *features: str) -> list[str]:
    """Create dead letters from settlements of unknown features; return their ids."""
    transport = gateway.container.transport()
    bodies = [{"user_id": "ada", "feature_endpoint_value": name, "usage_key": name, "usages": []} for name in features]
    await transport.publish(QUEUE, [OutgoingMessage(exact_json.dumps(body)) for body in bodies])
    async with running_worker(settings), asyncio.timeout(30):
        while len(found := (await gateway.get(LETTERS)).data) < len(features):
            await asyncio.sleep(0.1)
    return [str(letter["id"]) for letter in found]


async def _settled(gateway: Gateway, settings: Settings, key: str) -> Any:
    async with running_worker(settings), asyncio.timeout(30):
        while (story := await gateway.get(f"/api/credits-process/{key}")).status != 200:
            await asyncio.sleep(0.1)
    return story.data["status"]


async def test_over_http_they_are_listed_shown_replayed_and_dropped(gateway: Gateway, settings: Settings) -> None:
    chat, draw = await _buried(gateway, settings, "chat", "draw")
    shown = (await gateway.get(f"{LETTERS}/{chat}")).data
    await gateway.feature("chat", min_credits=0)
    replayed = (await gateway.post(f"{LETTERS}/replay", {"ids": [chat]})).data["count"]
    left = [letter["id"] for letter in (await gateway.get(LETTERS)).data]
    dropped = (await gateway.post(f"{LETTERS}/drop", {"queue": QUEUE})).data["count"]
    gone = await gateway.get(f"{LETTERS}/{draw}")

    assert (shown["queue"], shown["body"]["usage_key"]) == (QUEUE, "chat")
    assert "unknown_feature" in shown["reason"]
    assert (replayed, left, dropped) == (1, [draw], 1)
    assert (gone.status, gone.error["code"]) == (404, "unknown_dead_letter")
    assert await _settled(gateway, settings, "chat") == "settled"


async def test_by_command_they_are_listed_shown_replayed_and_dropped(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, broker = Desk(monkeypatch, capsys), str(settings.broker_url)
    address = {"FAREGATE_DATABASE_URL": str(settings.database_url), "FAREGATE_BROKER_URL": broker}
    chat, draw = await _buried(gateway, settings, "chat", "draw")
    await gateway.feature("chat", min_credits=0)
    capsys.readouterr()  # what gateway and worker logged
    listed = await asyncio.to_thread(desk.type, "dlq", "list", "-o", "json", **address)
    shown = await asyncio.to_thread(desk.type, "dlq", "show", chat)
    replayed = await asyncio.to_thread(desk.type, "dlq", "replay", chat)
    dropped = await asyncio.to_thread(desk.type, "dlq", "drop", "--all")
    nobody = await asyncio.to_thread(desk.type, "dlq", "show", draw)

    assert [letter["id"] for letter in exact_json.loads(listed.out.encode())] == [chat, draw]
    assert '"usage_key":"chat"' in shown.out
    assert (replayed.out, dropped.out) == ("1 put back on their queues\n", "1 dropped\n")
    assert (nobody.code, "No dead letter" in nobody.err) == (1, True)
    assert await _settled(gateway, settings, "chat") == "settled"


async def test_on_the_broker_too_they_come_in_pages_and_binary_ones_in_base64(
    gateway: Gateway, settings: Settings
) -> None:
    """A replay sends the original bytes, and a page begins after the last one, even if that letter no longer exists."""
    transport = gateway.container.transport()
    bodies = [b"\xff\x00%d" % n for n in range(5)]
    await transport.publish(QUEUE, [OutgoingMessage(body) for body in bodies])
    async with running_worker(settings), asyncio.timeout(30):
        while await transport.count_dead() < len(bodies):
            await asyncio.sleep(0.1)
    first = await gateway.get(f"{LETTERS}?limit=2")
    second = await gateway.get(f"{LETTERS}?limit=2&cursor={first.body['meta']['next_cursor']}")
    await gateway.post(f"{LETTERS}/replay", {"ids": [first.data[1]["id"]]})
    gone = await gateway.get(f"{LETTERS}?limit=10&cursor={first.body['meta']['next_cursor']}")
    async with running_worker(settings), asyncio.timeout(30):
        while await transport.count_dead() < len(bodies):
            await asyncio.sleep(0.1)

    assert [letter["body_encoding"] for letter in first.data + second.data] == ["base64"] * 4
    assert [b64decode(letter["body"]) for letter in first.data + second.data] == bodies[:4]
    assert {b64decode(letter["body"]) for letter in gone.data} >= set(bodies[2:])
    assert gone.body["meta"]["next_cursor"] is None
    assert sorted([letter.body async for letter in transport.dead_letters()]) == bodies
