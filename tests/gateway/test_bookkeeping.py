"""Refunds, adjustments, charge-backs, voided grants, statements and spending limits over HTTP."""

from decimal import Decimal
from typing import Any

import pytest

from support.apps import Gateway

PAPER = "GENERATE_QUESTION_PAPER"
YEAR = "from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z"


async def charged(gateway: Gateway, user: str, usage_key: str = "use-1") -> str:
    """Use a feature of 5 credits; return the id of the transaction that paid it."""
    used = await gateway.post("/api/usage", {"user_id": user, "feature_key": PAPER, "usage_key": usage_key})
    assert used.status == 201, used.body
    return str((await gateway.get(f"/api/wallets/{user}/transactions")).data[0]["id"])


async def test_a_charge_is_refunded_in_parts_up_to_its_amount(gateway: Gateway) -> None:
    await gateway.grant("ada", 20)
    path = f"/api/transactions/{await charged(gateway, 'ada')}/refund"

    first = await gateway.post(path, {"credits": 2, "reason": "half the pages were empty", "key": "ticket-9"})
    again = await gateway.post(path, {"credits": 2, "reason": "half the pages were empty", "key": "ticket-9"})
    rest = await gateway.post(path, {"reason": "the other half too"})
    more = await gateway.post(path, {"credits": 1, "reason": "once more"})

    assert (first.status, first.data["kind"], first.data["amount"], first.data["balance"]) == (201, "refund", 2, 17)
    assert (first.data["actor"], first.data["reason"]) == ("bootstrap", "half the pages were empty")
    assert (again.data["id"], rest.data["amount"], rest.data["balance"]) == (first.data["id"], 3, 20)
    assert (more.status, more.error["code"]) == (409, "not_refundable")


async def test_an_idempotency_key_makes_one_refund(gateway: Gateway) -> None:
    await gateway.grant("ada", 20)
    path = f"/api/transactions/{await charged(gateway, 'ada')}/refund"
    sent = [await gateway.post(path, {"credits": 2, "reason": "r"}, idempotency_key="abc") for _ in range(2)]

    assert [answer.status for answer in sent] == [201, 201]
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 17


