"""Unusual bodies over HTTP: a bad item affects only itself, gzip is decompressed within limits, error answers stay small."""

import asyncio
import gzip
import time
from typing import Any

import pytest

from faregate.wire import exact_json
from support.apps import Answer, Gateway

EVENTS = "/api/usage-events"
LOGS = "/api/feature-usage-logs"
ND = {"content-type": "application/x-ndjson"}
GZIP = {"content-encoding": "gzip"}
EVENT = b'{"user_id":"ada","service":"chat","id":"%d"}'
LOG = b'{"feature_endpoint_value":"chat","user_id":"ada","method":"POST","code":200,"status":"success","id":"%d"%s}'

BAD_ITEMS = [
    pytest.param(b'{"user_id":"ada\\u0000","service":"chat"}', id="NUL"),
    pytest.param(b'{"user_id":"ada","service":"chat","tags":["\\ud800"]}', id="half a pair"),
    pytest.param(b'{"user_id":"ada","service":"chat","model":"\xff"}', id="not UTF-8"),
    pytest.param(b'{"user_id":"ada","user_id":"bob","service":"chat"}', id="duplicate key"),
    pytest.param(b'{"user_id":"ada","service":"chat","credits":1e999}', id="exponent"),
    pytest.param(b'{"user_id":"ada","service":"chat","quantity":' + b"9" * 99 + b"}", id="digits"),
    pytest.param(b'{"user_id":"ada","service":"chat","metadata":' + b"[" * 99 + b"]" * 99 + b"}", id="depth"),
    pytest.param(b'{"user_id":"ada","service":"chat","credits":1e20}', id="credits out of range"),
    pytest.param(b'{"user_id":"ada","service":"chat","input_tokens":99999999999}', id="tokens out of range"),
    pytest.param(b"{" + b",".join(b'"k%d":1' % n for n in range(9000)) + b"}", id="fields"),
    pytest.param(b'{"user_id":"ada","service":"chat","tags":[' + b"1," * 9000 + b"1]}", id="tags"),
]


@pytest.mark.parametrize("item", BAD_ITEMS)
async def test_a_bad_event_does_not_affect_the_other_events(gateway: Gateway, item: bytes) -> None:
    """In an array and in lines: its index and a short reason are in the answer, and the other items count."""
    array = await gateway.call("POST", EVENTS, b"[" + EVENT % 1 + b"," + item + b"," + EVENT % 2 + b"]")
    lines = await gateway.call("POST", EVENTS, b"\n".join([EVENT % 3, item, EVENT % 4]), headers=ND)

    for answer in (array, lines):
        assert (answer.status, answer.data["accepted"]) == (202, 2), answer.body
        assert [rejected["index"] for rejected in answer.data["rejected"]] == [1]
        assert 5 < len(answer.data["rejected"][0]["error"]) < 400


async def test_only_the_line_that_is_too_long_is_rejected(gateway: Gateway) -> None:
    long = b'{"user_id":"ada","service":"chat","metadata":{"text":"' + b"x" * 300_000 + b'"}}'
    answer = await gateway.call("POST", EVENTS, b"\n".join([EVENT % 1, long, EVENT % 2]), headers=ND)

    assert answer.data["accepted"] == 2
    assert answer.data["rejected"] == [
        {"index": 1, "error": "a line is longer than 262144 bytes; end each event with a newline"}
    ]


