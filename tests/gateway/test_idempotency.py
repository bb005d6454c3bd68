"""`Idempotency-Key`: the same call twice has one effect, even concurrently; the answer is stored with it or not at all."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from faregate.core.access.idempotency import IdempotencyStore
from faregate.gateway.http.operation import operations_of
from faregate.gateway.security.auth import Scope
from support.apps import Answer, Gateway

BODY = {"credits": 7, "source": "purchase"}


async def test_the_same_call_again_gets_the_same_answer_and_does_nothing(gateway: Gateway) -> None:
    first = await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key="order-1")
    again = await gateway.post(
        "/api/wallets/ada/grants", {"source": "purchase", "credits": 7}, idempotency_key="order-1"
    )

    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 7


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/wallets/ada/grants", {**BODY, "credits": 8}), ("/api/wallets/bela/grants", BODY), ("/api/usage", None)],
)
async def test_the_key_with_another_request_is_a_conflict(gateway: Gateway, path: str, body: Any) -> None:
    await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key="order-1")
    other = body or {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"}
    refused = await gateway.post(path, other, idempotency_key="order-1")

    assert (refused.status, refused.error["code"], refused.error["param"]) == (409, "key_conflict", "Idempotency-Key")
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 7


async def test_thirty_concurrent_calls_have_one_effect_and_the_same_answer(gateway: Gateway) -> None:
    answers = await asyncio.gather(
        *(gateway.post("/api/wallets/ada/grants", BODY, idempotency_key="order-1") for _ in range(30))
    )

    assert Counter(answer.status for answer in answers) == {201: 30}
    assert len({str(answer.body) for answer in answers}) == 1
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 7


async def test_an_error_is_not_stored(gateway: Gateway) -> None:
    body = {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"}
    refused = await gateway.post("/api/usage", body, idempotency_key="paper-1")
    await gateway.grant("ada", 5)
    passed = await gateway.post("/api/usage", body, idempotency_key="paper-1")
    again = await gateway.post("/api/usage", body, idempotency_key="paper-1")

    assert (refused.status, passed.status, again.body) == (402, 201, passed.body)
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 0


async def test_change_and_stored_answer_are_one_transaction(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure between the change and its stored answer rolls the change back."""

    async def broken(*_: object) -> bool:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(IdempotencyStore, "keep", broken)
        failed = await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key="order-1")
    undone = await gateway.get("/api/wallets/ada")
    passed = await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key="order-1")

    assert (failed.status, undone.status, passed.status) == (500, 404, 201)
    assert passed.data["balance"] == 7


async def test_a_start_without_usage_key_is_one_hold_per_idempotency_key(gateway: Gateway) -> None:
    await gateway.grant("ada", 10)
    await gateway.feature("chat", min_credits=4)
    body = {"user_id": "ada", "feature_endpoint_value": "chat"}
    first, again = [await gateway.post("/api/credits-process/start", body, idempotency_key="s") for _ in range(2)]

    assert first.data["usage_key"] == again.data["usage_key"]
    assert (await gateway.get("/api/wallets/ada")).data["held"] == 4


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "käse".encode("latin-1")])
async def test_an_invalid_key_is_refused(gateway: Gateway, key: Any) -> None:
    refused = await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key=key)

    assert (refused.status, refused.error["param"]) == (422, "Idempotency-Key")


async def test_old_answers_are_deleted_after_36_days_and_not_before(gateway: Gateway) -> None:
    for number in range(3):
        await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key=f"order-{number}")
    store = gateway.container.idempotency()
    kept = await store.forget_old()
    async with gateway.database.transaction() as session:
        await gateway.database.rows(
            session,
            "update faregate.idempotent_answer set created_at = now() - interval '37 days' where key <> 'order-2'",
        )

    assert (kept, await store.forget_old(), await store.forget_old()) == (0, 2, 0)


async def test_a_debit_key_belongs_to_its_caller_and_may_have_any_form(gateway: Gateway) -> None:
    """Two services may use the same order numbers, and keys need not match the pattern of usage keys."""
    debit = {"credits": 5, "service": "support"}
    await gateway.grant("ada", 20)
    await gateway.grant("bela", 20)
    shop = (await gateway.post("/api/keys", {"name": "shop", "scopes": ["wallets:write"]})).data["key"]
    mine = [await gateway.post("/api/wallets/ada/debits", debit, idempotency_key="order/1") for _ in range(2)]
    theirs = {"x-server-api-key": shop, "idempotency-key": "order/1"}
    other = await gateway.call("POST", "/api/wallets/bela/debits", debit, headers=theirs)

    assert [answer.status for answer in (*mine, other)] == [201, 201, 201], other.body
    assert [(await gateway.get(f"/api/wallets/{who}")).data["balance"] for who in ("ada", "bela")] == [15, 15]


