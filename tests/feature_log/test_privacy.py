"""Privacy: an export shows all data; after an erasure no dump names the person, and the ledger is unchanged."""

import gzip
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from faregate.analytics.retention.archiving import EventArchive
from faregate.core.clock import FixedClock, SystemClock
from faregate.core.db.embedded import postgres_program
from faregate.core.db.partitions import Month
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.credit.proof.verify import Verifier
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE, USAGE_EVENTS_QUEUE
from support.apps import Gateway, open_gateway, settings_for
from support.people import SECRET, bearer

ID, EMAIL, TEXT = "canary-id-7f3a", "canary-7f3a@example.com", "canary-text-7f3a"
LOGS = "/api/feature-usage-logs"


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    places = {"log_archive_dir": tmp_path / "archive", "usage_archive_dir": tmp_path / "events"}
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET, **places)) as gateway:
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


def event(user: str, email: str, text: str) -> dict[str, Any]:
    return {
        "id": f"of-{user}",
        "user_id": user,
        "service": "chat",
        "credits": 1,
        "metadata": {"note": text, "who": email},
        "tags": [f"{text}-tag"],
    }


async def live(gateway: Gateway, user: str, email: str, text: str) -> None:
    await gateway.feature("chat")
    wallet = f"/api/wallets/{quote(user, safe='')}"
    await gateway.put(wallet, {"email": email, "organization_id": "acme"})
    await gateway.put(wallet, {"organization_id": None})
    await gateway.grant(user, 100, reason=f"welcome {text}")
    correction = {"credits": 1, "reason": f"sorry, {email}: {text}"}
    assert (await gateway.post(f"{wallet}/adjustments", correction)).status == 201
    debit = {"service": "support", "credits": 1, "reason": f"an hour with {user}, {text}"}
    assert (await gateway.post(f"{wallet}/debits", debit)).status == 201
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
    assert (await gateway.post("/api/usage-events", [event(user, email, text)])).data["accepted"] == 1
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


async def administer(gateway: Gateway, staff: str, email: str) -> None:
    """Act as staff, on another person, so that rows record the actor's name."""
    count = 0

    async def do(method: str, path: str, body: Any = None) -> Any:
        nonlocal count
        count += 1
        headers = {**bearer(staff, role="admin", email=email), "idempotency-key": f"{path}-{count}".replace(" ", "")}
        answer = await gateway.call(method, path, body, headers=headers)
        assert answer.status < 300, (path, answer.body)
        return answer.data

    wallet = "/api/wallets/bela"
    granted = await do("POST", f"{wallet}/grants", {"credits": 3, "source": "bonus", "reason": "sorry"})
    await do("POST", f"{wallet}/grants", {"credits": 3, "source": "plan", "every": "month"})
    await do("POST", f"{wallet}/grants/{granted['grant']['id']}/void", {"reason": "no"})
    await do("POST", f"{wallet}/adjustments", {"credits": 2, "reason": "goodwill"})
    await do("POST", f"{wallet}/adjustments", {"credits": -1, "reason": "too much"})
    paid = next(t for t in await do("GET", f"{wallet}/transactions") if t["amount"] < 0 and t["usage_key"])
    await do("POST", f"/api/transactions/{paid['id']}/refund", {"reason": "it failed"})
    bought = next(t for t in await do("GET", f"{wallet}/transactions") if t["kind"] == "grant" and t["amount"] == 100)
    await do("POST", f"/api/transactions/{bought['id']}/chargeback", {"reason": "the card"})
    await do("POST", f"{wallet}/debits", {"service": "manual", "credits": 1})
    await do("PUT", f"{wallet}/limits", {"limits": [{"period": "day", "hard": 1000}]})
    started = await do("POST", "/api/credits-process/start", {"user_id": "bela", "feature_endpoint_value": "chat"})
    await do("POST", "/api/credits-process/void", {"user_id": "bela", "usage_key": started["usage_key"]})
    await do("PUT", "/api/features/staffed", {"strategy": "token_priced"})
    await do("PUT", "/api/plans/basic", {"name": "Basic"})
    await do("POST", "/api/portal/links", {"user_id": "bela"})
    await do("PUT", "/api/prices/house-model", {"prices": {"input_mtok": 1}})
    await do("POST", "/api/webhooks", {"url": "https://93.184.215.14/hook", "events": ["credits.low"]})
    await do("POST", "/api/keys", {"name": "billing", "scopes": ["wallets:read"]})
    await do("POST", "/api/usage-events/corrections", {"id": "of-bela", "action": "void", "reason": "twice"})
    await do("DELETE", f"{LOGS}/{(await do('GET', f'{LOGS}?user_id=bela'))[0]['id']}")


