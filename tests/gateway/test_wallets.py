"""Wallets, grants, transactions, features and finished uses over HTTP."""

from decimal import Decimal
from typing import Any

import pytest

from support.apps import Gateway

PAPER = "GENERATE_QUESTION_PAPER"


async def test_a_wallet_appears_on_first_use_with_nothing_in_it(gateway: Gateway) -> None:
    unknown = await gateway.get("/api/wallets/ada")
    await gateway.put("/api/wallets/ada", {"email": "ada@example.com"})
    known = await gateway.get("/api/wallets/ada")

    assert (unknown.status, unknown.error["code"]) == (404, "unknown_wallet")
    assert (known.data["credits"], known.data["email"], known.data["status"], known.data["grants"]) == (
        0,
        "ada@example.com",
        "active",
        [],
    )


async def test_a_put_changes_only_the_given_fields(gateway: Gateway) -> None:
    await gateway.put("/api/wallets/ada", {"plan": "gold", "organization_id": "acme", "low_balance": 5})
    changed = await gateway.put("/api/wallets/ada", {"credit_limit": Decimal("2.5"), "organization_id": None})

    assert (changed.data["plan"], changed.data["organization_id"]) == ("gold", None)
    assert (changed.data["credit_limit"], changed.data["credits"], changed.data["low_balance"]) == (
        Decimal("2.5"),
        Decimal("2.5"),
        5,
    )


async def test_a_credit_limit_in_use_cannot_be_removed(gateway: Gateway) -> None:
    await gateway.put("/api/wallets/ada", {"credit_limit": 10})
    await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER})
    refused = await gateway.put("/api/wallets/ada", {"credit_limit": 4})

    assert (refused.status, refused.error["param"]) == (422, "credit_limit")
    assert "at least 5" in refused.error["detail"]
    assert (await gateway.get("/api/wallets/ada")).data["debt"] == 5


async def test_a_grant_key_makes_one_grant(gateway: Gateway) -> None:
    body = {"credits": Decimal("100.5"), "source": "purchase", "key": "order-7", "reason": "order 7"}
    first, again = [await gateway.post("/api/wallets/ada/grants", body) for _ in range(2)]
    other = await gateway.post("/api/wallets/ada/grants", {**body, "credits": 200})

    assert (first.status, first.data["balance"]) == (201, Decimal("100.5"))
    assert (again.data["grant"]["id"], again.headers["idempotency-replayed"]) == (first.data["grant"]["id"], "true")
    assert (other.status, other.error["code"]) == (409, "key_conflict")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"credits": 0, "source": "purchase"}, "credits"),
        ({"credits": -5, "source": "purchase"}, "credits"),
        ({"credits": "5", "source": "purchase"}, "credits"),
        ({"credits": Decimal("0.0000001"), "source": "purchase"}, "credits"),
        ({"credits": 10**9, "source": "purchase"}, "credits"),
        ({"credits": 5, "source": "theft"}, "source"),
        ({"credits": 5, "source": "purchase", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"credits": 5, "source": "purchase", "expires_at": "2030-01-01"}, "expires_at"),
        ({"credits": 5, "source": "purchase", "expires_at": 1893456000}, "expires_at"),
        ({"credits": 5, "source": "purchase", "every": "fortnight"}, "every"),
        ({"credits": 5, "source": "purchase", "rollover_max": 5}, "every"),
        ({"credits": 5, "source": "purchase", "features": []}, "features"),
        ({"credits": 5, "source": "purchase", "expire_at": "2030-01-01T00:00:00Z"}, "expire_at"),
    ],
)
async def test_an_invalid_grant_is_refused_by_field(gateway: Gateway, body: dict[str, object], param: str) -> None:
    refused = await gateway.post("/api/wallets/ada/grants", body)

    assert (refused.status, refused.error["param"]) == (422, param)


async def test_grants_are_listed_while_they_are_live(gateway: Gateway) -> None:
    await gateway.grant("ada", 5)
    await gateway.grant("ada", 10, effective_at="2100-01-01T00:00:00Z")
    await gateway.grant("ada", 3, every="month", source="plan")
    await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER})
    grants = (await gateway.get("/api/wallets/ada")).data["grants"]

    assert [(g["credits"], g["remaining"], g["status"]) for g in grants] == [
        (5, 3, "active"),
        (10, 0, "scheduled"),
        (3, 0, "active"),
    ]


async def test_transactions_are_paged_newest_first_and_add_up(gateway: Gateway) -> None:
    await gateway.grant("ada", 100)
    for _ in range(4):
        await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER})
    pages: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await gateway.get(f"/api/wallets/ada/transactions?limit=2{cursor and '&cursor=' + cursor}")
        pages.append(page.data)
        cursor = page.body["meta"]["next_cursor"]
    found = [transaction for page in pages for transaction in page]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [t["balance"] for t in found] == [80, 85, 90, 95, 100]
    assert sum(t["amount"] for t in found) == 80
    assert len({t["id"] for t in found}) == 5


