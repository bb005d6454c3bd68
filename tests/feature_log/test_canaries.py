"""Secrets in every field of every input reach no output: database, queue, dead letters, log, answers."""

import asyncio
import json
import subprocess
from typing import Any

import pytest
import structlog

from faregate.core.db.embedded import postgres_program
from faregate.core.logging import configure_logging
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.wire import exact_json
from faregate.wire.queues import FEATURE_LOG_QUEUE
from support.apps import Gateway, running_worker, settings_for

PATH = "/api/feature-usage-logs"
CANARY = "c4n4ryc4n4ry"
TOKEN = f"sk-proj-{CANARY}abcdefghijklmnop"

FIELDS = [
    *(
        "feature_endpoint_id",
        "feature_endpoint_value",
        "user_id",
        "user_email",
        "usage_key",
        "method",
        "payload",
        "response",
    ),
    *("params", "query", "code", "status", "endpoint", "type", "duration_ms", "id", "time", "unknown_field"),
]
BODIES: list[Any] = [
    {"password": CANARY},
    {"deep": [{"headers": {"Authorization": f"Bearer {CANARY}", "Cookie": f"sid={CANARY}"}}]},
    {"url": f"https://user:{CANARY}@host/?token={CANARY}", "note": f"my key is {TOKEN}"},
    {"json": json.dumps({"client_secret": CANARY}), "email": f"{CANARY}@example.com"},
    {TOKEN: 1, "pairs": [["x-api-key", CANARY]]},
]


def log(**more: Any) -> dict[str, Any]:
    return {
        "feature_endpoint_value": "chat",
        "user_id": "ada",
        "method": "POST",
        "code": 200,
        "status": "success",
        **more,
    }


def bodies() -> list[dict[str, Any]]:
    """Return valid and invalid logs, with a secret in each field."""
    in_bodies = [log(**{field: body}) for field in ("payload", "response", "params", "query") for body in BODIES]
    in_fields = [log(**{field: value}) for field in FIELDS for value in (TOKEN, {"password": CANARY}, [TOKEN, TOKEN])]
    in_texts = [log(endpoint=f"/x?api_key={CANARY}"), log(type=TOKEN), log(code=700, payload={"token": CANARY})]
    return [*in_bodies, *in_fields, *in_texts]


async def test_no_secret_reaches_an_output(
    gateway: Gateway, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(style="json", level="debug")
    transport = gateway.container.transport()
    sent = bodies()
    answers = [await gateway.post(PATH, sent)]
    answers += [await gateway.post(PATH, item) for item in sent]
    answers += [await gateway.post(PATH, item, prefer="respond-async") for item in sent]
    raw = [exact_json.dumps(item) for item in sent] + [f'{{"password": "{CANARY}", '.encode(), f'"{TOKEN}"'.encode()]
    await transport.publish(FEATURE_LOG_QUEUE, [OutgoingMessage(message) for message in [*raw, exact_json.dumps(sent)]])
    async with running_worker(settings_for(database_url)):
        while (await transport.backlog(FEATURE_LOG_QUEUE)).depth:
            await asyncio.sleep(0.05)
    answers.append(await gateway.get(f"{PATH}?limit=1000"))
    answers += [await gateway.get(f"{PATH}/{item['id']}") for item in answers[-1].data]
    answers.append(await gateway.get("/api/privacy/export?user_id=ada"))
    dump = subprocess.run(
        [str(postgres_program("pg_dump")), "--inserts", database_url], capture_output=True, check=True, text=True
    ).stdout
    told = capsys.readouterr()
    structlog.reset_defaults()
    sinks = {"answers": str([a.body for a in answers]), "dump": dump, "log": told.err + told.out}

    assert len(answers) > 150
    assert "[redacted" in sinks["dump"] + sinks["answers"]
    dead = [letter async for letter in transport.dead_letters()]
    assert len(dead) > 20
    for name, text in sinks.items():
        found = [line[:400] for line in text.splitlines() if CANARY in line or CANARY.encode().hex() in line]
        assert found == [], name