def dump(url: str) -> str:
    """Return the output of pg_dump for the whole database."""
    command = [str(postgres_program("pg_dump")), "--inserts", url]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout


def traces(text: str, word: str) -> list[str]:
    """Return the places in a dump where `word` occurs, as text or as bytes."""
    return [line[:300] for line in text.splitlines() if word in line or word.encode().hex() in line]


def unpacked(directory: Path) -> str:
    """Return the contents of all archives in a directory."""
    return "".join(gzip.decompress(file.read_bytes()).decode() for file in directory.glob("*.csv.gz"))


async def count_answers(gateway: Gateway) -> int:
    async with gateway.database.transaction() as session:
        return len(await gateway.database.rows(session, "select 1 from faregate.idempotent_answer"))


def by_text(records: list[Any]) -> list[str]:
    return sorted(json.dumps(record, default=str, sort_keys=True) for record in records)


async def retire_events(gateway: Gateway, directory: Path) -> EventArchive:
    """Archive all usage events, as if a year had passed; return a function that restores them."""
    analytics = gateway.container.analytics.container
    clock = FixedClock(SystemClock().now() + timedelta(days=365))
    archive = EventArchive(
        gateway.database,
        analytics.partitions(),
        analytics.roller(),
        clock,
        directory=directory,
        keep_days=40,
        late_days=35,
    )
    await archive.archive()
    return archive


async def sums(gateway: Gateway) -> tuple[Any, ...]:
    sql = "select sum(amount), count(*), sum(balance_after) from faregate.transfer"
    async with gateway.database.transaction() as session:
        (row,) = await gateway.database.rows(session, sql)
    return tuple(row)


async def test_an_export_contains_all_data_of_that_person_only(gateway: Gateway) -> None:
    await live(gateway, ID, EMAIL, TEXT)
    await live(gateway, "bela", "bela@example.com", "other-text")
    exported = await gateway.get(f"/api/privacy/export?user_id={ID}")
    records = exported.data["records"]

    assert exported.status == 200
    assert (records["subject"][0]["user_id"], records["subject"][0]["email"]) == (ID, EMAIL)
    assert (len(records["feature_log"]), len(records["charge"]), len(records["usage_line"])) == (12, 5, 3)
    assert records["feature_log"][0]["payload"]["prompt"] == f"{TEXT} of {ID}"
    assert sum(transfer["credits"] for transfer in records["transfer"]) > 100
    assert [charge["metadata"]["note"] for charge in records["charge"] if charge["metadata"]] == [TEXT] * 3
    assert {f"welcome {TEXT}", f"sorry, {EMAIL}: {TEXT}"} <= {transfer["reason"] for transfer in records["transfer"]}
    assert "bela" not in json.dumps(exported.body, default=str)
    assert (await gateway.get("/api/privacy/export?user_id=nobody")).status == 404


async def test_an_export_contains_archived_data(gateway: Gateway, tmp_path: Path) -> None:
    await live(gateway, ID, EMAIL, TEXT)
    before = (await gateway.get(f"/api/privacy/export?user_id={ID}")).data["records"]
    retention = gateway.container.log_retention()
    await retention.archive(Month(2026, 10))
    events = await retire_events(gateway, tmp_path / "events")
    archived = (await gateway.get(f"/api/privacy/export?user_id={ID}")).data["records"]
    await retention.restore(Month(2026, 10))
    for manifest in events.manifests():
        await events.restore(manifest.month)
    restored = (await gateway.get(f"/api/privacy/export?user_id={ID}")).data["records"]

    for kind in ("feature_log", "usage_event"):
        assert len(before[kind]) > 1
        assert by_text(archived[kind]) == by_text(restored[kind]) == by_text(before[kind])