async def test_texts_of_logs_are_repaired_and_names_are_refused(gateway: Gateway) -> None:
    """NUL and half a surrogate pair become U+FFFD in bodies; an id with them is refused, and the other items are stored."""
    items = [
        LOG % (1, b',"payload":{"a\\u0000":"x\\ud83d y"},"endpoint":"/a\\u0000"'),
        LOG % (2, b',"usage_key":"k\\ud800"'),
        LOG % (3, b',"code":1e999'),
        LOG % (4, b',"response":{"text":"caf\xe9"}'),
    ]
    answer = await gateway.call("POST", LOGS, b"[" + b",".join(items) + b"]")
    (first, last) = [(await gateway.get(f"{LOGS}/{log_id}")).data for log_id in answer.data["ids"]]

    assert (answer.status, answer.data["accepted"]) == (201, 2), answer.body
    assert [(r["index"], r["error"]["code"]) for r in answer.data["rejected"]] == [(1, "invalid"), (2, "malformed")]
    assert first["payload"] == {"a�": "x� y"}
    assert last["response"] == {"text": "caf�"}


async def test_a_settlement_is_not_refused_for_its_metadata_or_a_providers_texts(gateway: Gateway) -> None:
    """Free fields are repaired and stored; a name with half a pair is refused."""
    await gateway.feature("chat", min_credits=1)
    await gateway.grant("ada", 10)
    body = (
        b'{"user_id":"ada","feature_endpoint_value":"chat","usage_key":"k1","metadata":{"note":"a\\u0000b\\ud800"},'
        b'"usages":[{"usage":{"model":"gpt-4o","usage":{"prompt_tokens":1000,"completion_tokens":1},'
        b'"choices":[{"text":"\\ud83d"}]}}]}'
    )
    settled = await gateway.call("POST", "/api/credits-process/end-multimodel", body)
    story = await gateway.get("/api/credits-process/k1")
    wrong = await gateway.call("POST", "/api/credits-process/end-multimodel", body.replace(b"ada", b"a\\ud800"))

    assert (settled.status, settled.data["charged"] > 0) == (200, True), settled.body
    assert story.data["metadata"] == {"note": "a�b�"}
    assert (wrong.status, wrong.error["code"]) == (400, "malformed")


async def test_a_byte_order_mark_is_skipped(gateway: Gateway) -> None:
    mark = b"\xef\xbb\xbf"
    array = await gateway.call("POST", EVENTS, mark + b"[" + EVENT % 1 + b"]")
    lines = await gateway.call("POST", EVENTS, mark + EVENT % 2 + b"\n" + EVENT % 3, headers=ND)
    feature = await gateway.call("PUT", "/api/features/chat", mark + b'{"strategy":"token_priced"}')

    assert (array.data["accepted"], lines.data["accepted"], feature.status) == (1, 2, 200)


async def test_gzip_bodies_are_accepted(gateway: Gateway) -> None:
    """JSON, lines, and several gzip members; the answer is the same as without gzip."""
    array = gzip.compress(b"[" + EVENT % 1 + b"]")
    lines = b"".join(gzip.compress(EVENT % n + b"\n") for n in range(2, 2000))
    feature = gzip.compress(b'{"strategy":"token_priced"}')

    assert (await gateway.call("POST", EVENTS, array, headers=GZIP)).data["accepted"] == 1
    assert (await gateway.call("POST", EVENTS, lines, headers={**ND, **GZIP})).data["accepted"] == 1998
    assert (await gateway.call("PUT", "/api/features/chat", feature, headers=GZIP)).status == 200


@pytest.mark.parametrize(
    ("content", "headers", "status", "word"),
    [
        pytest.param(gzip.compress(b" " * 50_000_000), GZIP, 413, "larger", id="bomb"),
        pytest.param(gzip.compress(gzip.compress(b"[]")), GZIP, 400, "not UTF-8", id="twice"),
        pytest.param(b"[]", GZIP, 400, "gzip", id="not gzip"),
        pytest.param(gzip.compress(b"[" + EVENT % 1 + b"]")[:-9], GZIP, 400, "gzip", id="cut off"),
        pytest.param(gzip.compress(b"[]") + b"junk", GZIP, 400, "gzip", id="something behind it"),
        pytest.param(b"", GZIP, 400, "not JSON", id="empty"),
        pytest.param(b"[]", {"content-encoding": "br"}, 415, "Content-Encoding", id="br"),
        pytest.param(b"[]", {"content-encoding": "gzip, gzip"}, 415, "Content-Encoding", id="two codings"),
        pytest.param(gzip.compress(b"\n" * 70_000_000), {**ND, **GZIP}, 413, "larger", id="bomb of lines"),
    ],
)
async def test_bad_encodings_are_refused_by_name(
    gateway: Gateway, content: bytes, headers: dict[str, str], status: int, word: str
) -> None:
    refused = await gateway.call("POST", EVENTS, content, headers=headers)

    assert (refused.status, word in refused.error["detail"]) == (status, True), refused.body
    assert "Content-Type" not in refused.error["detail"]


