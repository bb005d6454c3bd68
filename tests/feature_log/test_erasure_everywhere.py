"""Every text column of the catalogue loses an erased person or states why it is kept."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from feature_log.test_privacy import administer, live, retire_events, unpacked

from faregate.analytics.personal_columns import ANALYTICS_COLUMNS
from faregate.core.db.partitions import Month
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.personal_columns import CORE_COLUMNS, ERASED
from faregate.core.privacy.erased_keys import erased_key
from faregate.core.privacy.person_words import GONE
from faregate.credit.personal_columns import CREDIT_COLUMNS
from faregate.credit.proof.verify import Verifier
from faregate.feature_log.personal_columns import LOG_COLUMNS
from faregate.usage.personal_columns import USAGE_COLUMNS
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from support.apps import Gateway, open_gateway, settings_for
from support.people import SECRET

ID, EMAIL = "canary-7f3a", "canary-7f3a@example.com"
WORDS = f"asked by {ID} ({EMAIL})"
COLUMNS: Mapping[str, str] = {**CORE_COLUMNS, **CREDIT_COLUMNS, **USAGE_COLUMNS, **ANALYTICS_COLUMNS, **LOG_COLUMNS}

_CATALOGUE = """
select c.relname as table_name, a.attname as column_name, format_type(a.atttypid, null) as type
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'faregate' and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
  and format_type(a.atttypid, null) in
    ('text', 'character varying', 'text[]', 'character varying[]', 'json', 'jsonb', 'bytea')
  and c.relname <> 'alembic_version'
order by 1, 2
"""

_OWN = {
    *("subject.external_id", "subject.email", "api_key.created_by", "webhook_endpoint.created_by", "feature.access"),
    *("definition.actor", "price_override.actor", "usage_correction.actor", "quota.emails"),
    *("report_recipient.address", "report_delivery.address"),
    *(f"feature_log.{name}" for name in ("email", "email_index", "payload", "response", "params", "query")),
}
"""Columns that hold only the person or the person's own data; `live` and `administer` fill them by the API, or `_EXTRA`."""

_PLANTED = {
    "text": "concat_ws(' ', {column}, '{words}')",
    "jsonb": """case when jsonb_typeof({column}) = 'array' then {column} || '["{words}"]'::jsonb
      else coalesce({column}, '{{}}') || '{{"note": "{words}", "owner_id": "{id}", "users": ["x", "{id}"]}}'::jsonb end""",
    "bytea": """convert_to('{{"note": "{words}", "owner_id": "carla"}}', 'UTF8')""",
}

_ODD = {
    "anomaly.verdict_by": "'user:{id}'",
    "bill_import.actor": "'user:{id}'",
    "budget.emails": "array['{email}']",
    "feedback.tags": "array['{words}']",
    "credit_grant.actor": "'user:{id}'",
    "credit_grant.key": "'welcome-{id}-' || grant_id",
    "idempotent_answer.key": "'welcome-{id}-' || key",
    "usage_event.external_id": "'of-{email}'",
    "feature_log.endpoint": "'/api/users/{id}/chat?q={email}'",
    "feature_log_route.endpoint": "'/api/users/{id}/' || route_id",
    "credit_grant.void_note": """'{{"actor": "carla", "reason": "{words}"}}'::jsonb""",
    "definition.content": """jsonb_set(coalesce(content, '{{}}'), '{{name}}', '"{words}"')""",
    "usage_event.tags": """'["{words}"]'::jsonb""",
    "transfer_reason.words": None,
}

