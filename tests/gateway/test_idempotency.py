"""`Idempotency-Key`: the same call twice is one deed, whoever races whom; the answer is kept with the deed or not at all."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from faregate.core.idempotency import IdempotencyStore
from support.apps import Gateway

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


async def test_thirty_at_once_are_one_deed_and_all_are_told_the_same(gateway: Gateway) -> None:
    answers = await asyncio.gather(
        *(gateway.post("/api/wallets/ada/grants", BODY, idempotency_key="order-1") for _ in range(30))
    )

    assert Counter(answer.status for answer in answers) == {201: 30}
    assert len({str(answer.body) for answer in answers}) == 1
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 7


async def test_a_refusal_is_not_kept(gateway: Gateway) -> None:
    body = {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"}
    refused = await gateway.post("/api/usage", body, idempotency_key="paper-1")
    await gateway.grant("ada", 5)
    passed = await gateway.post("/api/usage", body, idempotency_key="paper-1")
    again = await gateway.post("/api/usage", body, idempotency_key="paper-1")

    assert (refused.status, passed.status, again.body) == (402, 201, passed.body)
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 0


async def test_deed_and_kept_answer_are_one_transaction(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure between the deed and its kept answer undoes the deed."""

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
async def test_a_key_that_is_none_is_refused(gateway: Gateway, key: Any) -> None:
    refused = await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key=key)

    assert (refused.status, refused.error["param"]) == (422, "Idempotency-Key")


async def test_old_answers_are_forgotten_after_36_days_and_not_before(gateway: Gateway) -> None:
    for number in range(3):
        await gateway.post("/api/wallets/ada/grants", BODY, idempotency_key=f"order-{number}")
    store = gateway.container.core.container.idempotency()
    kept = await store.forget_old()
    async with gateway.database.transaction() as session:
        await gateway.database.rows(
            session,
            "update faregate.idempotent_answer set created_at = now() - interval '37 days' where key <> 'order-2'",
        )

    assert (kept, await store.forget_old(), await store.forget_old()) == (0, 2, 0)


async def test_a_debit_under_a_key_is_one_of_its_caller_whatever_the_key_looks_like(gateway: Gateway) -> None:
    """Two services may count their orders alike, and need not know what a usage key may look like."""
    debit = {"credits": 5, "service": "support"}
    await gateway.grant("ada", 20)
    await gateway.grant("bela", 20)
    shop = (await gateway.post("/api/keys", {"name": "shop", "scopes": ["wallets:write"]})).data["key"]
    mine = [await gateway.post("/api/wallets/ada/debits", debit, idempotency_key="order/1") for _ in range(2)]
    theirs = {"x-server-api-key": shop, "idempotency-key": "order/1"}
    other = await gateway.call("POST", "/api/wallets/bela/debits", debit, headers=theirs)

    assert [answer.status for answer in (*mine, other)] == [201, 201, 201], other.body
    assert [(await gateway.get(f"/api/wallets/{who}")).data["balance"] for who in ("ada", "bela")] == [15, 15]