@pytest.mark.parametrize("person", [ID, "auth0|canary-7f/3+a="])
async def test_after_an_erasure_a_full_dump_has_no_trace_and_the_ledger_is_unchanged(
    gateway: Gateway, database_url: str, tmp_path: Path, person: str
) -> None:
    await live(gateway, person, EMAIL, TEXT)
    named = f"{quote(person, safe='')} asked, see /users/{quote(person, safe=':@')}/chat and /users/{person}"
    await gateway.grant("carla", 1, reason=named)
    await live(gateway, "bela", "bela@example.com", "other-text")
    retention = gateway.container.log_retention()
    archived = (await retention.archive(Month(2026, 10))).rows
    before, first = await sums(gateway), dump(database_url)
    erased = await gateway.post("/api/privacy/erase", {"user_id": person})
    text = dump(database_url)
    archive = gzip.open(next((tmp_path / "archive").glob("*.csv.gz")), "rt").read()  # noqa: SIM115

    assert [word for word in (person, EMAIL, TEXT) if not traces(first, word)] == []
    assert (erased.status, erased.data["erased"]["feature_log"], erased.data["erased"]["feature_log_archived"]) == (
        200,
        6,
        6,
    )
    assert traces(text, quote(person, safe="")) + traces(text, quote(person, safe=":@")) == []
    assert traces(text, person) + traces(text, EMAIL) + traces(text, TEXT) == []
    assert "bela@example.com" in text
    assert (archived, person in archive, archive.count("\n") - 1) == (12, False, 12)
    assert await sums(gateway) == before
    assert not (await Verifier(gateway.database).verify()).drifts
    assert (await gateway.get(f"/api/wallets/{quote(person, safe='')}")).status == 404
    noted = [deed for deed in (await gateway.get("/api/audit?limit=1000")).data if deed["action"].startswith("privacy")]
    assert [deed["action"] for deed in noted] == ["privacy.erase"]
    assert noted[0]["target"]["rows"] == sum(erased.data["erased"].values())
    assert "carla" in text
    assert "ops@example.com" in text
    assert (await gateway.get("/api/wallets/bela")).data["balance"] < Decimal(100)
    assert (await gateway.post("/api/privacy/erase", {"user_id": person})).status == 404
    assert [manifest.rows for manifest in await retention.restore(Month(2026, 10))] == [12]


@pytest.mark.parametrize("person", ["1", "bela"])
async def test_an_erasure_keeps_texts_about_others(gateway: Gateway, person: str) -> None:
    """Reasons document the ledger: a name that is part of another name, or a common word, does not refer to the person."""
    kept = ["1 credit too many of 12", "an hour with bela-2, ticket order-1", "for bela@example.org, labela"]
    gone = [f"on the word of user:{person}", f"user:{person.upper()} asked"] + ["sorry, Bela: late"] * (
        person == "bela"
    )
    await gateway.grant(person, 5)
    for reason in kept + gone:
        await gateway.grant("carla", 1, reason=reason)
    assert (await gateway.post("/api/privacy/erase", {"user_id": person})).status == 200
    told = [transaction["reason"] for transaction in (await gateway.get("/api/wallets/carla/transactions")).data]

    assert [reason for reason in reversed(told) if reason is not None] == kept
    assert told.count(None) == len(gone)
    assert not (await Verifier(gateway.database).verify()).drifts


async def test_a_message_about_several_people_keeps_what_is_about_the_others(gateway: Gateway) -> None:
    transport = gateway.container.transport()
    await gateway.grant("bela", 5)
    events = [{"id": name, "user_id": name, "service": "chat", "credits": "0.10"} for name in ("ada", "bela", "carla")]
    for body in (events, events[1:2], events[1]):
        await transport.publish(USAGE_EVENTS_QUEUE, [OutgoingMessage(exact_json.dumps(body))])
    erased = await gateway.post("/api/privacy/erase", {"user_id": "bela"})
    consumer = await transport.consume(USAGE_EVENTS_QUEUE)
    waiting = [exact_json.loads(delivery.body) for delivery in await consumer.take(10, wait_seconds=0)]
    await consumer.close()

    (tombstone,) = {item["user_id"] for item in waiting[0]} - {"ada", "carla"}
    theirs = {**waiting[1][0], "id": waiting[2]["id"]}
    assert tombstone.startswith("erased:")
    assert {**theirs, "id": "bela"} == {**events[1], "user_id": tombstone}
    assert "bela" not in str(waiting), "nor in the id of an event"
    assert waiting == [[events[0], theirs, events[2]], [theirs], theirs], "counted values are unchanged"
    assert erased.data["erased"]["message"] == 3