_EXTRA = (
    f"""update faregate.feature_log set response = convert_to('{WORDS}', 'UTF8'), params = convert_to('{WORDS}', 'UTF8'),
      query = convert_to('{WORDS}', 'UTF8')
      where subject_id = (select subject_id from faregate.subject where external_id = '{ID}')""",
    "insert into faregate.scheduled_job (name, next_at) values ('extra', now()) on conflict do nothing",
    """insert into faregate.saved_view (view_id, actor, name, shared, state)
      values (gen_random_uuid(), 'bootstrap', 'v', true, '{}')""",
    "insert into faregate.message (message_id, queue, body) values (gen_random_uuid(), 'q', '{}')",
    """insert into faregate.webhook_delivery (delivery_id, endpoint_id, event_id, event_type, payload)
      values (gen_random_uuid(), gen_random_uuid(), 'e', 't', '{}')""",
    """insert into faregate.idempotent_answer (credential, key, request_hash, status, body)
      values ('other', 'other', '', 201, '{}')""",
    """insert into faregate.top_up (order_id, wallet_id, amount, status)
      select gen_random_uuid(), wallet_id, 1000000, 'failed'
      from faregate.wallet join faregate.subject on subject_id = wallet_id where external_id = 'bela'""",
    """insert into faregate.purchase (purchase_id, wallet_id, credits, amount)
      select gen_random_uuid(), wallet_id, 1000000, 100
      from faregate.wallet join faregate.subject on subject_id = wallet_id where external_id = 'bela'""",
    """insert into faregate.organization (subject_id) select subject_id from faregate.subject where external_id like 'org:%'
      on conflict do nothing""",
    "insert into faregate.usage_meter (name, unit, aggregation) values ('m', 'u', 'sum') on conflict do nothing",
    "insert into faregate.usage_rejection (key, reason) values (gen_random_uuid(), 'r')",
    """insert into faregate.usage_correction (event_key, version, replaced, meaning_hash, subject_id, time, reason)
      select gen_random_uuid(), 0, false, gen_random_uuid(), subject_id, now(), 'r' from faregate.subject
      where external_id = 'bela'""",
    """insert into faregate.quota_alert (alert_id, quota_id, revision, period_start, period_end, level, used, limit_value,
        fired_at)
      select gen_random_uuid(), quota_id, 1, now(), now(), 'l', 1, 1, now() from faregate.quota limit 1""",
    """insert into faregate.anomaly (anomaly_id, scope, measure, unit, period_start, period_end, actual, expected, allowed, reason,
        found_at)
      values (gen_random_uuid(), 'total', 'spend', 'hour', now(), now(), 1, 1, 1, '{}', now())""",
    """insert into faregate.anomaly_delivery (anomaly_id, channel, next_at) select anomaly_id, 'log', now()
      from faregate.anomaly""",
    """insert into faregate.budget (name, scope, unit, amount, period, timezone)
      values ('all', 'business', 'credits', 1, 'month', 'UTC')""",
    """insert into faregate.budget_alert (alert_id, name, revision, period_start, period_end, level, used, amount, fired_at)
      values (gen_random_uuid(), 'all', 1, now(), now(), 'warning', 1, 1, now())""",
    """insert into faregate.budget_delivery (alert_id, channel, next_at) select alert_id, 'log', now()
      from faregate.budget_alert""",
    """insert into faregate.feedback (usage_key, subject_id, feature_key, score, created_at, updated_at)
      select 'use', subject_id, 'chat', 1, now(), now() from faregate.subject where external_id = 'bela'""",
    """insert into faregate.objective (name, scope, indicator, target_percent, window_days)
      values ('up', 'total', 'availability', 99, 30)""",
    """insert into faregate.objective_alert (alert_id, name, revision, rule, rate, threshold, total, bad, fired_at)
      values (gen_random_uuid(), 'up', 1, 'fast', 15, 14.4, 100, 20, now())""",
    """insert into faregate.objective_delivery (alert_id, channel, next_at) select alert_id, 'log', now()
      from faregate.objective_alert""",
    """insert into faregate.alert_delivery (alert_id, channel, next_at) select alert_id, 'log', now()
      from faregate.quota_alert on conflict do nothing""",
    """insert into faregate.bill_import (import_id, source, provider, lines, known, replaced)
      values (gen_random_uuid(), 'openai-costs', 'openai', 1, 0, 0)""",
    """insert into faregate.report_subscription (name, kind, scope, filters, timezone, hour, weekday, month_day, files, active)
      values ('team', 'weekly', 'business', '{}', 'UTC', 7, 1, 1, '{}', true)""",
    f"""insert into faregate.report_recipient (name, address, position, token)
      values ('team', '{EMAIL}', 0, gen_random_uuid()), ('team', 'bela@example.com', 1, gen_random_uuid())""",
    """insert into faregate.report_delivery (delivery_id, name, address, period_start, period_end, due_at, next_at)
      select gen_random_uuid(), name, address, now(), now(), now(), now() from faregate.report_recipient""",
)


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    places = {"log_archive_dir": tmp_path / "archive", "usage_archive_dir": tmp_path / "events"}
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET, **places)) as gateway:
        yield gateway


async def rows(gateway: Gateway, sql: str) -> Any:
    async with gateway.database.transaction() as session:
        return await gateway.database.rows(session, sql)


