"""Feature logs over HTTP: Method B, searching and deleting."""

import asyncio
from typing import Any

import pytest

from faregate.wire.queues import FEATURE_LOG_QUEUE
from support.apps import Gateway

PATH = "/api/feature-usage-logs"


def body(**more: Any) -> dict[str, Any]:
    return {
        "feature_endpoint_id": "665f1b2c3d4e5f6a7b8c9d0e",
        "feature_endpoint_value": "ai_chat_v1",
        "user_id": "507f1f77bcf86cd799439011",
        "method": "POST",
        "code": 201,
        "status": "success",
        **more,
    }


async def test_a_log_is_stored_redacted_and_found_by_its_id(gateway: Gateway) -> None:
    stored = await gateway.post(
        PATH,
        body(
            user_email="Ada@Example.com",
            usage_key="ride-1",
            payload={"prompt": "hi", "password": "hunter2", "max_tokens": 100, "top_p": 0.9},
            response={"text": "hello"},
            params={"id": "7"},
            query={"token": "abc"},
            endpoint="/api/v1/chats/507f1f77bcf86cd799439011/messages",
            type="chat",
            duration_ms=812,
        ),
    )
    log = (await gateway.get(f"{PATH}/{stored.data['id']}")).data

    assert (stored.status, stored.data["duplicate"]) == (201, False)
    assert log["payload"] == {
        "prompt": "hi",
        "password": "[redacted]",
        "max_tokens": 100,
        "top_p": log["payload"]["top_p"],
    }
    assert (log["response"], log["params"], log["query"]) == ({"text": "hello"}, {"id": "7"}, {"token": "[redacted]"})
    assert (log["user_email"], log["usage_key"], log["duration_ms"]) == ("ada@example.com", "ride-1", 812)
    assert (log["endpoint"], log["type"]) == ("/api/v1/chats/507f1f77bcf86cd799439011/messages", "chat")
    assert (log["feature_endpoint_value"], log["code"], log["status"]) == ("ai_chat_v1", 201, "success")


async def test_an_array_is_handled_item_by_item(gateway: Gateway) -> None:
    """A bad item is refused with its fields and reasons, and does not affect the others."""
    items = [
        body(id="a"),
        body(code=700),
        body(id="b"),
        body(user_id="org:acme"),
        "text",
        body(method="FETCH", code="1"),
    ]
    answer = await gateway.post(PATH, items)

    assert (answer.status, answer.data["accepted"], len(answer.data["ids"])) == (201, 2, 2)
    assert {item["index"]: item["error"]["param"] for item in answer.data["rejected"]} == {
        1: "code",
        3: "user_id",
        4: "body",
        5: "method",
    }
    assert [field["param"] for field in answer.data["rejected"][-1]["error"]["fields"]] == ["method", "code"]


async def test_an_array_of_which_nothing_can_be_stored_is_refused(gateway: Gateway) -> None:
    answer = await gateway.post(PATH, [body(code=0), {}])

    assert (answer.status, answer.data["accepted"], len(answer.data["rejected"])) == (422, 0, 2)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"feature_endpoint_id": None, "feature_endpoint_value": None}, "body"),
        ({"user_id": ""}, "user_id"),
        ({"code": 99}, "code"),
        ({"code": True}, "code"),
        ({"status": "ok"}, "status"),
        ({"method": "HEAD"}, "method"),
        ({"payload": "text"}, "payload"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2020-01-01T00:00:00Z"}, "time"),
        ({"time": "2100-01-01T00:00:00Z"}, "time"),
    ],
)
async def test_an_invalid_field_is_named_in_the_error(gateway: Gateway, change: dict[str, Any], param: str) -> None:
    answer = await gateway.post(PATH, body(**change))

    assert (answer.status, answer.error["param"]) == (422, param)


async def test_a_repeated_log_is_stored_once(gateway: Gateway) -> None:
    """By id, by content, by Idempotency-Key; also within one array and concurrently."""
    by_id = [await gateway.post(PATH, body(id="one", payload={"n": n})) for n in range(2)]
    by_content = await asyncio.gather(*(gateway.post(PATH, body(payload={"n": 1})) for _ in range(8)))
    by_key = [await gateway.post(PATH, body(duration_ms=7), idempotency_key="k1") for _ in range(2)]
    other = await gateway.post(PATH, body(duration_ms=8), idempotency_key="k1")
    array = await gateway.post(PATH, [body(id="two"), body(id="two"), body(id="one")])
    listed = await gateway.get(PATH)

    assert len({answer.data["id"] for answer in by_id}) == 1
    assert len({answer.data["id"] for answer in by_content}) == 1
    assert by_key[0].data == by_key[1].data
    assert (other.status, other.error["code"]) == (409, "key_conflict")
    assert (array.data["accepted"], array.data["duplicates"]) == (3, 2)
    assert len(listed.data) == 4