@pytest.mark.parametrize("word", ["purchase", "gpt-4o", "chat", "ticket-7", "POST"])
async def test_an_erasure_does_not_change_others_with_similar_words(gateway: Gateway, word: str) -> None:
    """A user id may equal a source, a model or a feature: stored answers and waiting settlements of others are kept."""
    transport = gateway.container.transport()
    await gateway.grant(word, 5)
    order = {"credits": 10, "source": "purchase", "reason": word, "key": "order-1"}
    headers = {"idempotency-key": "once"}
    first = await gateway.call("POST", "/api/wallets/carla/grants", order, headers=headers)
    usages = [{"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}]
    waiting = {"user_id": "carla", "feature_endpoint_value": "chat", "usage_key": "k", "usages": usages}
    await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(exact_json.dumps(waiting))])
    erased = await gateway.post("/api/privacy/erase", {"user_id": word})
    again = await gateway.call("POST", "/api/wallets/carla/grants", order, headers=headers)
    consumer = await transport.consume(SETTLE_MULTIMODEL_QUEUE)
    left = [exact_json.loads(delivery.body) for delivery in await consumer.take(10, wait_seconds=0)]
    await consumer.close()

    assert erased.status == 200
    assert (again.status, again.headers["idempotency-replayed"], again.data) == (first.status, "true", first.data)
    assert (await gateway.get("/api/wallets/carla")).data["balance"] == 10
    assert left == [waiting]


