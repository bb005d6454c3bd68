"""Secrets in every field, query parameter, path and header of every call of the document are found in no sink."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any
from urllib.parse import quote

import structlog

from faregate.core.embedded import postgres_program
from faregate.core.logging import configure_logging
from support.apps import Gateway

CANARY = "c4n4ryc4n4ry"
TOKEN = f"sk-proj-{CANARY}abcdefghijklmnop"
TEXTS = [TOKEN, f"see Bearer {CANARY}abcdef", f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"]
OBJECT = {"password": CANARY, "note": TEXTS[1], "deep": [{"text": f"eyJhbGciOiJIUzI1NiJ9.{CANARY}abcdef.{CANARY}"}]}

BY_DESIGN = {"secret", "url", "parameters"}
"""What must keep its look: a webhook's own secret and address, and what a host's strategy is set up with."""


def resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object behind a schema: of a reference the model, of alternatives the first one that has fields."""
    if "$ref" in schema:
        return resolved(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        found = resolved(document, choice)
        if "properties" in found:
            return found
    return schema


def bodies(document: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[Any]:
    """Return the example body of a call as it stands, and with a secret in each of its fields."""
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    fields = resolved(document, content.get("schema", {})).get("properties", {})
    base = content.get("example", {})
    base = base[0] if isinstance(base, list) else base
    yield base
    for name, schema in fields.items():
        if name in BY_DESIGN:
            continue
        kinds = str(schema)
        yield from ({**base, name: text} for text in (TEXTS if "'string'" in kinds else TEXTS[:1]))
        if "'object'" in kinds or "additionalProperties" in kinds:
            yield {**base, name: OBJECT}
        if "'array'" in kinds:
            yield {**base, name: TEXTS}
    yield {**base, "unheard_of": TOKEN, TOKEN: CANARY}


def requests(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Mapping[str, str]]]:
    """Return method, path, body and headers of all calls to make."""
    names = ["x-request-id", "idempotency-key", "user-agent", "x-forwarded-for", "traceparent"]
    told: dict[str, str] = dict.fromkeys(names, TOKEN)
    for path, calls in document["paths"].items():
        address = re.sub(r"{\w+}", "someone", path)
        for method, described in calls.items():
            plain, *spoilt = bodies(document, described)
            yield from ((method, address, body, {}) for body in (plain, *spoilt))
            queries = [p["name"] for p in described["parameters"] if p["in"] == "query"]
            yield from ((method, f"{address}?{name}={quote(TOKEN)}", plain, {}) for name in queries)
            yield method, re.sub(r"{\w+}", TOKEN, path), plain, {}
            yield method, address, plain, told


async def test_no_secret_in_any_field_of_any_call_reaches_a_sink(gateway: Gateway, database_url: str) -> None:
    log, answers = StringIO(), list[str]()
    configure_logging(style="json", level="debug", stream=log)
    document = (await gateway.get("/openapi.json")).body
    await gateway.feature("ai_chat_v1", strategy="fixed", parameters={"credits": 1})
    await gateway.grant("user-1", 1000)
    headers = {"x-server-api-key": gateway.key, "content-type": "application/json"}
    for method, path, body, more in requests(document):
        answer = await gateway.http.request(method, path, json=body or None, headers={**headers, **more})
        answers.append(f"{method} {path.replace(TOKEN, '…')}: {answer.status_code} {answer.text}")
        assert answer.status_code != 500, answers[-1]
    answers += [str(letter) async for letter in gateway.container.core.container.transport().dead_letters()]
    answers.append((await gateway.http.get("/api/privacy/export?user_id=user-1", headers=headers)).text)
    dump = subprocess.run(
        [str(postgres_program("pg_dump")), "--inserts", database_url], capture_output=True, check=True, text=True
    ).stdout
    structlog.reset_defaults()

    assert len(answers) > 300
    assert "[redacted" in dump
    sinks = {"dump": dump.splitlines(), "answers": answers, "log": log.getvalue().splitlines()}
    for name, lines in sinks.items():
        found = [line[:300] for line in lines if CANARY in line or CANARY.encode().hex() in line]
        assert found == [], name