class Caller:
    """One of two services with a key that has all scopes."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self._gateway = gateway
        self._key = key

    async def post(self, path: str, body: Any) -> Answer:
        headers = {"x-server-api-key": self._key, "idempotency-key": "order-1"}
        return await self._gateway.call("POST", path, body, headers=headers)


Made = tuple[str, Any, Any]
"""A path, a body for it, and another valid body."""


async def use_of(gateway: Gateway) -> str:
    """Return the id of a transaction that charged 5 credits."""
    debit = {"credits": 5, "service": "support"}
    assert (await gateway.post("/api/wallets/ada/debits", debit)).status == 201
    return str((await gateway.get("/api/wallets/ada/transactions?limit=1")).data[0]["id"])


async def bought(gateway: Gateway) -> str:
    """Return the id of a transaction that bought credits."""
    await gateway.grant("ada", 5)
    return str((await gateway.get("/api/wallets/ada/transactions?limit=1")).data[0]["id"])


async def grant_of(gateway: Gateway) -> str:
    """Return the id of a grant."""
    return str((await gateway.post("/api/wallets/ada/grants", BODY)).data["grant"]["id"])


async def key_of(gateway: Gateway) -> str:
    return str((await gateway.post("/api/keys", {"name": "job", "scopes": ["usage:read"]})).data["key_id"])


async def hook_of(gateway: Gateway) -> str:
    made = await gateway.post("/api/webhooks", {"url": "https://93.184.216.34/h", "events": ["credits.low"]})
    return str(made.data["id"])


async def report_of(gateway: Gateway) -> str:
    body = {"kind": "weekly", "recipients": ["ops@example.com"]}
    return str((await gateway.put("/api/reports/team", body)).data["name"])


LOG = {"user_id": "ada", "feature_endpoint_value": "chat", "method": "POST", "code": 200, "status": "success"}
EVENT = {"user_id": "ada", "service": "chat", "quantity": 1, "meter": "api", "kind": "meter"}
USE = {"user_id": "ada", "feature_endpoint_value": "chat"}
LINES = [{"ai_model": "gpt-4o", "input_tokens": 10}]
MORE_LINES = [{"ai_model": "gpt-4o", "input_tokens": 11}]

FIXED: dict[str, Made] = {
    "wallets.add_grant": ("/api/wallets/ada/grants", BODY, {**BODY, "credits": 8}),
    "wallets.adjust": ("/api/wallets/ada/adjustments", {"credits": 1, "reason": "a"}, {"credits": 2, "reason": "a"}),
    "wallets.debit": ("/api/wallets/ada/debits", {"credits": 1, "service": "s"}, {"credits": 2, "service": "s"}),
    "ledger.close_month": ("/api/ledger/closes", {"period": "2026-01"}, {"period": "2026-02"}),
    "usage.record": ("/api/usage", {"user_id": "ada", "feature_key": "chat"}, {"user_id": "bo", "feature_key": "chat"}),
    "portal.create": ("/api/portal/links", {"user_id": "ada"}, {"user_id": "bo"}),
    "keys.create_key": (
        "/api/keys",
        {"name": "a", "scopes": ["usage:read"]},
        {"name": "b", "scopes": ["usage:read"]},
    ),
    "webhooks.create_webhook": (
        "/api/webhooks",
        {"url": "https://93.184.216.34/a", "events": ["credits.low"]},
        {"url": "https://93.184.216.34/b", "events": ["credits.low"]},
    ),
    "feature-usage-logs.record": ("/api/feature-usage-logs", LOG, {**LOG, "code": 201}),
    "usage-events.record_events": ("/api/usage-events", EVENT, {**EVENT, "quantity": 2}),
}
ABOUT: dict[str, tuple[Callable[[Gateway], Awaitable[str]], Made]] = {
    "transactions.refund": (
        use_of,
        ("/api/transactions/{id}/refund", {"credits": 1, "reason": "a"}, {"credits": 2, "reason": "a"}),
    ),
    "wallets.record_payment": (
        grant_of,
        ("/api/wallets/ada/grants/{id}/payments", {"paid_usd": 1}, {"paid_usd": 2}),
    ),
    "transactions.charge_back": (bought, ("/api/transactions/{id}/chargeback", {"reason": "a"}, {"reason": "b"})),
    "keys.rotate_key": (key_of, ("/api/keys/{id}/rotate", {"overlap_seconds": 60}, {"overlap_seconds": 61})),
    "reports.test_report": (
        report_of,
        ("/api/reports/{id}/test", {"address": "a@b.example"}, {"address": "c@d.example"}),
    ),
    "webhooks.rotate_secret": (hook_of, ("/api/webhooks/{id}/rotate", {"overlap_seconds": 6}, {"overlap_seconds": 7})),
}
BY_USAGE_KEY: dict[str, Made] = {
    "credits-process.start": (
        "/api/credits-process/start",
        {**USE, "estimated_credits": 1},
        {**USE, "estimated_credits": 2},
    ),
    "credits-process.end": ("/api/credits-process/end", {**USE, **LINES[0]}, {**USE, **MORE_LINES[0]}),
    "credits-process.end_multimodel": (
        "/api/credits-process/end-multimodel",
        {**USE, "usages": LINES},
        {**USE, "usages": MORE_LINES},
    ),
    "leases.take": ("/api/leases", {**USE, "credits": 1}, {**USE, "credits": 2}),
}
"""Without a usage key, one is derived from the `Idempotency-Key`: the use itself is stored, not the answer."""

MAKES_NOTHING = {
    "payments.open_checkout",  # its key stands for the purchase, without a transaction that waits for Stripe
    "payments.receive_event",
    "portal.buy",
    "bills.import_bill",  # the same file again changes nothing
    "graphql.post",
    "credits-process.extend",
    "credits-process.void",
    "usage-events.correct",
    "prices.quote",
    "credits-process.quote",
    "wallets.void_grant",
    "dead-letters.replay",
    "dead-letters.drop",
    "privacy.erase",
    "webhooks.replay",
    "reports.resume_report",
    "reports.note_bounce",
    "session.sign_in",
    "session.make_link",
    "leases.renew",
    "leases.report",
    "leases.release",
    "analytics.judge_anomaly",
    "analytics.refund_incident",
    "analytics.what_if",
    "feedback.give_feedback",
    "tables.write",
    "ingest-rules.try_rule",
    "ingest.take_events",
    "ingest.take_batch",
    "ingest.take_traces",
    "ingest.take_logs",
    "ingest.take_metrics",
}
"""They act on a named object, so that repeating them has no further effect; events and spans count once by their own ids. A sign-in
answers a cookie or a link, which is never stored.
"""


@pytest.fixture
async def callers(gateway: Gateway) -> tuple[Caller, Caller]:
    await gateway.feature("chat", strategy="fixed", parameters={"credits": 1})
    await gateway.grant("ada", 100)
    await gateway.grant("bo", 100)
    scopes = [scope.value for scope in Scope]
    made = await gateway.post("/api/keys", {"name": "other", "scopes": scopes})
    return Caller(gateway, gateway.key), Caller(gateway, made.data["key"])


async def test_the_table_below_lists_every_creating_call(gateway: Gateway) -> None:
    declared = [found for controller in gateway.container.controllers() for found, _ in operations_of(controller)]
    posts = {found.id for found in declared if found.method == "POST"}

    assert posts == FIXED.keys() | ABOUT.keys() | BY_USAGE_KEY.keys() | MAKES_NOTHING
    assert {found.id for found in declared if found.idempotent} == FIXED.keys() | ABOUT.keys()


@pytest.mark.parametrize("name", [*FIXED, *ABOUT, *BY_USAGE_KEY])
async def test_a_key_stands_for_one_request_of_its_caller(
    gateway: Gateway, callers: tuple[Caller, Caller], name: str
) -> None:
    """With the same body: the same answer. With another body: a conflict. From another caller: a new key."""
    mine, theirs = callers
    if name in ABOUT:
        make, (path, body, other) = ABOUT[name]
        path, their_path = path.format(id=await make(gateway)), path.format(id=await make(gateway))
    else:
        path, body, other = (FIXED | BY_USAGE_KEY)[name]
        their_path = path
    first, again, changed = [await mine.post(path, sent) for sent in (body, body, other)]
    independent = await theirs.post(their_path, other)
    hidden = {"key": None, "secret": None, **({"url": None} if name == "portal.create" else {})}

    assert first.status in {200, 201, 202}, first.body
    assert (again.status, changed.status, independent.status) == (first.status, 409, first.status), independent.body
    if name in BY_USAGE_KEY:
        member = "lease_id" if name == "leases.take" else "usage_key"
        assert again.data[member] == first.data[member] != independent.data[member]
        return
    shown = first.data | {k: v for k, v in hidden.items() if k in first.data} if isinstance(first.data, dict) else None
    assert again.data == (shown or first.data)
    assert again.headers["idempotency-replayed"] == "true"
    assert changed.error["param"] == "Idempotency-Key"
    assert "idempotency-replayed" not in independent.headers
    assert independent.data != first.data or name == "usage-events.record_events"
    if name == "usage-events.record_events":
        assert independent.data["accepted"] == 1
