"""Secrets in every field, parameter, path and header of every documented call reach no output."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any
from urllib.parse import quote

import aiormq
import structlog

from faregate.core.db.embedded import postgres_program
from faregate.core.logging import configure_logging
from faregate.wire import exact_json
from faregate.wire.queues import PUBLIC_QUEUES, USAGE_EVENTS_QUEUE
from support.apps import Gateway, open_gateway, settings_for

CANARY = "c4n4ryc4n4ry"
TOKEN = f"sk-proj-{CANARY}abcdefghijklmnop"
TEXTS = [TOKEN, f"see Bearer {CANARY}abcdef", f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"]
OBJECT = {"password": CANARY, "note": TEXTS[1], "deep": [{"text": f"eyJhbGciOiJIUzI1NiJ9.{CANARY}abcdef.{CANARY}"}]}

LATER = {"prefer": "respond-async"}
DEPTH = 2
PLAIN = {"ai_model": "gpt-4o"}
"""Fields that make an inner object valid, in addition to the field with the secret."""

BY_DESIGN = {"secret", "url", "parameters"}
"""Fields that are not redacted: a webhook's own secret and address, and the parameters of a host's strategy."""


def resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object behind a schema: the model of a reference, or the first alternative that has fields."""
    if "$ref" in schema:
        return resolved(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        found = resolved(document, choice)
        if "properties" in found:
            return found
    return schema


REPORTED = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": OBJECT, "model": "gpt-4o", **OBJECT}
"""A provider's usage object, with secrets in unknown fields."""

SPOILT: Mapping[str, Sequence[Any]] = {
    "usage": [REPORTED, {"usage": REPORTED, "model": TOKEN}, {"usage": {**REPORTED, "service_tier": TOKEN}}]
}
"""Values for fields that refuse any other object."""


def spoilt(document: Mapping[str, Any], name: str, schema: Mapping[str, Any], depth: int = 0) -> Iterator[Any]:
    """Return possible values of a field, with a secret in them: at the top, in each item, and in each field below."""
    kinds = str(schema)
    yield from TEXTS if "'string'" in kinds else TEXTS[:1]
    yield from SPOILT.get(name, ())
    if "'object'" in kinds or "additionalProperties" in kinds:
        yield OBJECT
    if "'array'" in kinds:
        yield TEXTS
    if depth < DEPTH:
        yield from below(document, schema, depth + 1)


def below(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> Iterator[Any]:
    """Return objects (or arrays of one) of a field, with a secret in one of their own fields."""
    found = [schema, *schema.get("anyOf", ())]
    items = next((part["items"] for part in found if "items" in part), None)
    inner = resolved(document, items if items is not None else schema)
    for field, described in inner.get("properties", {}).items():
        if field in BY_DESIGN:
            continue
        for value in spoilt(document, field, described, depth):
            whole = {**PLAIN, field: value}
            yield [whole] if items is not None else whole


def bodies(document: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[Any]:
    """Return the example body of a call unchanged, and with a secret in each of its fields, and of their fields."""
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    fields = resolved(document, content.get("schema", {})).get("properties", {})
    base = content.get("example", {})
    base = base[0] if isinstance(base, list) else base
    yield base
    for name, schema in fields.items():
        if name not in BY_DESIGN:
            yield from ({**base, name: value} for value in spoilt(document, name, schema))
    if "usage" in fields:
        counted = {key: value for key, value in base.items() if not key.endswith("tokens")}
        yield from ({**counted, "usage": value} for value in SPOILT["usage"])
    yield {**base, "unheard_of": TOKEN, TOKEN: CANARY}


def _is_stream(described: Mapping[str, Any]) -> bool:
    """Tell whether a call answers with events until its caller leaves."""
    return "text/event-stream" in described["responses"].get("200", {}).get("content", {})


def requests(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Mapping[str, str]]]:
    """Return method, path, body and headers of all calls to make."""
    names = ["x-request-id", "idempotency-key", "user-agent", "x-forwarded-for", "traceparent"]
    told: dict[str, str] = dict.fromkeys(names, TOKEN)
    for path, calls in document["paths"].items():
        for method, described in calls.items():
            ending = "?events=1" if _is_stream(described) else ""
            address = re.sub(r"{\w+}", "someone", path) + ending
            plain, *spoilt_bodies = bodies(document, described)
            yield from ((method, address, body, {}) for body in (plain, *spoilt_bodies))
            if "202" in described["responses"]:
                yield from ((method, address, body, LATER) for body in (plain, *spoilt_bodies))
            queries = [p["name"] for p in described["parameters"] if p["in"] == "query"]
            yield from (
                (method, f"{address}{'&' if ending else '?'}{name}={quote(TOKEN)}", plain, {}) for name in queries
            )
            yield method, re.sub(r"{\w+}", TOKEN, path) + ending, plain, {}
            yield method, address, plain, told


async def test_no_secret_in_any_field_of_any_call_reaches_an_output(gateway: Gateway, database_url: str) -> None:
    log, answers = StringIO(), list[str]()
    configure_logging(style="json", level="debug", stream=log)
    document = (await gateway.get("/openapi.json")).body
    await gateway.feature("ai_chat_v1", strategy="fixed", parameters={"credits": 1})
    await gateway.grant("user-1", 1000)
    headers = {"x-server-api-key": gateway.key, "content-type": "application/json"}
    for method, path, body, more in requests(document):
        answer = await gateway.http.request(
            method, path, content=exact_json.dumps(body) if body else None, headers={**headers, **more}
        )
        answers.append(f"{method} {path.replace(TOKEN, '…')}: {answer.status_code} {answer.text}")
        assert answer.status_code != 500, answers[-1]
    answers += [str(letter) async for letter in gateway.container.transport().dead_letters()]
    answers.append((await gateway.http.get("/api/privacy/export?user_id=user-1", headers=headers)).text)
    dump = subprocess.run(
        [str(postgres_program("pg_dump")), "--inserts", database_url], capture_output=True, check=True, text=True
    ).stdout
    structlog.reset_defaults()
    accepted = [answer for answer in answers if "credits-process/end" in answer and ": 202 " in answer]

    assert len(answers) > 300
    assert "[redacted" in dump
    assert len(accepted) > 10
    sinks = {"dump": dump.splitlines(), "answers": answers, "log": log.getvalue().splitlines()}
    for name, lines in sinks.items():
        found = [line[:300] for line in lines if CANARY in line or CANARY.encode().hex() in line]
        assert found == [], name


async def test_requests_queued_on_rabbitmq_contain_no_secrets(database_url: str, broker_url: str) -> None:
    async with open_gateway(settings_for(database_url, broker_url=broker_url)) as gateway:
        document = (await gateway.get("/openapi.json")).body
        headers = {"x-server-api-key": gateway.key, "content-type": "application/json"}
        for method, path, body, more in requests(document):
            if more == LATER:
                await gateway.http.request(
                    method, path, content=exact_json.dumps(body) if body else None, headers={**headers, **more}
                )
    queued = await messages_on(broker_url)

    assert len(queued) > 20
    assert {message.partition(" ")[0] for message in queued} == {*PUBLIC_QUEUES} - {USAGE_EVENTS_QUEUE}
    assert [line[:300] for line in queued if CANARY in line] == []


async def messages_on(broker_url: str) -> list[str]:
    """Return all messages of all queues, bodies and properties, as text."""
    found = list[str]()
    connection = await aiormq.connect(broker_url)
    try:
        channel = await connection.channel()
        for queue in PUBLIC_QUEUES:
            while (message := await channel.basic_get(queue, no_ack=True)).delivery_tag:
                found.append(f"{queue} {message.body!r} {message.header.properties}")
    finally:
        await connection.close()
    return found
