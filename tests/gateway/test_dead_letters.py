"""Dead letters over HTTP and by command: read, replayed, dropped."""

import asyncio
from base64 import b64encode

from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from support.apps import Gateway, running_worker, settings_for
from support.processes import run_command


async def buried(gateway: Gateway, database_url: str, *features: str) -> list[dict[str, object]]:
    """Create dead letters from settlements of unknown features."""
    transport = gateway.container.transport()
    bodies = [{"user_id": "ada", "feature_endpoint_value": name, "usage_key": name, "usages": []} for name in features]
    await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(exact_json.dumps(body)) for body in bodies])
    async with running_worker(settings_for(database_url)), asyncio.timeout(10):
        while len(found := (await gateway.get("/api/dead-letters")).data) < len(features):
            await asyncio.sleep(0.05)
    return list(found)


async def test_a_dead_letter_is_read_and_replayed_after_its_cause_is_fixed(gateway: Gateway, database_url: str) -> None:
    (letter,) = await buried(gateway, database_url, "chat")
    await gateway.feature("chat", min_credits=0)
    one = await gateway.get(f"/api/dead-letters/{letter['id']}")
    replayed = await gateway.post("/api/dead-letters/replay", {"ids": [letter["id"]]})
    async with running_worker(settings_for(database_url)), asyncio.timeout(10):
        while (await gateway.get("/api/credits-process/chat")).status != 200:
            await asyncio.sleep(0.05)

    assert "unknown_feature" in str(letter["reason"])
    assert (one.data["queue"], one.data["body"]["usage_key"]) == (SETTLE_MULTIMODEL_QUEUE, "chat")
    assert replayed.data["count"] == 1
    assert (await gateway.get("/api/dead-letters")).data == []


async def test_all_letters_of_a_queue_are_dropped_and_an_unknown_one_is_refused(
    gateway: Gateway, database_url: str
) -> None:
    await buried(gateway, database_url, "chat", "draw")
    wrong = await gateway.post("/api/dead-letters/drop", {})
    gone = await gateway.post("/api/dead-letters/drop", {"queue": SETTLE_MULTIMODEL_QUEUE})
    unknown = await gateway.get("/api/dead-letters/01a1fd76-48c0-7000-9819-84c565890778")

    assert (wrong.status, gone.data["count"]) == (422, 2)
    assert (unknown.status, unknown.error["code"]) == (404, "unknown_dead_letter")


async def test_the_commands_list_show_replay_and_drop(gateway: Gateway, database_url: str) -> None:
    first, second = [str(letter["id"]) for letter in await buried(gateway, database_url, "chat", "draw")]
    url = {"FAREGATE_DATABASE_URL": database_url}
    listed = await run_command("dlq", "list", "-o", "json", **url)
    shown = await run_command("dlq", "show", first, **url)
    replayed = await run_command("dlq", "replay", first, **url)
    dropped = await run_command("dlq", "drop", "--all", **url)
    vague = await run_command("dlq", "drop", **url)

    assert [letter["id"] for letter in exact_json.loads(listed.out.encode())] == [first, second]
    assert '"usage_key":"chat"' in shown.out
    assert (replayed.out, dropped.out) == ("1 put back on their queues\n", "1 dropped\n")
    assert (vague.code, "--all" in vague.err) == (1, True)


async def test_invalid_ids_match_no_letter(gateway: Gateway) -> None:
    """Ids that are not UUIDs, and the same one several times."""
    for call in ("replay", "drop"):
        answer = await gateway.post(f"/api/dead-letters/{call}", {"ids": ["nobody", "nobody", "0" * 32]})
        assert (answer.status, answer.data["count"]) == (200, 0), answer.body


JUNK = [b"\xff\xfe\x00binary", b"plain text", b'{"usage_key":"a\\u0000"}', b"\x00", b'{"a":' * 31 + b"1" + b"}" * 31]


async def dead(gateway: Gateway, database_url: str, *bodies: bytes) -> None:
    """Create dead letters from messages that cannot be settled."""
    transport = gateway.container.transport()
    for body in bodies:
        await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(body)])
    async with running_worker(settings_for(database_url)), asyncio.timeout(20):
        while await gateway.container.dead_letters().count() < len(bodies):
            await asyncio.sleep(0.05)


async def test_binary_bodies_are_shown_in_base64_and_replayed_unchanged(gateway: Gateway, database_url: str) -> None:
    """A binary letter does not hide others; `body_encoding` says how a body is shown; the command shows the same."""
    await dead(gateway, database_url, *JUNK)
    listed = await gateway.get("/api/dead-letters")
    shown = [(await gateway.get(f"/api/dead-letters/{letter['id']}")).data for letter in listed.data]
    command = await run_command("dlq", "show", listed.data[0]["id"], FAREGATE_DATABASE_URL=database_url)
    table = await run_command("dlq", "list", "-o", "json", FAREGATE_DATABASE_URL=database_url)
    before = [letter.body async for letter in gateway.container.transport().dead_letters()]
    replayed = await gateway.post("/api/dead-letters/replay", {"ids": [letter["id"] for letter in listed.data]})
    async with running_worker(settings_for(database_url)), asyncio.timeout(20):
        while len((again := await gateway.get("/api/dead-letters")).data) < len(JUNK):
            await asyncio.sleep(0.05)
    after = [letter.body async for letter in gateway.container.transport().dead_letters()]

    assert listed.status == 200, listed.body
    assert [letter["body_encoding"] for letter in listed.data] == ["base64", "text", "text", "base64", "text"]
    assert listed.data[0]["body"] == b64encode(JUNK[0]).decode()
    assert shown == listed.data
    assert b64encode(JUNK[0]).decode() in command.out
    assert [letter["body_encoding"] for letter in exact_json.loads(table.out.encode())] == [
        letter["body_encoding"] for letter in listed.data
    ]
    assert (before, replayed.data["count"], after, again.status) == (JUNK, len(JUNK), JUNK, 200)


async def test_dead_letters_come_in_pages(gateway: Gateway, database_url: str) -> None:
    """Each letter is listed once, also if earlier ones are dropped between two pages."""
    await dead(gateway, database_url, *[b"%d" % n for n in range(5)])
    ids = [letter["id"] for letter in (await gateway.get("/api/dead-letters")).data]
    seen: list[str] = []
    path: str | None = "/api/dead-letters?limit=2"
    while path is not None:
        page = await gateway.get(path)
        seen += [letter["id"] for letter in page.data]
        await gateway.post("/api/dead-letters/drop", {"ids": [page.data[-1]["id"]]})
        cursor = page.body["meta"]["next_cursor"]
        path = f"/api/dead-letters?limit=2&cursor={cursor}" if cursor else None
    wrong = await gateway.get("/api/dead-letters?cursor=WzAsMSwyXQ")

    assert seen == ids
    assert (wrong.status, wrong.error["param"]) == (422, "cursor")