async def test_a_made_up_cursor_is_refused(gateway: Gateway) -> None:
    await gateway.grant("ada", 1)
    answers = [await gateway.get(f"/api/wallets/ada/transactions?cursor={c}") for c in ("x", "WzJd.", "e30")]

    assert [(a.status, a.error["param"]) for a in answers] == [(422, "cursor")] * 3


async def test_a_question_paper_costs_five_credits(gateway: Gateway) -> None:
    await gateway.grant("ada", 7)
    first = await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER, "metadata": {"pages": 2}})
    second = await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER})

    assert first.status == 201
    assert {
        name: first.data[name] for name in ("user_id", "feature_key", "credits_consumed", "credits_charged", "metadata")
    } == {
        "user_id": "ada",
        "feature_key": PAPER,
        "credits_consumed": 5,
        "credits_charged": 5,
        "metadata": {"pages": 2},
    }
    assert (second.status, second.error["code"]) == (402, "insufficient_credits")
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 2


async def test_recording_a_use_again_returns_the_first_one(gateway: Gateway) -> None:
    await gateway.grant("ada", 20)
    body = {"user_id": "ada", "feature_key": PAPER, "usage_key": "paper-1"}
    first, again = [await gateway.post("/api/usage", body) for _ in range(2)]

    assert first.data == again.data
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 15


async def test_finished_uses_are_listed_by_filter(gateway: Gateway) -> None:
    for user in ("ada", "bela"):
        await gateway.grant(user, 100)
        for _ in range(3):
            await gateway.post("/api/usage", {"user_id": user, "feature_key": PAPER})
    first = await gateway.get("/api/usage?user_id=ada&limit=2")
    rest = await gateway.get(f"/api/usage?user_id=ada&limit=2&cursor={first.body['meta']['next_cursor']}")
    future = await gateway.get("/api/usage?from=2100-01-01T00:00:00Z")

    assert [len(first.data), len(rest.data), len(future.data)] == [2, 1, 0]
    assert {usage["user_id"] for usage in first.data + rest.data} == {"ada"}
    assert rest.body["meta"]["next_cursor"] is None


async def test_features_are_defined_read_and_deleted(gateway: Gateway) -> None:
    await gateway.feature("painter", strategy="fixed", parameters={"credits": Decimal("0.5")}, name="Painter", id="p-1")
    listed = (await gateway.get("/api/features")).data
    by_id = (await gateway.get("/api/features/p-1")).data
    deleted = await gateway.call("DELETE", "/api/features/painter")
    gone = await gateway.get("/api/features/painter")

    assert [feature["key"] for feature in listed] == [PAPER, "painter"]
    assert (by_id["key"], by_id["parameters"]) == ("painter", {"credits": Decimal("0.5")})
    assert (deleted.status, gone.status) == (200, 404)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "strategy"),
        ({"strategy": "no-such"}, "strategy"),
        ({"strategy": "fixed"}, "parameters.credits"),
        ({"strategy": "fixed", "parameters": {"credits": -1}}, "parameters.credits"),
        ({"strategy": "fixed", "parameters": {"credits": 1, "creditz": 1}}, "parameters.creditz"),
        ({"strategy": "free", "min_credits": -1}, "min_credits"),
        ({"strategy": "free", "key": "another"}, "key"),
        ({"strategy": "free", "hold_ttl_seconds": 0}, "hold_ttl_seconds"),
        ({"strategy": "free", "activ": True}, "activ"),
    ],
)
async def test_an_invalid_feature_is_refused_when_it_is_saved(
    gateway: Gateway, body: dict[str, object], param: str
) -> None:
    refused = await gateway.put("/api/features/f", body)

    assert (refused.status, refused.error["param"]) == (422, param)


async def test_an_id_belongs_to_one_feature(gateway: Gateway) -> None:
    await gateway.feature("one", id="x-1")
    refused = await gateway.put("/api/features/two", {"strategy": "free", "id": "x-1"})

    assert (refused.status, refused.error["param"]) == (422, "id")


async def test_finished_uses_are_found_by_feature_and_until_a_moment(gateway: Gateway) -> None:
    await gateway.grant("ada", 100)
    await gateway.feature("free", strategy="free")
    await gateway.post("/api/usage", {"user_id": "ada", "feature_key": PAPER, "usage_key": "first"})
    await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "free", "usage_key": "second"})
    everything = (await gateway.get("/api/usage?user_id=ada")).data
    until = everything[0]["executed_at"].replace("+", "%2B")
    by_feature, early = [await gateway.get(f"/api/usage?{query}") for query in (f"feature_key={PAPER}", f"to={until}")]

    assert [use["usage_key"] for use in everything] == ["second", "first"]
    assert [use["usage_key"] for use in by_feature.data] == ["first"]
    assert [use["usage_key"] for use in early.data] == ["first"]