async def test_every_filter_finds_its_logs_and_pages_are_contiguous(gateway: Gateway) -> None:
    items = [
        body(
            id=str(n),
            user_id=f"user-{n % 3}",
            user_email=f"user-{n % 3}@example.com",
            feature_endpoint_value=f"feature-{n % 2}",
            usage_key=f"key-{n}",
            method=["GET", "POST"][n % 2],
            code=[200, 500][n % 5 == 0],
            status="failed" if n % 5 == 0 else "success",
            endpoint=f"/api/area-{n % 4}/things/{n}",
            type="batch" if n == 7 else "chat",
            time=f"2026-11-{10 + n % 10}T08:00:00Z",
        )
        for n in range(30)
    ]
    await gateway.post(PATH, items)

    async def found(query: str) -> int:
        answer = await gateway.get(f"{PATH}?{query}")
        assert answer.status == 200, answer.body
        return len(answer.data)

    assert await found("user_id=user-1") == 10
    assert await found("user_email=USER-1@example.com") == 10
    assert await found("feature=feature-0") == 15
    assert await found("feature=665f1b2c3d4e5f6a7b8c9d0e") == 30
    assert await found("usage_key=key-4") == 1
    assert await found("status=failed") == 6
    assert await found("code=500") == 6
    assert await found("method=GET") == 15
    assert await found("from=2026-11-12T00:00:00Z&to=2026-11-14T00:00:00Z") == 6
    assert await found("q=AREA-3") == 7
    assert await found("q=failed") == 6
    assert await found("q=batch") == 1
    assert await found("q=100%25") == 0
    assert await found("user_id=user-1&feature=feature-1&q=area") == 5
    assert await found("user_id=nobody") == 0

    seen: list[str] = []
    cursor = ""
    while True:
        page = await gateway.get(f"{PATH}?feature=feature-0&limit=4{cursor}")
        seen += [log["id"] for log in page.data]
        if page.body["meta"]["next_cursor"] is None:
            break
        cursor = "&cursor=" + page.body["meta"]["next_cursor"]
    assert len(seen) == len(set(seen)) == 15


async def test_deleting_hides_and_permanent_deletion_removes(gateway: Gateway) -> None:
    ids = (await gateway.post(PATH, [body(id=str(n)) for n in range(6)])).data["ids"]
    hidden = await gateway.call("DELETE", f"{PATH}/{ids[0]}")
    again = await gateway.call("DELETE", f"{PATH}/{ids[0]}")
    removed = await gateway.call("DELETE", f"{PATH}/{ids[1]}/permanent")
    bulk = await gateway.call("DELETE", f"{PATH}/bulk", {"ids": ids[2:4]})
    wiped = await gateway.call("DELETE", f"{PATH}/bulk", {"ids": ids[3:5], "permanent": True})

    assert (hidden.status, again.status, removed.status) == (200, 404, 200)
    assert (set(bulk.data["deleted"]), set(wiped.data["deleted"])) == (set(ids[2:4]), set(ids[3:5]))
    assert [log["id"] for log in (await gateway.get(PATH)).data] == [ids[5]]
    assert {log["id"] for log in (await gateway.get(f"{PATH}?deleted=true")).data} == {ids[0], ids[2]}
    assert (await gateway.get(f"{PATH}/{ids[0]}")).data["deleted_by"] == "bootstrap"
    assert (await gateway.get(f"{PATH}/{ids[1]}")).status == 404


async def test_respond_async_puts_the_redacted_body_on_the_queue(gateway: Gateway) -> None:
    answer = await gateway.post(PATH, [body(payload={"password": "hunter2"}), body(code=0)], prefer="respond-async")
    async with gateway.database.transaction() as session:
        rows = await gateway.database.rows(session, "select queue, body from faregate.message")

    assert (answer.status, answer.data["accepted"], len(answer.data["rejected"])) == (202, 1, 1)
    assert [row.queue for row in rows] == [FEATURE_LOG_QUEUE]
    assert b"hunter2" not in rows[0].body
    assert b"[redacted]" in rows[0].body


async def test_a_log_and_its_use_refer_to_each_other(gateway: Gateway) -> None:
    """The detail view joins hold, lines, transactions and events by `usage_key`; the story of the use lists its logs.

    A log of another user with the same key is stored, and is not part of the story.
    """
    await gateway.feature("chat")
    await gateway.grant("ada", 100)
    key = (await gateway.start("ada", "chat")).data["usage_key"]
    line = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
    settled = await gateway.end("ada", "chat", usage_key=key, usages=[line])
    common = {"feature_endpoint_id": None, "feature_endpoint_value": "chat", "usage_key": key, "payload": {"a": 1}}
    stored = await gateway.post(PATH, body(**common, user_id="ada", user_email="ada@example.com"))
    strange = await gateway.post(PATH, body(**common, user_id="bela"))
    log = (await gateway.get(f"{PATH}/{stored.data['id']}")).data
    told = (await gateway.get(f"/api/credits-process/{key}")).data

    assert (log["use"]["status"], log["use"]["credits_charged"]) == ("settled", settled.data["charged"])
    assert [(item["ai_model"], item["input_tokens"]) for item in log["use"]["details"]] == [("gpt-4o", 1000)]
    assert sum(transaction["amount"] for transaction in log["use"]["transactions"]) == -settled.data["charged"]
    assert [event["kind"] for event in log["events"]] == ["request", "line"]
    assert {name: told[name] for name in log["use"]} == log["use"]
    assert told["events"] == log["events"]
    assert [item["id"] for item in told["feature_logs"]] == [stored.data["id"]]
    assert "ada@example.com" not in str(told)
    assert "bela" not in str(told)
    other = (await gateway.get(f"{PATH}/{strange.data['id']}")).data
    assert (other["use"], other["events"]) == (None, [])