async def catalogue(gateway: Gateway) -> dict[str, str]:
    """Return all columns that can hold text, as `table.column`, with their types."""
    return {f"{row.table_name}.{row.column_name}": row.type for row in await rows(gateway, _CATALOGUE)}


async def naming(gateway: Gateway, columns: Mapping[str, str]) -> set[str]:
    """Return the columns that contain the person's id or address."""
    found: set[str] = set()
    for name, kind in columns.items():
        table, column = name.split(".")
        text = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
        sql = f"select 1 from faregate.{table} where {text} ilike '%{ID}%' limit 1"
        if await rows(gateway, sql):
            found.add(name)
    return found


async def plant(gateway: Gateway, columns: Mapping[str, str]) -> None:
    """Write the person into one row of another person, in every column that an erasure has to clean."""
    for sql in _EXTRA:
        await rows(gateway, sql)
    for name in sorted(columns):
        table, column = name.split(".")
        if COLUMNS[name] != ERASED or name in _OWN or (name in _ODD and _ODD[name] is None):
            continue
        form = _ODD.get(name) or _PLANTED[columns[name]]
        value = form.format(column=column, words=WORDS, id=ID, email=EMAIL)
        sql = f"update faregate.{table} set {column} = {value} where (tableoid, ctid) in ({_OTHERS.get(table, _ANY)})"
        await rows(gateway, sql.replace("{table}", table))


_ANY = "select tableoid, ctid from faregate.{table} order by ctid desc limit 1"
_OF_OTHERS = """
select t.tableoid, t.ctid from faregate.{table} t join faregate.subject s on s.subject_id = t.{column}
where s.external_id = 'bela' order by t.ctid limit 1
"""
_OF_OTHER_MAIL = f"select tableoid, ctid from faregate.{{table}} where address <> '{EMAIL}' limit 1"
_OTHERS = {
    "report_recipient": _OF_OTHER_MAIL,
    "report_delivery": _OF_OTHER_MAIL,
    "charge": _OF_OTHERS.replace("{column}", "subject_id"),
    "usage_event": _OF_OTHERS.replace("{column}", "subject_id"),
    "feature_log": _OF_OTHERS.replace("{column}", "subject_id"),
    "credit_grant": _OF_OTHERS.replace("{column}", "wallet_id"),
    "idempotent_answer": "select tableoid, ctid from faregate.{table} where credential = 'other'",
    "usage_line": """select t.tableoid, t.ctid from faregate.{table} t join faregate.charge c using (usage_key)
      join faregate.subject s on s.subject_id = c.subject_id where s.external_id = 'bela' limit 1""",
    "definition": "select tableoid, ctid from faregate.{table} where kind = 'feature' and content is not null limit 1",
}


async def test_every_text_column_is_erased_or_states_why_it_is_kept(gateway: Gateway) -> None:
    """A new column without an entry fails here: decide whether an erasure has to clean it."""
    assert sorted(COLUMNS) == sorted(await catalogue(gateway))
    assert all(COLUMNS.values())


async def test_after_an_erasure_no_column_names_the_person(gateway: Gateway) -> None:
    columns = await catalogue(gateway)
    await live(gateway, ID, EMAIL, "words")
    await live(gateway, "bela", "bela@example.com", "other-text")
    await administer(gateway, ID, EMAIL)
    await gateway.grant("bela", 1, reason=WORDS)
    await plant(gateway, columns)
    before = await naming(gateway, columns)
    erased = await gateway.post("/api/privacy/erase", {"user_id": ID})

    expected = {name for name in columns if COLUMNS[name] == ERASED and name != "feature_log.email_index"}
    assert sorted(expected - before) == [], "the test writes the person into every column"
    assert erased.status == 200, erased.body
    assert sorted(await naming(gateway, columns)) == []
    assert not (await Verifier(gateway.database).verify()).drifts


