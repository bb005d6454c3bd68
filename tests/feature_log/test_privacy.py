"""One person: everything that is held is shown; after erasure no dump names them, and the books are the same."""

import gzip
import json
import subprocess
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from faregate.core.embedded import postgres_program
from faregate.core.partitions import Month
from faregate.credit.verify import Verifier
from support.apps import Gateway, open_gateway, settings_for

ID, EMAIL, TEXT = "canary-id-7f3a", "canary-7f3a@example.com", "canary-text-7f3a"
LOGS = "/api/feature-usage-logs"


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, log_archive_dir=tmp_path / "archive")) as gateway:
        yield gateway


def log(user: str, text: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "feature_endpoint_value": "chat",
        "user_id": user,
        "method": "POST",
        "code": 200,
        "status": "success",
        "id": f"{number}",
        "payload": {"prompt": f"{text} of {user}"},
        "response": {"text": text},
        "endpoint": f"/api/users/{user}/chat?q={text}",
        "time": "2026-10-05T10:00:00Z" if number % 2 else "2026-11-05T10:00:00Z",
        **more,
    }


async def live(gateway: Gateway, user: str, email: str, text: str) -> None:
    await gateway.feature("chat")
    await gateway.put(f"/api/wallets/{user}", {"email": email, "organization_id": "acme"})
    await gateway.put(f"/api/wallets/{user}", {"organization_id": None})
    await gateway.grant(user, 100, reason="welcome")
    line = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
    for number in range(3):
        started = await gateway.start(user, "chat", metadata={"note": text}, user_email=email)
        key = started.data["usage_key"]
        await gateway.end(user, "chat", usage_key=key, usages=[line], metadata={"note": text, "who": email})
        await gateway.post(
            LOGS, [log(user, text, n, id=f"{user}-{number}-{n}", user_email=email, usage_key=key) for n in range(4)]
        )
    await gateway.post(
        "/api/usage", {"user_id": user, "feature_key": "GENERATE_QUESTION_PAPER"}, idempotency_key=f"k-{user}"
    )
    await gateway.post(LOGS, log(user, text, 1, id="waiting"), prefer="respond-async")
    await gateway.feature(f"only-{text}"[:9], access={"users": [user, "carla"]})
    await gateway.feature(f"only-{text}"[:9], access={"users": [user, "carla", "dora"]})
    for owner in (user, "*"):
        quota = {
            "owner_id": owner,
            "meter": "credits",
            "period": "month",
            "limit": 10,
            "emails": [email, "ops@example.com"],
        }
        assert (await gateway.put("/api/quotas", quota)).status == 200


def dump(url: str) -> str:
    """Return what pg_dump writes of the whole database."""
    command = [str(postgres_program("pg_dump")), "--inserts", url]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout


def traces(text: str, word: str) -> list[str]:
    """Return where `word` stands in a dump, as text or as bytes."""
    return [line[:300] for line in text.splitlines() if word in line or word.encode().hex() in line]


async def sums(gateway: Gateway) -> tuple[Any, ...]:
    sql = "select sum(amount), count(*), sum(balance_after) from faregate.transfer"
    async with gateway.database.transaction() as session:
        (row,) = await gateway.database.rows(session, sql)
    return tuple(row)


async def test_an_export_holds_everything_and_only_that_person(gateway: Gateway) -> None:
    await live(gateway, ID, EMAIL, TEXT)
    await live(gateway, "bela", "bela@example.com", "other-text")
    exported = await gateway.get(f"/api/privacy/export?user_id={ID}")
    records = exported.data["records"]

    assert exported.status == 200
    assert (records["subject"][0]["user_id"], records["subject"][0]["email"]) == (ID, EMAIL)
    assert (len(records["feature_log"]), len(records["charge"]), len(records["usage_line"])) == (12, 4, 3)
    assert records["feature_log"][0]["payload"]["prompt"] == f"{TEXT} of {ID}"
    assert sum(transfer["credits"] for transfer in records["transfer"]) > 100
    assert records["charge"][0]["metadata"]["note"] == TEXT
    assert "bela" not in json.dumps(exported.body, default=str)
    assert (await gateway.get("/api/privacy/export?user_id=nobody")).status == 404


async def test_after_erasure_a_full_dump_holds_no_trace_and_the_books_are_the_same(
    gateway: Gateway, database_url: str, tmp_path: Path
) -> None:
    await live(gateway, ID, EMAIL, TEXT)
    await live(gateway, "bela", "bela@example.com", "other-text")
    retention = gateway.container.feature_log.container.retention()
    archived = (await retention.archive(Month(2026, 10))).rows
    before, first = await sums(gateway), dump(database_url)
    erased = await gateway.post("/api/privacy/erase", {"user_id": ID})
    text = dump(database_url)
    archive = gzip.open(next((tmp_path / "archive").glob("*.csv.gz")), "rt").read()  # noqa: SIM115

    assert [word for word in (ID, EMAIL, TEXT) if not traces(first, word)] == []
    assert (erased.status, erased.data["erased"]["feature_log"], erased.data["erased"]["feature_log_archived"]) == (
        200,
        6,
        6,
    )
    assert traces(text, ID) + traces(text, EMAIL) + traces(text, TEXT) == []
    assert "bela@example.com" in text
    assert (archived, ID in archive, archive.count("\n") - 1) == (12, False, 12)
    assert await sums(gateway) == before
    assert not (await Verifier(gateway.database).verify()).drifts
    assert (await gateway.get(f"/api/wallets/{ID}")).status == 404
    noted = [deed for deed in (await gateway.get("/api/audit?limit=1000")).data if deed["action"].startswith("privacy")]
    assert [deed["action"] for deed in noted] == ["privacy.erase"]
    assert noted[0]["target"]["rows"] == sum(erased.data["erased"].values())
    assert "carla" in text
    assert "ops@example.com" in text
    assert (await gateway.get("/api/wallets/bela")).data["balance"] < Decimal(100)
    assert (await gateway.post("/api/privacy/erase", {"user_id": ID})).status == 404
    assert (await retention.restore(Month(2026, 10))).rows == 12
