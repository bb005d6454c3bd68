"""Webhooks from the ledger to a receiver: content, signature, retries, log, replay, disabling."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpcore2
import pytest
import uvicorn
from pytest_mock import MockerFixture
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from faregate.core.clock import SystemClock
from faregate.core.webhooks.egress import Egress
from faregate.worker.webhooks import RETRY_DELAYS, WebhookDeliverer
from support.apps import Gateway, open_gateway, settings_for
from support.serving import serving


class Receiver:
    """A receiver that answers with a set status, and records its requests."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.elsewhere = 0

    async def hook(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        status = self.answers.pop(0) if self.answers else 204
        return (
            RedirectResponse("/elsewhere", status) if status in {301, 302, 307, 308} else Response(status_code=status)
        )

    async def trap(self, _request: Request) -> Response:
        self.elsewhere += 1
        return Response()


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/hook", receiver.hook, methods=["POST"]), Route("/elsewhere", receiver.trap)])
    async with serving(uvicorn.Config(app, port=0, log_config=None)) as url:
        receiver.url = f"{url}/hook"
        yield receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, webhook_allow_private=True)) as gateway:
        yield gateway


async def listen(gateway: Gateway, receiver: Receiver, *events: str) -> Any:
    answer = await gateway.post("/api/webhooks", {"url": receiver.url, "events": list(events)})
    assert answer.status == 201, answer.body
    return answer.data


def deliverer(gateway: Gateway, *, allow_private: bool = True) -> WebhookDeliverer:
    return WebhookDeliverer(gateway.database, Egress(allow_private=allow_private), SystemClock())


async def make_due(gateway: Gateway) -> None:
    async with gateway.database.transaction() as session:
        await gateway.database.rows(
            session, "update faregate.webhook_delivery set due_at = now() where due_at is not null"
        )


def kinds_of(receiver: Receiver) -> list[str]:
    return sorted(body.split(b'"')[3].decode() for _, body in receiver.got)


async def low(gateway: Gateway) -> None:
    """Cause `credits.low` once."""
    await gateway.put("/api/wallets/ada", {"low_balance": 5})
    await gateway.grant("ada", 10)
    await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})


async def test_events_are_complete_and_verify_with_the_official_library(gateway: Gateway, receiver: Receiver) -> None:
    made = await listen(gateway, receiver, "credits.low", "credits.exhausted", "settlement.completed")
    await low(gateway)
    await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
    assert await deliverer(gateway).deliver_due() == 4

    found = [Webhook(made["secret"]).verify(body, headers) for headers, body in receiver.got]
    assert sorted(event["type"] for event in found) == [
        "credits.exhausted",
        "credits.low",
        "settlement.completed",
        "settlement.completed",
    ]
    (event,) = [event for event in found if event["type"] == "credits.low"]
    assert event["data"] == {"owner_id": "ada", "credits": 5, "balance": 5, "low_balance": 5}
    assert {headers["webhook-id"] for headers, _ in receiver.got} != {None}
    assert await deliverer(gateway).deliver_due() == 0


async def test_a_balance_around_its_low_mark_causes_one_event(
    database_url: str, gateway: Gateway, receiver: Receiver
) -> None:
    """Also by another process: the time of the event is stored in the wallet's row."""
    await listen(gateway, receiver, "credits.low", "credits.exhausted")
    await gateway.put("/api/wallets/ada", {"low_balance": 100})
    await gateway.grant("ada", 102)
    async with open_gateway(settings_for(database_url)) as other:
        for number in range(11):
            await (gateway, other)[number % 2].post(
                "/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"}
            )
            await gateway.grant("ada", 5)
    await deliverer(gateway).deliver_due()

    assert kinds_of(receiver) == ["credits.low"]


async def test_holds_alone_cause_no_event(gateway: Gateway, receiver: Receiver) -> None:
    """A hold that is opened and closed spends nothing."""
    await listen(gateway, receiver, "credits.low", "credits.exhausted")
    await gateway.feature("chat", min_credits=1)
    await gateway.put("/api/wallets/ada", {"low_balance": 5})
    await gateway.grant("ada", 10)
    for _ in range(3):
        key = (await gateway.start("ada", "chat", estimated_credits=10)).data["usage_key"]
        assert (await gateway.get("/api/wallets/ada")).data["credits"] == 0
        await gateway.post("/api/credits-process/void", {"usage_key": key, "user_id": "ada"})
    await deliverer(gateway).deliver_due()

    assert kinds_of(receiver) == []


async def test_expired_holds_shortfalls_and_missing_prices_cause_events(gateway: Gateway, receiver: Receiver) -> None:
    await listen(gateway, receiver, "hold.expired", "settlement.shortfall", "price.missing")
    await gateway.feature("chat", min_credits=1)
    await gateway.grant("ada", 3)
    expires_at = datetime.fromisoformat((await gateway.start("ada", "chat", ttl_seconds=1)).data["expires_at"])
    while datetime.now(UTC) <= expires_at:
        await asyncio.sleep(0.02)
    await gateway.get("/api/wallets/ada")
    await gateway.end("ada", "chat", usages=[{"ai_model": "gpt-4o", "input_tokens": 10_000_000}])
    await gateway.end("ada", "chat", usages=[{"ai_model": "unheard-of", "input_tokens": 5}])
    await deliverer(gateway).deliver_due()

    kinds = {body.split(b'"')[3].decode() for _, body in receiver.got}
    assert kinds == {"hold.expired", "settlement.shortfall", "price.missing"}