async def test_a_million_wrong_lines_get_a_short_answer_and_do_not_block_others(gateway: Gateway) -> None:
    """The first hundred are listed, the others counted; other requests do not wait for long."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - began)

    watching = asyncio.create_task(watch())
    answer = await gateway.call("POST", EVENTS, b"1\n" * 1_000_000 + EVENT % 1, headers=ND)
    watching.cancel()

    assert (answer.status, answer.data["accepted"]) == (202, 1)
    assert [rejected["index"] for rejected in answer.data["rejected"]] == list(range(100))
    assert answer.data["rejected_unlisted"] == 999_900
    assert longest < 3


async def test_many_wrong_items_of_an_array_are_counted(gateway: Gateway) -> None:
    events = await gateway.call("POST", EVENTS, b"[" + b"1," * 999 + EVENT % 1 + b"]")
    logs = await gateway.call("POST", LOGS, b"[" + b"1," * 999 + LOG % (1, b"") + b"]")

    for answer in (events, logs):
        assert (len(answer.data["rejected"]), answer.data["rejected_unlisted"]) == (100, 899)
        assert answer.data["accepted"] == 1


async def test_many_wrong_items_of_a_list_are_refused_together(gateway: Gateway) -> None:
    """200,000 wrong ids in one list give one error, not one for each."""
    wrong = exact_json.dumps({"ids": ["?"] * 200_000})
    for method, path in (
        ("DELETE", f"{LOGS}/bulk"),
        ("POST", "/api/dead-letters/drop"),
    ):
        refused = await gateway.call(method, path, wrong)
        assert refused.status == 422
        assert len(exact_json.dumps(refused.body)) < 2_000

    fields = exact_json.dumps({f"k{n}": n for n in range(60_000)})
    unknown = await gateway.call("PUT", "/api/features/chat", fields)
    assert (unknown.status, len(exact_json.dumps(unknown.body)) < 2_000) == (422, True)


def _lists(kind: Any, schemas: dict[str, Any], path: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """Return the paths of lists without a bound in a schema."""
    if isinstance(kind, list):
        return [place for item in kind for place in _lists(item, schemas, path, seen)]
    if not isinstance(kind, dict):
        return []
    name = str(kind.get("$ref", "")).rpartition("/")[2]
    if name:
        return [] if name in seen else _lists(schemas[name], schemas, f"{path}/{name}", seen | {name})
    found = [path] if kind.get("type") == "array" and "maxItems" not in kind else []
    return found + [place for key, item in kind.items() for place in _lists(item, schemas, f"{path}.{key}", seen)]


async def test_every_list_in_a_body_has_a_bound(gateway: Gateway) -> None:
    """Arrays as whole bodies have the common bound of 1,000 items."""
    document: Answer = await gateway.get("/openapi.json")
    schemas = document.body["components"]["schemas"]
    unbounded = [
        place
        for path, calls in document.body["paths"].items()
        for method, call in calls.items()
        if isinstance(call, dict)
        for media in call.get("requestBody", {}).get("content", {}).values()
        for field in [media["schema"]]
        for place in _lists(field, schemas, f"{method} {path}")
        if "." in place.removeprefix(f"{method} {path}").replace(".anyOf", "")
    ]

    assert unbounded == []