async def test_a_waiting_settlement_of_an_erased_person_is_still_settled(gateway: Gateway) -> None:
    """The charge belongs to the ledger; its person is no longer known, and no text about the person is left."""
    await gateway.grant("bela", 5)
    await gateway.call("PUT", "/api/features/chat", {"strategy": "token_priced"})
    feature = {"user_id": "bela", "feature_endpoint_value": "chat", "usage_key": "k"}
    await gateway.post("/api/credits-process/start", feature)
    usages = [{"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}]
    body = {**feature, "usages": usages, "metadata": {"images": 3, "note": "of bela"}, "user_email": "b@example.org"}
    async with gateway.database.transaction() as session:
        await gateway.database.rows(
            session,
            "insert into faregate.message (message_id, queue, body) values (gen_random_uuid(), :queue, :body)",
            queue=SETTLE_MULTIMODEL_QUEUE,
            body=exact_json.dumps(body),
        )
    await gateway.post("/api/privacy/erase", {"user_id": "bela"})
    async with gateway.database.transaction() as session:
        (row,) = await gateway.database.rows(session, "select body from faregate.message")
    left = exact_json.loads(bytes(row.body))
    settled = await gateway.post("/api/credits-process/end-multimodel", left)

    assert b"bela" not in bytes(row.body)
    assert b"b@example.org" not in bytes(row.body)
    assert left["metadata"] == {"images": 3}
    assert settled.status == 200, settled.body
    assert settled.data["charged"] == Decimal("0.42")


async def test_a_repeated_call_about_an_erased_person_is_not_executed_again(gateway: Gateway) -> None:
    order, headers = {"credits": 10, "source": "purchase"}, {"idempotency-key": "once"}
    await gateway.call("POST", "/api/wallets/bela/grants", order, headers=headers)
    await gateway.post("/api/privacy/erase", {"user_id": "bela"})
    again = await gateway.call("POST", "/api/wallets/bela/grants", order, headers=headers)

    assert again.headers["idempotency-replayed"] == "true"
    assert "bela" not in str(again.body)
    assert (await gateway.get("/api/wallets/bela")).status == 404


async def test_an_erasure_includes_archived_events_and_a_restore_has_no_trace(
    gateway: Gateway, database_url: str, tmp_path: Path
) -> None:
    await live(gateway, ID, EMAIL, TEXT)
    await live(gateway, "bela", "bela@example.com", "other-text")
    archive = await retire_events(gateway, tmp_path / "events")
    first = unpacked(tmp_path / "events")
    rows = sum(manifest.rows for manifest in archive.manifests())
    erased = await gateway.post("/api/privacy/erase", {"user_id": ID})
    archived = unpacked(tmp_path / "events")
    for manifest in archive.manifests():
        await archive.restore(manifest.month)
    text = dump(database_url)

    assert all(word in first for word in (f"of-{ID}", EMAIL, f"{TEXT}-tag"))
    assert erased.data["erased"]["usage_event_archived"] > 0
    assert [word for word in (ID, EMAIL, TEXT) if word in archived or traces(text, word)] == []
    assert sum(manifest.rows for manifest in archive.manifests()) == rows
    assert "of-bela" in archived
    assert "other-text-tag" in text


async def test_an_erased_person_who_acted_as_staff_leaves_no_trace(gateway: Gateway, database_url: str) -> None:
    await live(gateway, "bela", "bela@example.com", "other-text")
    await administer(gateway, ID, EMAIL)
    before, first = await sums(gateway), dump(database_url)
    append_only = [line for line in traces(first, ID) if "faregate.transfer " in line or "audit_entry " in line]
    hidden = [line for line in first.splitlines() if "faregate.feature_log_y" in line and ID in line]
    answers = await count_answers(gateway)
    assert (await gateway.post("/api/privacy/erase", {"user_id": ID})).status == 200
    text = dump(database_url)

    assert traces(first, f"user:{ID}")
    assert (append_only, hidden) == ([], [])
    assert traces(text, ID) + traces(text, EMAIL) == []
    assert answers > 5
    assert await count_answers(gateway) == 1, "bela's own is kept"
    assert await sums(gateway) == before
    assert not (await Verifier(gateway.database).verify()).drifts


async def test_the_actor_is_a_number_in_the_ledger_and_a_name_in_the_audit_log(gateway: Gateway) -> None:
    await live(gateway, "bela", "bela@example.com", "other-text")
    await administer(gateway, ID, EMAIL)
    moved = (await gateway.get("/api/wallets/bela/transactions")).data
    deeds = (await gateway.get(f"/api/audit?actor_user_id={ID}&action=wallets.*")).data
    exported = (await gateway.get(f"/api/privacy/export?user_id={ID}")).data["records"]

    numbers = {t["actor"] for t in moved if t["kind"] in {"adjustment", "refund"}}
    assert numbers == {f"subject:{exported['subject'][0]['subject_id']}"}
    assert {deed["actor_user_id"] for deed in deeds} == {ID}
    assert [deed["as_actor"] for deed in exported["audit_entry"]].count(True) > 10


PLANTED = {
    "web_session": """
    insert into faregate.web_session (token_hash, actor, subject_id, organization_id, roles, scopes, expires_at)
    values ('x', 'user', {subject}, '{canary}', '{{}}', '{{}}', now() + interval '1 hour')""",
    "portal_link": """
    insert into faregate.portal_link (link_id, secret_hash, subject_id, origins, expires_at)
    values ('x', 'x', {subject}, array['{canary}'], now() + interval '1 hour')""",
    "anomaly": """
    insert into faregate.anomaly (anomaly_id, scope, subject_id, measure, unit, period_start, period_end, actual, expected, allowed,
      reason, found_at)
    values (gen_random_uuid(), 'user', {subject}, 'spend', 'hour', now(), now(), 1, 1, 1, '{{"sentence": "{canary}"}}', now())""",
    "insight_person": """
    with made as (
      insert into faregate.insight (insight_id, kind, ask_key, parameters, enough, evidence, answer, made_at)
      values (gen_random_uuid(), 'returns', gen_random_uuid(), '{{}}', true, '{{}}', '{{}}', now()) returning insight_id
    )
    insert into faregate.insight_person (insight_id, rank, subject_id, facts)
    select insight_id, 1, {subject}, '{{"note": "{canary}"}}' from made""",
    "feedback": """
    insert into faregate.feedback (usage_key, subject_id, feature_key, score, comment, created_at, updated_at)
    values ('use', {subject}, 'chat', 1, '{canary}', now(), now())""",
    "budget": """
    insert into faregate.budget (name, scope, unit, amount, period, timezone, emails)
    select '{canary}', 'business', 'credits', 1, 'month', 'UTC', array[email] from faregate.subject
    where subject_id = {subject}""",
    "bill_import": """
    insert into faregate.bill_import (import_id, source, provider, file_name, lines, known, replaced, actor)
    select gen_random_uuid(), 'openai-costs', 'openai', '{canary}', 1, 0, 0, 'user:{user}'""",
    "report_subscription": """
    insert into faregate.report_subscription (name, kind, scope, subject_id, filters, timezone, hour, weekday, month_day, files,
      active)
    values ('{canary}', 'weekly', 'user', {subject}, '{{}}', 'UTC', 7, 1, 1, '{{}}', true)""",
    "saved_view": """
    insert into faregate.saved_view (view_id, actor, subject_id, name, shared, state)
    values (gen_random_uuid(), 'user', {subject}, '{canary}', false, '{{}}')""",
    "api_key": "update faregate.api_key set name = '{canary}' where created_by = 'user:{user}'",
    "webhook_endpoint": "update faregate.webhook_endpoint set description = '{canary}' where created_by = 'user:{user}'",
    "webhook_delivery": """
    insert into faregate.webhook_delivery (delivery_id, endpoint_id, event_id, event_type, payload)
    select gen_random_uuid(), gen_random_uuid(), 'e', 't', convert_to('{{"user_id":"{user}","note":"{canary}"}}', 'UTF8')""",
    "message": """
    insert into faregate.message (message_id, queue, body) select gen_random_uuid(), 'q',
      convert_to('[{{"user_id":"{user}","note":"{canary}"}},{{"user_id":"bela","note":"other-text"}}]', 'UTF8')""",
    "idempotent_answer": """
    insert into faregate.idempotent_answer (credential, key, request_hash, status, body)
    select 'x', 'x', '', 200, convert_to('{{"user_id":"{user}","note":"{canary}"}}', 'UTF8')""",
    "audit_entry": """
    insert into faregate.audit_entry (entry_id, actor, actor_subject_id, action, target, status, request_id)
    select gen_random_uuid(), 'user', {subject}, 'x', '{{}}', 200, '{canary}'""",
    "wallet": "update faregate.wallet set plan = '{canary}' where wallet_id = {subject}",
    "credit_grant": "update faregate.credit_grant set key = '{canary}-' || grant_id where wallet_id = {subject}",
    "charge": "update faregate.charge set close_reason = '{canary}' where subject_id = {subject}",
    "transfer": """
    insert into faregate.transfer (wallet_id, seq, kind, debit_account, credit_account, amount, balance_after, reason,
      effective_at, created_at, hash)
    select wallet_id, seq + 1, kind, debit_account, credit_account, amount, balance_after, '{canary}', effective_at,
      created_at, hash from faregate.transfer where wallet_id = {subject} order by seq desc limit 1""",
    "transfer_reason": "update faregate.transfer_reason set words = '{canary}' where wallet_id = {subject}",
    "spend_limit": """
    update faregate.spend_limit set period = '{canary}' where scope = 'user:{subject}' and period = 'day'""",
    "purchase": """
    insert into faregate.purchase (purchase_id, wallet_id, credits, amount, failure)
    select gen_random_uuid(), {subject}, 1000000, 100, '{canary}'""",
    "payment_event": """
    with bought as (
      insert into faregate.purchase (purchase_id, wallet_id, credits, amount) values (gen_random_uuid(), {subject}, 1000000, 100)
      returning purchase_id)
    insert into faregate.payment_event (event_id, type, object_id, purchase_id, facts, occurred_at)
    select 'evt_' || purchase_id, '{canary}', 'pi_1', purchase_id, '{{}}', now() from bought""",
    "payment_customer": """
    insert into faregate.payment_customer (wallet_id, customer, method, saved_at)
    values ({subject}, '{canary}', 'pm_1', now())""",
    "top_up": """
    insert into faregate.top_up (order_id, wallet_id, amount, detail)
    select gen_random_uuid(), {subject}, 1000000, '{canary}'""",
    "usage_line": 'update faregate.usage_line set raw = \'{{"x": "{canary}"}}\' where usage_key in ({uses})',
    "usage_event": "update faregate.usage_event set tags = '[\"{canary}\"]' where subject_id = {subject}",
    "usage_correction": """
    insert into faregate.usage_correction (event_key, version, replaced, meaning_hash, subject_id, time, reason)
    select gen_random_uuid(), 0, false, gen_random_uuid(), {subject}, now(), '{canary}'""",
    "member": """
    insert into faregate.member (subject_id, organization_id)
    select {subject}, subject_id from faregate.subject where external_id = 'org:{canary}'""",
    "feature": "update faregate.feature set key = '{canary}' where access->'users' ? '{user}'",
    "definition": """
    insert into faregate.definition (kind, key, version, actor) select 'feature', '{canary}', 1, 'user:{user}'""",
    "price_override": """
    insert into faregate.price_override (model, effective_from, prices, actor, note)
    select 'm', now(), '{{}}', 'user:{user}', '{canary}'""",
    "quota": "update faregate.quota set timezone = '{canary}' where subject_id = {subject}",
    "quota_alert": """
    insert into faregate.quota_alert (alert_id, quota_id, revision, period_start, period_end, level, used, limit_value, fired_at)
    select gen_random_uuid(), quota_id, 1, now(), now(), '{canary}', 1, 1, now() from faregate.quota
    where subject_id = {subject}""",
    "alert_delivery": """
    insert into faregate.alert_delivery (alert_id, channel, next_at, last_error)
    select alert_id, 'log', now(), '{canary}' from faregate.quota_alert where level like '%quota_alert.'""",
    "feature_log": "update faregate.feature_log set usage_key = '{canary}' where subject_id = {subject}",
}
"""Statements that write a text into the rows of a user, by table."""

NUMBERS_ONLY = {
    *("subject", "organization", "grant_slice", "usage_event_key", "verified_head", "usage_rejection"),
    *("close_wallet", "close_grant", "grant_payment"),
    *("usage_active", "usage_rollup", "usage_user"),
}
"""Tables that refer to people by number and otherwise hold only numbers and keys; the subject is checked separately."""

_REFERRING = """
select distinct table_name from information_schema.columns where table_schema = 'faregate' and table_name !~ '_y\\d{4}m\\d\\d$'
  and column_name in ('subject_id', 'wallet_id', 'actor', 'actor_subject_id', 'created_by', 'deleted_by', 'emails', 'email')
"""


async def test_an_export_includes_every_table_that_refers_to_a_person(gateway: Gateway) -> None:
    await live(gateway, ID, EMAIL, TEXT)
    await live(gateway, "bela", "bela@example.com", "other-text")
    await administer(gateway, ID, EMAIL)
    await gateway.put(f"/api/wallets/{ID}/limits", {"limits": [{"period": "day", "hard": 1000}]})
    async with gateway.database.transaction() as session:
        rows = await gateway.database.rows(
            session, "select subject_id from faregate.subject where external_id = :id", id=ID
        )
        known = {
            "user": ID,
            "subject": rows[0].subject_id,
            "uses": f"select usage_key from faregate.charge where subject_id = {rows[0].subject_id}",
        }
        sql = "insert into faregate.subject (external_id) values ('org:canary-of-member.')"
        await gateway.database.rows(session, sql)
        sql = "insert into faregate.organization (subject_id) select subject_id from faregate.subject where external_id like 'org:c%'"
        await gateway.database.rows(session, sql)
        for table, planting in PLANTED.items():
            await gateway.database.rows(session, planting.format(canary=f"canary-of-{table}.", **known))
        referring = {row.table_name for row in await gateway.database.rows(session, _REFERRING)}
    answer = await gateway.get(f"/api/privacy/export?user_id={ID}")
    text = json.dumps(answer.data, default=str)

    assert [table for table in PLANTED if f"canary-of-{table}." not in text] == []
    assert sorted(referring - PLANTED.keys() - NUMBERS_ONLY) == []
    assert "bela@example.com" not in text
    assert "other-text" not in text
    kinds = {"transfer_as_actor", "grant_as_actor", "feature_log_hidden", "idempotent_answer_of", "grant_slice"}
    assert kinds - answer.data["records"].keys() == set()