async def test_archives_lose_mentions_of_the_person_in_rows_of_others(gateway: Gateway, tmp_path: Path) -> None:
    await live(gateway, "bela", "bela@example.com", "other-text")
    await gateway.grant(ID, 1)
    await gateway.put(f"/api/wallets/{ID}", {"email": EMAIL})
    event = {"id": f"for-{ID}", "user_id": "bela", "service": "chat", "credits": 1}
    more = {"metadata": {"note": WORDS, "member": ID, "count": 7}, "tags": [WORDS, "kept"]}
    assert (await gateway.post("/api/usage-events", [{**event, **more}])).data["accepted"] == 1
    log = {"feature_endpoint_value": "chat", "user_id": "bela", "method": "POST", "code": 200, "status": "success"}
    place = {"endpoint": f"/api/users/{ID}/chat?q={EMAIL}", "time": "2026-10-05T10:00:00Z"}
    await gateway.post("/api/feature-usage-logs", {**log, **place})
    await gateway.container.log_retention().archive(Month(2026, 10))
    await retire_events(gateway, tmp_path / "events")
    first = unpacked(tmp_path / "events") + unpacked(tmp_path / "archive")
    assert (await gateway.post("/api/privacy/erase", {"user_id": ID})).status == 200
    events, logs = unpacked(tmp_path / "events"), unpacked(tmp_path / "archive")

    assert first.count(ID) > 3
    assert (ID in events, ID in logs) == (False, False)
    assert "other-text" in events
    assert '""count"": 7' in events
    assert GONE in logs


async def test_a_repetition_is_recognised_when_its_key_named_an_erased_person(gateway: Gateway) -> None:
    """Keys of others that name the person become digests: a grant, a correction and an answer are not created twice."""
    await gateway.grant(ID, 1)
    order = {"credits": 10, "source": "bonus", "key": f"invited-{ID}"}
    correction = {"credits": 2, "reason": "sorry", "key": f"sorry-{ID}"}
    headers = {"idempotency-key": f"once-{ID}"}
    calls: list[tuple[str, Any, Any]] = [
        ("/api/wallets/carla/grants", order, {}),
        ("/api/wallets/carla/adjustments", correction, {}),
        ("/api/wallets/carla/grants", {"credits": 5, "source": "bonus"}, headers),
    ]
    for path, body, headers in calls:
        assert (await gateway.call("POST", path, body, headers=headers)).status == 201
    assert (await gateway.post("/api/privacy/erase", {"user_id": ID})).status == 200
    again = [(await gateway.call("POST", path, body, headers=headers)).status for path, body, headers in calls]

    assert all(status < 300 for status in again)
    assert (await gateway.get("/api/wallets/carla")).data["balance"] == 17
    assert await naming(gateway, await catalogue(gateway)) == set()
    other = await gateway.call("POST", "/api/wallets/carla/grants", {**order, "credits": 11})
    assert (other.status, other.error["code"]) == (409, "key_conflict")


async def test_a_message_of_others_loses_the_mention_and_still_counts(gateway: Gateway) -> None:
    transport = gateway.container.transport()
    await gateway.grant(ID, 1)
    waiting = {
        "user_id": "carla",
        "feature_endpoint_value": "chat",
        "usage_key": "k",
        "metadata": {"note": WORDS, "n": 3},
    }
    await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(exact_json.dumps(waiting))])
    await gateway.put(f"/api/wallets/{ID}", {"email": EMAIL})
    await gateway.post("/api/privacy/erase", {"user_id": ID})
    consumer = await transport.consume(SETTLE_MULTIMODEL_QUEUE)
    (left,) = [exact_json.loads(delivery.body) for delivery in await consumer.take(10, wait_seconds=0)]
    await consumer.close()

    assert left == {**waiting, "metadata": {"note": f"asked by {GONE} ({GONE})", "n": 3}}


@pytest.mark.parametrize("word", ["chat", "gpt-4o", "4711", "null"])
async def test_free_fields_of_others_keep_counted_values_and_common_words(gateway: Gateway, word: str) -> None:
    """Numbers, models and common words in others' metadata do not refer to a user of the same name."""
    await gateway.grant(word, 1)
    metadata = {"model": "gpt-4o", "n": 4711, "list": [4711, None], "note": "a chat of 4711", "owner_id": word}
    event = {"id": "e", "user_id": "carla", "service": "chat", "model": "gpt-4o", "credits": 1, "metadata": metadata}
    assert (await gateway.post("/api/usage-events", [event])).data["accepted"] == 1
    assert (await gateway.post("/api/privacy/erase", {"user_id": word})).status == 200
    (row,) = await rows(gateway, "select model, metadata::text as metadata from faregate.usage_event")

    assert row.model == "gpt-4o"
    assert exact_json.loads(row.metadata) == {**metadata, "owner_id": GONE}


def test_equal_keys_have_equal_digests_and_different_keys_differ() -> None:
    assert erased_key("a") == erased_key("a") != erased_key("b")
