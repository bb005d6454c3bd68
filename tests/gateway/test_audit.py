"""The audit log: administrative actions, actions on money and reads of personal data by staff; it cannot be changed."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from faregate.core.access.audit import AuditLog
from faregate.gateway.http.auditing import Auditor
from faregate.gateway.http.operation import Operation, operations_of
from faregate.gateway.security.auth import Role, person
from support.apps import Gateway, open_gateway, settings_for
from support.people import SECRET, bearer


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        yield gateway


UNNOTED_CHANGES = {
    "credits-process.start": "the charge, with its key, is kept for ever",
    "credits-process.end": "the ledger keeps what was settled, and for whom",
    "credits-process.end_multimodel": "the ledger keeps what was settled, and for whom",
    "credits-process.extend": "a hold that lasts longer moves nothing",
    "credits-process.void": "the charge keeps that it was voided, and why",
    "usage.record": "the ledger keeps what was charged, and for what",
    "usage-events.record_events": "events keep their own fate; corrections of them are noted",
    **dict.fromkeys(
        ("ingest.take_events", "ingest.take_batch", "ingest.take_traces", "ingest.take_logs", "ingest.take_metrics"),
        "events keep their own fate, and the ledger what was charged; the rules that decide are noted",
    ),
    "graphql.post": "it only reads; the reads within it are recorded under their own names",
    "ingest-rules.try_rule": "it changes nothing",
    "feature-usage-logs.record": "the logs themselves",
    "prices.quote": "it changes nothing",
    "tables.write": "it changes nothing",
    "analytics.what_if": "it changes nothing",
    **dict.fromkeys(
        ("leases.take", "leases.renew", "leases.report", "leases.release"),
        "the charge, its transfers and its uses are kept",
    ),
    "payments.open_checkout": "the purchase is kept; credits follow from the payment only, which the ledger keeps",
    "payments.receive_event": "the event is kept with its purchase, and the ledger keeps what it moved",
    **dict.fromkeys(
        ("portal.buy", "portal.set_top_up", "portal.stop_top_up", "portal.forget_method"),
        "the visitor's own purchases and wallet, by a link whose making is recorded",
    ),
    "feedback.give_feedback": "the feedback itself, kept with the use and its user",
    "credits-process.quote": "it changes nothing",
}
UNNOTED_READS = {
    **dict.fromkeys(("operations.healthz", "operations.readyz", "operations.metrics"), "for machines, about none"),
    **dict.fromkeys(("wallets.get_own_wallet", "analytics.my_usage"), "one's own data"),
    **dict.fromkeys(
        (
            "features.list_features",
            "features.get_feature",
            "plans.list_plans",
            "plans.get_plan",
            "prices.list_overrides",
            "prices.get_price",
            "meters.list_meters",
            "meters.get_meter",
            "ingest-rules.list_rules",
            "ingest-rules.get_rule",
        ),
        "definitions, about nobody",
    ),
    **dict.fromkeys(("keys.list_keys", "keys.get_key"), "servers' credentials without their secrets"),
    **dict.fromkeys(("webhooks.list_webhooks", "webhooks.get_webhook", "webhooks.list_deliveries"), "addresses"),
    **dict.fromkeys(("ledger.list_closes", "ledger.get_close", "ledger.get_journal"), "sums of all wallets together"),
    **dict.fromkeys(("ledger.statement_of_all", "ledger.digest", "ledger.all_wallets"), "sums of all wallets together"),
    **dict.fromkeys(
        (
            "portal.me",
            "portal.usage",
            "portal.uses",
            "portal.use",
            "portal.grants",
            "portal.limits",
            "portal.statement",
            "portal.payments",
            "portal.purchase",
        ),
        "the visitor's own data, by a link whose making is recorded",
    ),
    "payment-events.list_waiting_events": "ids and amounts of Stripe's events, about nobody",
    "leases.get": "one lease, by a name that only its client knows",
    "session.who": "the caller",
    "views.list_views": "questions, not answers",
    "system.get_system": "processes, jobs and queues",
    "system.get_scaling": "numbers of messages and workers",
    **dict.fromkeys(
        ("objectives.list_objectives", "objectives.get_objective"), "sums of services, features and models"
    ),
    **dict.fromkeys(
        ("bills.list_bills", "bills.list_lines", "bills.compare_bill"),
        "costs, and ids of uses and of providers' requests",
    ),
    **dict.fromkeys(("budgets.list_budgets", "budgets.get_budget"), "sums of features, models and organisations"),
    **dict.fromkeys(
        ("reports.list_reports", "reports.get_report", "reports.list_report_deliveries"), "addresses of recipients"
    ),
    "analytics.capacity": "sizes of tables",
    "analytics.list_rules": "conditions of segments, about nobody",
    "organizations.list_organizations": "ids and policies, without members",
    "usage-events.fate": "one event, by a name that only its sender knows",
    "quotas.get_quota": "a limit, by its id",
    "quotas.quota_status": "a limit and how it stands, by its id",
    "graphql.get": "the reads within it are recorded under their own names",
    "audit.search": "it would note itself for ever",
}


async def entries(gateway: Gateway, query: str = "") -> Any:
    return (await gateway.get(f"/api/audit{query}")).data


async def test_an_entry_has_actor_action_owner_address_and_request(gateway: Gateway) -> None:
    headers = {**bearer("root", role="admin"), "x-request-id": "req-1"}
    body = {"credits": 5, "source": "bonus"}
    await gateway.call("POST", "/api/wallets/ada/grants", body, headers=headers)
    (entry,) = await entries(gateway)

    assert (entry["actor"], entry["actor_user_id"], entry["action"], entry["owner_id"]) == (
        "user",
        "root",
        "wallets.add_grant",
        "ada",
    )
    assert (entry["status"], entry["request_id"], entry["address"]) == (201, "req-1", "127.0.0.1")
    assert (entry["before_hash"], len(str(entry["after_hash"]))) == (None, 64)


async def test_the_hashes_show_whether_something_changed(gateway: Gateway) -> None:
    for credits in (1, 1, 2):
        await gateway.feature("f", strategy="fixed", parameters={"credits": credits})
    await gateway.call("DELETE", "/api/features/f")
    deleted, changed, repeated, made = await entries(gateway)

    assert made["before_hash"] is None
    assert made["after_hash"] == repeated["before_hash"] == repeated["after_hash"] == changed["before_hash"]
    assert changed["after_hash"] not in {None, changed["before_hash"]}
    assert (deleted["before_hash"], deleted["after_hash"]) == (changed["after_hash"], None)
    assert made["target"] == {"key": "f"}


async def test_refused_calls_and_regular_work_are_not_recorded(gateway: Gateway) -> None:
    await gateway.post("/api/wallets/ada/grants", {"credits": -1, "source": "bonus"})
    await gateway.start("ada", "nothing")
    await gateway.get("/api/wallets/ada")

    assert await entries(gateway) == []


async def test_reads_of_others_by_staff_are_recorded_and_own_reads_are_not(gateway: Gateway) -> None:
    await gateway.grant("ada", 1)
    for sub, role in (("root", "admin"), ("ann", "analyst"), ("ada", "user"), ("ada", "admin")):
        await gateway.call("GET", "/api/wallets/ada", headers=bearer(sub, role=role))
    await gateway.call("GET", "/api/usage?user_id=ada", headers=bearer("root", role="admin"))

    found = await entries(gateway, "?action=wallets.get_wallet")
    assert [(e["actor_user_id"], e["owner_id"]) for e in found] == [("ann", "ada"), ("root", "ada")]
    assert len(await entries(gateway, "?action=usage.*&actor_user_id=root")) == 1


def operations(gateway: Gateway) -> list[Operation]:
    return [found for controller in gateway.container.controllers() for found, _ in operations_of(controller)]


def auditor(operation: Operation, **arguments: object) -> Auditor:
    return Auditor(operation, person("root", [Role.ADMIN]), arguments, None)


async def test_every_changing_call_is_recorded_or_listed_with_a_reason(gateway: Gateway) -> None:
    changing = [operation for operation in operations(gateway) if operation.method != "GET"]

    assert {o.id for o in changing if not auditor(o).writes} == set(UNNOTED_CHANGES)
    assert len(changing) > 40


async def test_every_staff_read_of_personal_data_is_recorded_or_listed_with_a_reason(gateway: Gateway) -> None:
    """The operation names a user in the path or the query, or nobody if its answer is about people anyway."""
    reads = [operation for operation in operations(gateway) if operation.method == "GET"]
    unnoted: set[str] = set()
    for operation in reads:
        names = {*operation.path_parameters, *(operation.query.model_fields if operation.query else ())}
        named = next((name for name in ("owner_id", "user_id", "userId") if name in names), None)
        if not auditor(operation, **({named: "ada"} if named else {})).reads:
            unnoted.add(operation.id)

    assert unnoted == set(UNNOTED_READS)


PERSONAL = [
    "/api/privacy/export?user_id=ada",
    "/api/feature-usage-logs",
    "/api/feature-usage-logs/{log}",
    "/api/credits-process/use-1",
    "/api/usage",
    "/api/usage?user_id=ada",
    "/api/analytics/users/top",
    "/api/analytics/users/periods",
    "/api/analytics/dashboard",
    "/api/analytics/metrics?userId=ada",
    "/api/dead-letters",
    "/api/organizations/acme",
]


@pytest.mark.parametrize("path", PERSONAL)
async def test_reads_of_personal_data_by_an_administrator_are_recorded(gateway: Gateway, path: str) -> None:
    await gateway.feature("chat", strategy="free")
    await gateway.put("/api/organizations/acme", {"join": ["eve"]})
    await gateway.start("ada", "chat", usage_key="use-1")
    log = {"user_id": "ada", "feature_endpoint_value": "chat", "method": "POST", "code": 200, "status": "success"}
    logged = (await gateway.post("/api/feature-usage-logs", log)).data["id"]
    headers = {**bearer("root", role="admin"), "x-request-id": "look-1"}
    answer = await gateway.call("GET", path.format(log=logged), headers=headers)
    found = await entries(gateway, "?request_id=look-1")

    assert answer.status == 200, answer.body
    assert [entry["actor_user_id"] for entry in found] == ["root"]
    about_one = any(part in path for part in ("=ada", "{log}", "use-1"))
    assert found[0]["owner_id"] == ("ada" if about_one else "org:acme" if "acme" in path else None)


async def test_reads_with_an_administrative_key_are_recorded_and_regular_ones_are_not(gateway: Gateway) -> None:
    await gateway.grant("ada", 1)
    for path in ("/api/privacy/export?user_id=ada", "/api/usage?user_id=ada", "/api/wallets/ada"):
        assert (await gateway.call("GET", path)).status == 200

    assert [e["action"] for e in await entries(gateway) if e["action"] != "wallets.add_grant"] == ["privacy.export"]


async def test_a_read_about_an_unknown_user_creates_no_subject(gateway: Gateway) -> None:
    looked = await gateway.call("GET", "/api/usage?user_id=nobody", headers=bearer("root", role="admin"))
    (entry,) = await entries(gateway)
    async with gateway.database.transaction() as session:
        known = await gateway.database.rows(session, "select external_id from faregate.subject")

    assert (looked.status, entry["owner_id"], entry["actor_user_id"]) == (200, None, "root")
    assert [row.external_id for row in known] == ["root"]


async def test_a_correction_of_an_event_is_recorded_and_a_quote_is_not(gateway: Gateway) -> None:
    event = {"id": "1", "source": "/app", "user_id": "ada", "service": "chat"}
    await gateway.post("/api/usage-events", event)
    voided = {"source": "/app", "id": "1", "action": "void", "reason": "sent twice"}
    done = await gateway.post("/api/usage-events/corrections", voided)
    await gateway.post("/api/prices/quote", {"ai_model": "gpt-4o", "input_tokens": 1})
    (entry,) = await entries(gateway)

    assert done.status == 200
    assert (entry["action"], entry["target"]) == (
        "usage-events.correct",
        {"source": "/app", "id": "1", "correction": "void"},
    )


async def test_a_change_without_its_audit_entry_is_rolled_back(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "add", broken)
        failed = await gateway.post("/api/wallets/ada/grants", {"credits": 5, "source": "bonus"})

    assert (failed.status, (await gateway.get("/api/wallets/ada")).status) == (500, 404)


@pytest.mark.parametrize("sql", ["update faregate.audit_entry set actor = 'me'", "delete from faregate.audit_entry"])
async def test_the_database_refuses_to_change_entries(gateway: Gateway, sql: str) -> None:
    await gateway.grant("ada", 1)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        async with gateway.database.transaction() as session:
            await gateway.database.rows(session, sql)


async def test_search_pages_and_filters(gateway: Gateway) -> None:
    for number in range(5):
        await gateway.grant(f"user-{number % 2}", 1)
    first = await gateway.get("/api/audit?limit=3&action=wallets.*")
    rest = await gateway.get(f"/api/audit?limit=3&action=wallets.*&cursor={first.body['meta']['next_cursor']}")

    assert (len(first.data), len(rest.data), rest.body["meta"]["next_cursor"]) == (3, 2, None)
    assert len(await entries(gateway, "?owner_id=user-1")) == 2
    assert len(await entries(gateway, "?actor=bootstrap&to=2020-01-01T00:00:00Z")) == 0