async def test_an_adjustment_moves_a_balance_up_and_down_but_not_below_what_is_free(gateway: Gateway) -> None:
    await gateway.grant("ada", 10)
    up = await gateway.post("/api/wallets/ada/adjustments", {"credits": Decimal("2.5"), "reason": "goodwill"})
    down = await gateway.post("/api/wallets/ada/adjustments", {"credits": -4, "reason": "counted twice"})
    below = await gateway.post("/api/wallets/ada/adjustments", {"credits": -9, "reason": "counted twice"})

    assert (up.data["balance"], down.data["amount"], down.data["balance"]) == (Decimal("12.5"), -4, Decimal("8.5"))
    assert (below.status, below.error["code"]) == (402, "insufficient_credits")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/wallets/ada/adjustments", {"credits": 0, "reason": "nothing"}, 422, "invalid"),
        ("/api/wallets/ada/adjustments", {"credits": 1, "reason": ""}, 422, "invalid"),
        ("/api/wallets/ada/adjustments", {"credits": 1}, 422, "invalid"),
        ("/api/wallets/nobody/adjustments", {"credits": 1, "reason": "r"}, 404, "unknown_wallet"),
        ("/api/transactions/1-999/refund", {"reason": "r"}, 404, "unknown_transaction"),
        ("/api/transactions/nonsense/refund", {"reason": "r"}, 404, "unknown_transaction"),
        ("/api/transactions/nonsense/chargeback", {"reason": "r"}, 404, "unknown_transaction"),
        ("/api/wallets/ada/grants/nonsense/void", {"reason": "r"}, 404, "unknown_grant"),
    ],
)
async def test_an_invalid_correction_is_refused_and_changes_nothing(
    gateway: Gateway, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    await gateway.grant("ada", 10)
    refused = await gateway.post(path, body)

    assert (refused.status, refused.error["code"]) == (status, code)
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 10


async def test_a_charge_back_takes_the_remaining_credits_and_books_the_rest_as_loss(gateway: Gateway) -> None:
    await gateway.grant("ada", 8)
    purchase = (await gateway.get("/api/wallets/ada/transactions")).data[0]["id"]
    await charged(gateway, "ada")
    back = await gateway.post(f"/api/transactions/{purchase}/chargeback", {"reason": "card dispute 77"})

    assert [(t["kind"], t["amount"]) for t in back.data] == [("chargeback", -3), ("shortfall", 0)]
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 0


async def test_a_voided_grant_keeps_only_the_credits_protected_by_a_hold(gateway: Gateway) -> None:
    await gateway.feature("chat", min_credits=6)
    welcome = {"credits": 10, "source": "bonus", "reason": "welcome"}
    granted = await gateway.post("/api/wallets/ada/grants", welcome)
    filling = (await gateway.get("/api/wallets/ada/transactions")).data[0]["id"]
    await gateway.start("ada", "chat", usage_key="k")
    path = f"/api/wallets/ada/grants/{granted.data['grant']['id']}/void"
    voided = await gateway.post(path, {"reason": "given in error"})
    await gateway.post("/api/credits-process/void", {"usage_key": "k", "user_id": "ada"})

    grant, voids = voided.data["grant"], (await gateway.get("/api/wallets/ada/transactions")).data[:2]

    assert (grant["status"], voided.data["balance"], voided.data["credits"]) == ("voided", 6, 0)
    assert (grant["reason"], grant["void_reason"], grant["voided_by"]) == ("welcome", "given in error", "bootstrap")
    assert [(t["kind"], t["amount"]) for t in voids] == [("grant_void", -6), ("grant_void", -4)]
    assert {(t["corrects"], t["reason"]) for t in voids} == {(filling, "given in error")}
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 0


async def test_a_statement_adds_up_and_a_balance_can_be_read_as_of_any_time(gateway: Gateway) -> None:
    await gateway.grant("ada", 20)
    await gateway.post("/api/wallets/ada/grants", {"credits": 5, "source": "bonus"})
    transaction = await charged(gateway, "ada")
    await gateway.post(f"/api/transactions/{transaction}/refund", {"credits": 1, "reason": "r"})
    one = (await gateway.get(f"/api/wallets/ada/statement?{YEAR}")).data
    everyone = (await gateway.get(f"/api/ledger/statement?{YEAR}")).data
    before = await gateway.get("/api/wallets/ada/balance?at=2020-01-01T00:00:00Z")
    now = await gateway.get("/api/wallets/ada/balance?at=2099-01-01T00:00:00Z")

    assert (one["opening"], one["granted"], one["used"], one["refunded"], one["closing"]) == (
        0,
        {"purchase": 20, "promotion": 5},
        5,
        1,
        21,
    )
    assert {**everyone, "owner_id": "ada"} == one
    assert (before.data["balance"], now.data["balance"]) == (0, 21)


async def test_a_digest_changes_with_every_transfer(gateway: Gateway) -> None:
    await gateway.grant("ada", 1)
    first = (await gateway.get("/api/ledger/digest")).data
    again = (await gateway.get("/api/ledger/digest")).data
    await gateway.grant("ada", 1)
    after = (await gateway.get("/api/ledger/digest")).data

    assert (first["wallets"], first["transfers"], again) == (1, 1, first)
    assert (after["transfers"], after["digest"] == first["digest"]) == (2, False)


async def test_a_user_limit_warns_when_soft_and_refuses_when_hard(gateway: Gateway) -> None:
    await gateway.grant("ada", 100)
    await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": "month", "soft": 4, "hard": 10}]})
    await gateway.feature("chat", min_credits=3)
    first = await gateway.start("ada", "chat")
    second = await gateway.start("ada", "chat")
    third = await gateway.start("ada", "chat", estimated_credits=9)
    used = (await gateway.get("/api/wallets/ada/limits")).data

    assert (first.data["limits_passed"], second.data["limits_passed"]) == ([], ["user"])
    assert (third.status, third.error["code"], third.data["credits"]) == (402, "member_limit", 4)
    assert (used[0]["period"], used[0]["held"], used[0]["spent"]) == ("month", 6, 0)


async def test_a_limit_without_bounds_is_removed(gateway: Gateway) -> None:
    await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": "day", "hard": 0}]})
    gone = await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": "day"}]})
    wrong = await gateway.put("/api/wallets/ada/limits", {"limits": [{"period": "day", "soft": 5, "hard": 2}]})

    assert gone.data == []
    assert wrong.status == 422


async def test_members_of_a_pool_have_own_limits_or_the_common_one(gateway: Gateway) -> None:
    await gateway.put("/api/organizations/acme", {"policy": "pooled", "join": ["ann", "ben"]})
    await gateway.grant("org:acme", 100)
    await gateway.feature("chat", min_credits=0)
    path = "/api/organizations/acme/limits"
    await gateway.put(path, {"limits": [{"period": "month", "hard": 20}]})
    limits = (await gateway.put(path, {"member": "ben", "limits": [{"period": "month", "hard": 50}]})).data
    answers = [await gateway.start(who, "chat", estimated_credits=30) for who in ("ann", "ben")]
    shown = {limit["member"]: (limit["hard"], limit["held"]) for limit in (await gateway.get(path)).data}

    assert {(limit["member"], limit["hard"]) for limit in limits} == {(None, 20), ("ben", 50)}
    assert [answer.status for answer in answers] == [402, 200]
    assert answers[0].error["code"] == "member_limit"
    assert (shown["ben"], shown[None]) == ((50, 30), (20, 0))


async def test_a_user_known_only_from_logs_and_events_has_no_wallet(gateway: Gateway) -> None:
    """Feature logs and events create subjects too, but no wallets."""
    log = {"feature_endpoint_value": "f", "user_id": "zoe", "method": "GET", "code": 200, "status": "success"}
    logged = await gateway.post("/api/feature-usage-logs", log)
    shown = await gateway.get("/api/wallets/zoe")
    adjusted = await gateway.post("/api/wallets/zoe/adjustments", {"credits": 1, "reason": "r"})
    made = await gateway.put("/api/wallets/zoe", {})

    assert [answer.status for answer in (logged, shown, adjusted, made)] == [201, 404, 404, 200]
    assert shown.error["code"] == "unknown_wallet"
