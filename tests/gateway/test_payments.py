"""Payments over HTTP: the webhook on its raw body, checkouts, lists, and the customers' page."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from support.apps import Answer, Gateway, open_gateway, settings_for
from support.stripe_events import SECRET, Delivery, StripeEvents, signed
from support.stripe_server import API_KEY, StripeServer, stripe_server

PACKAGES = {"small": {"credits": "10", "usd": "10.00"}, "large": {"credits": "120", "usd": "100.00", "name": "Large"}}
CART = {"success_url": "https://app.example.com/bought/{purchase}", "cancel_url": "https://app.example.com/cart"}


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeServer]:
    with stripe_server() as stripe:
        yield stripe


@pytest.fixture
async def gateway(database_url: str, stripe: StripeServer) -> AsyncIterator[Gateway]:
    stripe.reset()
    settings = settings_for(
        database_url,
        packages=PACKAGES,
        stripe_api_key=SecretStr(API_KEY),
        stripe_webhook_secret=SecretStr(SECRET),
        stripe_api_url=stripe.url,
        top_up_provider="stripe",
        public_url="https://credits.example.com",
    )
    async with open_gateway(settings) as gateway:
        yield gateway


async def deliver(gateway: Gateway, delivery: Delivery) -> Answer:
    headers = {"stripe-signature": delivery.signature, "x-server-api-key": ""}
    return await gateway.call("POST", "/api/payments/stripe", delivery.body, headers=headers)


async def visitor(gateway: Gateway, user: str) -> Any:
    made = (await gateway.post("/api/portal/links", {"user_id": user})).data
    headers = {"x-server-api-key": "", "authorization": f"Bearer {made['url'].partition('#')[2]}"}

    async def call(method: str, path: str, body: Any = None) -> Answer:
        return await gateway.call(method, f"/api/portal/{path}", body, headers=headers)

    return call


async def test_a_product_opens_a_checkout_and_the_webhook_grants_the_credits(
    gateway: Gateway, stripe: StripeServer
) -> None:
    body = {"user_id": "ada", "package": "small", **CART}
    opened = await gateway.post("/api/payments", body, idempotency_key="cart-1")
    again = await gateway.post("/api/payments", body, idempotency_key="cart-1")
    stripe.pay(opened.data["url"].rpartition("/")[2])
    receipts = [(await deliver(gateway, signed(event))).data["receipt"] for event in [*stripe.events, *stripe.events]]
    detail = (await gateway.get(f"/api/payments/{opened.data['id']}")).data
    (listed,) = (await gateway.get("/api/payments?owner_id=ada&status=paid")).data

    assert (opened.status, opened.data, len(stripe.sessions)) == (201, again.data, 1)
    assert receipts == ["applied", "applied", "repeated", "repeated"]
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 10
    assert (detail["status"], detail["granted"], detail["amount_usd"], len(detail["events"])) == ("paid", 10, 10, 2)
    assert listed["id"] == opened.data["id"]
    metrics = (await gateway.http.get("/metrics", headers={"x-server-api-key": gateway.key})).text
    assert 'faregate_payment_events_total{receipt="repeated"} 2.0' in metrics


async def test_the_webhook_accepts_only_the_signed_raw_body(gateway: Gateway) -> None:
    good = signed(StripeEvents(None).charge_refunded(1))
    answers = [
        await deliver(gateway, Delivery(good.body + b"\n", good.signature)),
        await deliver(gateway, Delivery(good.body.replace(b"  ", b" "), good.signature)),
        await deliver(gateway, Delivery(good.body, "")),
        await deliver(gateway, signed({"object": "event"}, secret="whsec_of_somebody")),
    ]
    assert {(answer.status, answer.error["code"]) for answer in answers} == {(400, "bad_signature")}

    broken = await deliver(gateway, signed({"object": "event", "id": "evt_1", "type": "refund.created"}))
    unknown = await deliver(gateway, signed(StripeEvents(None).event("invoice.paid", {"id": "in_1"})))
    kept = await deliver(gateway, good)
    (waiting,) = (await gateway.get("/api/payment-events")).data

    assert (broken.status, broken.error["code"]) == (400, "malformed")
    assert (unknown.status, unknown.data) == (200, {"receipt": "ignored"})
    assert (kept.status, kept.data, waiting["facts"]) == (200, {"receipt": "waiting"}, {"refunded": 1})


async def test_a_visitor_buys_saves_the_card_and_sets_an_automatic_top_up(
    gateway: Gateway, stripe: StripeServer
) -> None:
    await gateway.grant("ada", 1)
    call = await visitor(gateway, "ada")
    offered = (await call("GET", "payments")).data
    bought = await call("POST", "purchases", {"package": "small", "save_payment_method": True})
    (session,) = stripe.sessions.values()
    early = await call("PUT", "top-up", {"below": 5, "package": "small"})
    stripe.pay(session["id"])
    for event in stripe.events:
        await deliver(gateway, signed(event))
    state = (await call("GET", f"purchases/{bought.data['id']}")).data
    rule = await call("PUT", "top-up", {"below": 5, "package": "large"})
    shown = (await call("GET", "payments")).data

    assert [(each["key"], each["name"], each["amount_usd"]) for each in offered["packages"]] == [
        ("small", "10 credits", 10),
        ("large", "Large", 100),
    ]
    assert offered["automatic"] == {"saved": False, "below": None, "credits": None}
    assert session["success_url"].startswith("https://credits.example.com/portal/")
    assert session["success_url"].endswith(f"?purchase={bought.data['id']}")
    assert "#" not in session["success_url"], "the secret of the link must not go to Stripe"
    assert session["payment_intent_data"]["setup_future_usage"] == "off_session"
    assert (early.status, early.error["code"]) == (409, "no_payment_method")
    assert (state["status"], (await call("GET", "me")).data["balance"]) == ("paid", 11)
    assert rule.data == {"saved": True, "below": 5, "credits": 120} == shown["automatic"]

    assert (await call("DELETE", "top-up")).data == {"saved": True, "below": None, "credits": None}
    assert (await call("DELETE", "payment-method")).data["saved"] is False


async def test_a_visitor_sees_no_purchase_of_another(gateway: Gateway) -> None:
    for user in ("ada", "bob"):
        await gateway.grant(user, 1)
    ada, bob = [await visitor(gateway, user) for user in ("ada", "bob")]
    bought = (await ada("POST", "purchases", {"package": "small"})).data

    assert (await bob("GET", f"purchases/{bought['id']}")).error["code"] == "unknown_purchase"
    assert (await bob("GET", "payments")).data["purchases"] == []
    assert (await ada("POST", "purchases", {"package": "huge"})).error["code"] == "unknown_package"


async def test_when_stripe_is_away_nothing_is_charged_and_the_call_can_be_repeated(
    gateway: Gateway, stripe: StripeServer
) -> None:
    stripe.outages = 3
    body = {"organization_id": "acme", "package": "small", **CART}
    failed = await gateway.post("/api/payments", body, idempotency_key="cart-2")
    again = await gateway.post("/api/payments", body, idempotency_key="cart-2")

    assert (failed.status, failed.error["code"]) == (503, "unavailable")
    assert (again.status, again.data["owner_id"], len(stripe.sessions)) == (201, "org:acme", 1)


async def test_without_settings_the_answer_says_what_to_set(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, packages=PACKAGES)) as gateway:
        opened = await gateway.post("/api/payments", {"user_id": "ada", "package": "small", **CART})
        event = await deliver(gateway, signed(StripeEvents(None).session()))

    assert (opened.status, opened.error["code"]) == (409, "payments_off")
    assert "FAREGATE_STRIPE_API_KEY" in str(opened.body)
    assert (event.status, event.error["code"]) == (409, "payments_off")
