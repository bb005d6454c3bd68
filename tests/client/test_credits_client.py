"""The three phases of the client against a real gateway."""

import inspect
from decimal import Decimal

import pytest
from client.conftest import Line

from faregate.client import (
    AccessRefusedError,
    CreditsClient,
    HoldClosedError,
    InsufficientCreditsError,
    InvalidError,
    KeyConflictError,
    ModelUsage,
    Retry,
    SyncCreditsClient,
    UnauthenticatedError,
    UnavailableError,
    UnknownFeatureError,
    UnknownUsageKeyError,
)
from support.apps import KEY, Gateway, running_worker

GPT = ModelUsage("gpt-4o", input_tokens=1000, output_tokens=100)  # 0.0035 USD: 0.42 credits


async def test_authorise_and_settle_with_exact_credits(credits: CreditsClient) -> None:
    go = await credits.authorize("ai_chat_v1", user_id="ada", metadata={"page": 3})
    done = await credits.settle_via_api("ai_chat_v1", user_id="ada", usage_key=go.usage_key, usages=[GPT])

    assert (go.credits, go.balance, go.hold) == (8, 10, 2)
    assert go.expires_at is not None
    assert (done.charged, done.credits, done.flags) == (Decimal("0.42"), Decimal("9.58"), ())
    assert done.details[0]["provider_cost_usd"] == Decimal("0.0035")


async def test_a_refusal_holds_balance_and_required(credits: CreditsClient) -> None:
    with pytest.raises(InsufficientCreditsError) as caught:
        await credits.authorize("ai_chat_v1", user_id="ada", estimate=Decimal("10.000001"))

    assert (caught.value.balance, caught.value.required) == (10, Decimal("10.000001"))
    assert caught.value.status == 402
    assert caught.value.request_id


async def test_refusals_have_types_and_are_not_repeated(gateway: Gateway, credits: CreditsClient, line: Line) -> None:
    await gateway.feature("closed", active=False)
    go = await credits.authorize("ai_chat_v1", user_id="ada", usage_key="k")
    await credits.settle_via_api("ai_chat_v1", user_id="ada", usage_key=go.usage_key, usages=[GPT])
    before = len(line.paths)

    with pytest.raises(UnknownFeatureError):
        await credits.authorize("nothing", user_id="ada")
    with pytest.raises(AccessRefusedError):
        await credits.authorize("closed", user_id="ada")
    with pytest.raises(HoldClosedError):
        await credits.authorize("ai_chat_v1", user_id="ada", usage_key="k")
    with pytest.raises(KeyConflictError):
        await credits.settle_via_api("ai_chat_v1", user_id="ada", usage_key="k", usages=[])
    with pytest.raises(UnknownUsageKeyError):
        await credits.void("nothing", user_id="ada")
    with pytest.raises(InvalidError) as caught:
        await credits.authorize("ai_chat_v1", user_id="not an id")

    assert caught.value.param == "user_id"
    assert len(line.paths) - before == 6


async def test_a_wrong_key_or_address_is_an_error(line: Line, quick: Retry) -> None:
    async with CreditsClient("http://gateway", "fg_wrong", transport=line, retry=quick) as wrong:
        with pytest.raises(UnauthenticatedError):
            await wrong.authorize("ai_chat_v1", user_id="ada")
    with pytest.raises(InvalidError, match="http://"):
        CreditsClient("gateway:8080", KEY)
    with pytest.raises(InvalidError, match="api_key"):
        CreditsClient("http://gateway", "fg_…")


@pytest.mark.parametrize("failure", ["lost", "unanswered", 503, 429])
async def test_each_call_survives_a_failure_and_takes_effect_once(
    credits: CreditsClient, line: Line, gateway: Gateway, failure: str | int
) -> None:
    """Includes a lost answer: the gateway has already carried out the call."""
    line.failures = [failure]
    go = await credits.authorize("ai_chat_v1", user_id="ada")
    line.failures = [failure, failure]
    done = await credits.settle_via_api("ai_chat_v1", user_id="ada", usage_key=go.usage_key, usages=[GPT])
    line.failures = [failure]
    paper = await credits.record_usage("paper", user_id="ada")

    assert done.charged == Decimal("0.42")
    assert paper.credits_charged == 5
    wallet = (await gateway.get("/api/wallets/ada")).data
    assert (wallet["balance"], wallet["held"]) == (Decimal("4.58"), 0)
    assert (line.calls("/start"), line.calls("/end-multimodel"), line.calls("/usage")) == (2, 3, 2)


async def test_void_releases_and_extend_extends_a_hold(credits: CreditsClient) -> None:
    go = await credits.authorize("ai_chat_v1", user_id="ada", ttl_seconds=60)
    ends = await credits.extend(go.usage_key, user_id="ada", ttl_seconds=7200)
    voided = await credits.void(go.usage_key, user_id="ada", reason="changed my mind")

    assert go.expires_at is not None
    assert (ends - go.expires_at).total_seconds() > 7000
    assert voided.credits == 10


async def test_record_usage_charges_in_one_call_and_is_idempotent(credits: CreditsClient) -> None:
    first = await credits.record_usage("paper", user_id="ada", usage_key="p-1", metadata={"pages": 2})
    again = await credits.record_usage("paper", user_id="ada", usage_key="p-1", metadata={"pages": 2})

    assert (first.credits_charged, first.metadata) == (5, {"pages": 2})
    assert again == first


async def test_without_a_broker_the_gateways_own_queue_is_used(
    credits: CreditsClient, gateway: Gateway, database_url: str
) -> None:
    """`Prefer: respond-async` is method A for hosts that cannot reach the broker."""
    from support.apps import settings_for

    go = await credits.authorize("ai_chat_v1", user_id="ada")
    accepted = await credits.settle_via_queue("ai_chat_v1", user_id="ada", usage_key=go.usage_key, usages=[GPT])
    async with running_worker(settings_for(database_url)):
        await _settled(gateway, go.usage_key)

    assert accepted.by == "gateway"
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == Decimal("9.58")


async def _settled(gateway: Gateway, usage_key: str) -> None:
    import asyncio

    async with asyncio.timeout(20):
        while (await gateway.get(f"/api/credits-process/{usage_key}")).data["status"] != "settled":
            await asyncio.sleep(0.05)


async def test_the_circuit_breaker_stops_calls_to_an_unavailable_gateway(line: Line, quick: Retry) -> None:
    """The host's own requests must not wait for the client's time-outs."""
    async with CreditsClient("http://gateway", KEY, transport=line, retry=quick) as credits:
        line.cut = True
        for _ in range(8):
            with pytest.raises(UnavailableError):
                await credits.authorize("ai_chat_v1", user_id="ada")

    assert line.calls("/start") == 5 * quick.attempts


def test_sync_and_async_have_the_same_methods_and_arguments() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {
            name.replace("aclose", "close"): list(inspect.signature(method).parameters)
            for name, method in methods
            if not name.startswith("_")
        }

    assert public(SyncCreditsClient) == public(CreditsClient)