async def test_trusted_certificates_are_read_once_for_all_deliveries(
    gateway: Gateway, receiver: Receiver, mocker: MockerFixture
) -> None:
    """Reading some hundred certificates blocks the event loop of the process."""
    made = mocker.spy(httpcore2, "default_ssl_context")
    await listen(gateway, receiver, "settlement.completed")
    await gateway.grant("ada", 100)
    sender = deliverer(gateway)
    for _ in range(2):
        for _ in range(5):
            await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
        assert await sender.deliver_due() == 5

    assert len(receiver.got) == 10
    assert made.call_count <= 1  # by an earlier test of this process, or here


async def test_a_rolled_back_change_causes_no_event(gateway: Gateway, receiver: Receiver) -> None:
    await listen(gateway, receiver, "settlement.completed")
    await gateway.post("/api/usage", {"user_id": "poor", "feature_key": "GENERATE_QUESTION_PAPER"})

    assert await deliverer(gateway).deliver_due() == 0


async def test_a_failing_receiver_is_retried_with_the_set_delays_and_every_attempt_is_logged(
    gateway: Gateway, receiver: Receiver
) -> None:
    made = await listen(gateway, receiver, "credits.low")
    await low(gateway)
    receiver.answers = [500, 302, 503]
    for _ in range(4):
        await make_due(gateway)
        await deliverer(gateway).deliver_due()
    (delivery,) = (await gateway.get(f"/api/webhooks/{made['id']}/deliveries")).data

    assert (delivery["status"], delivery["attempts"], receiver.elsewhere) == ("delivered", 4, 0)
    assert [attempt["status"] for attempt in delivery["history"]] == [204, 503, 302, 500]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


async def test_after_the_last_attempt_a_delivery_has_failed_and_can_be_replayed(
    gateway: Gateway, receiver: Receiver
) -> None:
    made = await listen(gateway, receiver, "credits.low")
    await low(gateway)
    receiver.answers = [500] * (len(RETRY_DELAYS) + 1)
    for _ in range(len(RETRY_DELAYS) + 3):
        await make_due(gateway)
        await deliverer(gateway).deliver_due()
    path = f"/api/webhooks/{made['id']}"
    (failed,) = (await gateway.get(f"{path}/deliveries?status=failed")).data
    replayed = await gateway.post(f"{path}/replay", {"ids": [failed["id"]]})
    await deliverer(gateway).deliver_due()
    (delivered,) = (await gateway.get(f"{path}/deliveries")).data

    assert (failed["attempts"], replayed.data["replayed"]) == (len(RETRY_DELAYS) + 1, 1)
    assert delivered["status"] == "delivered"


async def test_an_endpoint_that_is_gone_is_disabled_and_can_be_enabled_again(
    gateway: Gateway, receiver: Receiver
) -> None:
    made = await listen(gateway, receiver, "credits.low")
    await low(gateway)
    receiver.answers = [410]
    await deliverer(gateway).deliver_due()
    path = f"/api/webhooks/{made['id']}"
    off = (await gateway.get(path)).data
    on = await gateway.put(path, {"url": receiver.url, "events": ["credits.low"]})

    assert "410" in off["disabled_reason"]
    assert (on.data["disabled_at"], on.data["disabled_reason"]) == (None, None)


async def test_days_of_failures_disable_an_endpoint(gateway: Gateway, receiver: Receiver) -> None:
    made = await listen(gateway, receiver, "credits.low")
    await low(gateway)
    async with gateway.database.transaction() as session:
        await gateway.database.rows(
            session, "update faregate.webhook_endpoint set failing_since = now() - interval '6 days'"
        )
    receiver.answers = [500]
    await deliverer(gateway).deliver_due()

    assert (await gateway.get(f"/api/webhooks/{made['id']}")).data["disabled_at"] is not None


async def test_during_a_rotation_both_secrets_verify(gateway: Gateway, receiver: Receiver) -> None:
    made = await listen(gateway, receiver, "credits.low")
    new = (await gateway.post(f"/api/webhooks/{made['id']}/rotate", {"overlap_seconds": 60})).data
    await low(gateway)
    await deliverer(gateway).deliver_due()
    ((headers, body),) = receiver.got

    for secret in (made["secret"], new["secret"]):
        assert Webhook(secret).verify(body, headers)["type"] == "credits.low"


async def test_an_endpoint_that_resolves_to_a_private_address_later_is_not_called(
    gateway: Gateway, receiver: Receiver
) -> None:
    made = await listen(gateway, receiver, "credits.low")
    await low(gateway)
    await deliverer(gateway, allow_private=False).deliver_due()
    (delivery,) = (await gateway.get(f"/api/webhooks/{made['id']}/deliveries")).data

    assert receiver.got == []
    assert delivery["status"] == "pending"
    assert "https" in delivery["history"][0]["error"]


async def test_two_workers_send_each_delivery_once(gateway: Gateway, receiver: Receiver) -> None:
    await listen(gateway, receiver, "settlement.completed")
    await gateway.grant("ada", 100)
    for _ in range(12):
        await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
    sent = await asyncio.gather(*(deliverer(gateway).deliver_due() for _ in range(3)))

    assert (sum(sent), len(receiver.got)) == (12, 12)
