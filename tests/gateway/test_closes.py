"""Closed months and payments for grants over HTTP."""

from decimal import Decimal
from typing import Any

import pytest

from support.apps import Gateway

CLOSES = "/api/ledger/closes"


async def bought(gateway: Gateway, owner: str, credits: int, usd: str, day: str = "2026-01-05") -> str:
    """Grant a purchase dated back, record its price, and return the grant's id."""
    at = f"{day}T00:00:00Z"
    body = {"credits": credits, "source": "purchase", "reason": "order", "effective_at": at, "key": f"order-{day}"}
    granted = await gateway.post(f"/api/wallets/{owner}/grants", body)
    assert granted.status == 201, granted.body
    payment = {"paid_usd": Decimal(usd), "paid_at": at}
    paid = await gateway.post(f"/api/wallets/{owner}/grants/{granted.data['grant']['id']}/payments", payment)
    assert paid.status == 201, paid.body
    return str(granted.data["grant"]["id"])


async def test_a_month_is_closed_once_and_read_in_all_its_parts(gateway: Gateway) -> None:
    await bought(gateway, "ada", 100, "10")
    await bought(gateway, "bela", 50, "4.99")
    closed = await gateway.post(CLOSES, {"period": "2026-01"})
    await bought(gateway, "ada", 30, "3", day="2026-01-09")
    again = await gateway.post(CLOSES, {"period": "2026-01"})
    following = await gateway.post(CLOSES, {"period": "2026-02"})
    listed = await gateway.get(CLOSES)
    read = await gateway.get(f"{CLOSES}/2026-01")
    first = await gateway.get(f"{CLOSES}/2026-01/wallets?limit=1")
    second = await gateway.get(f"{CLOSES}/2026-01/wallets?limit=1&cursor={first.body['meta']['next_cursor']}")
    own = await gateway.get(f"{CLOSES}/2026-01/wallets/bela")
    late = await gateway.get(f"{CLOSES}/2026-02/late")

    assert closed.status == 201, closed.body
    assert closed.data == again.data == read.data
    assert (closed.data["transfers"], closed.data["wallets"], closed.data["statement"]["closing"]) == (2, 2, 150)
    assert closed.data["statement"]["value"]["deferred_closing"] == Decimal("14.99")
    assert closed.data["flows"] == [{"debit": "purchases", "credit": "wallet", "credits": 150}]
    assert (following.data["late"], following.data["statement"]["granted"]) == (2, {"purchase": 30})
    assert [close["period"] for close in listed.data] == ["opening", "2026-01", "2026-02"]
    assert [one.data[0]["owner_id"] for one in (first, second)] == ["ada", "bela"]
    assert own.data == second.data[0]
    assert [(fact["kind"], fact["credits"], fact["usd"]) for fact in late.data] == [
        ("payment", None, 3),
        ("transfer", 30, None),
    ]


async def test_the_journal_is_json_and_csv(gateway: Gateway) -> None:
    await bought(gateway, "ada", 100, "10")
    await gateway.post(CLOSES, {"period": "2026-01"})
    lines = await gateway.get(f"{CLOSES}/2026-01/journal")
    url = f"{CLOSES}/2026-01/journal?format=csv&unit=credits"
    file = await gateway.http.get(url, headers={"x-server-api-key": gateway.key})

    assert lines.status == 200, lines.body

    assert [(line["account"], line["debit"], line["credit"]) for line in lines.data] == [
        ("cash", 10, 0),
        ("deferred_revenue", 0, 10),
    ]
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="journal-2026-01-credits.csv"' in file.headers["content-disposition"]
    assert "credits_purchases,credits_purchases,credits from purchases to wallet,100.000000,0,credits" in file.text


async def test_a_dry_run_closes_nothing(gateway: Gateway) -> None:
    rehearsed = await gateway.post(CLOSES, {"period": "2026-01"}, x_faregate_dry_run="true")

    assert (rehearsed.status, rehearsed.data["period"]) == (201, "2026-01")
    assert (await gateway.get(CLOSES)).data == []


async def test_a_payment_is_recorded_once_for_each_key(gateway: Gateway) -> None:
    grant_id = await bought(gateway, "ada", 100, "10")
    path = f"/api/wallets/ada/grants/{grant_id}/payments"
    again = await gateway.post(path, {"paid_usd": 10})
    other = await gateway.post(path, {"paid_usd": 11})
    returned = await gateway.post(path, {"paid_usd": -4, "key": "returned"})

    assert (again.status, again.headers["idempotency-replayed"], again.data["paid_usd"]) == (201, "true", 10)
    assert (other.status, other.error["code"]) == (409, "key_conflict")
    assert returned.data["paid_usd"] == 6


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", CLOSES, {"period": "2026-13"}, 422, "invalid"),
        ("POST", CLOSES, {"period": "2199-01"}, 409, "not_closable"),
        ("POST", CLOSES, {"period": "2026-01", "timezone": "Mars"}, 422, "invalid"),
        ("GET", f"{CLOSES}/2026-01", None, 404, "unknown_close"),
        ("GET", f"{CLOSES}/soon", None, 404, "unknown_close"),
        ("GET", f"{CLOSES}/2026-01/wallets/ada", None, 404, "unknown_close"),
        ("POST", "/api/wallets/nobody/grants/x/payments", {"paid_usd": 1}, 404, "unknown_grant"),
        ("POST", "/api/wallets/nobody/grants/x/payments", {"paid_usd": 0.001}, 422, "invalid"),
    ],
)
async def test_a_refusal_names_what_was_wrong(
    gateway: Gateway, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = await (gateway.post(path, body) if method == "POST" else gateway.get(path))

    assert (answer.status, answer.error["code"]) == (status, code), answer.body
