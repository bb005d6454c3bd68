"""`credits.charge(…)`: settlement at each kind of end of the block."""

import asyncio
import contextlib
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from client.conftest import Line

from faregate.client import (
    CreditsClient,
    InvalidError,
    ModelUsage,
    Retry,
    UnavailableError,
    current_charge_session,
)
from faregate.client.values import Authorization, UseResult
from support.apps import KEY, Gateway

OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-sonnet-4-5",
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 10},
}


async def test_several_models_are_settled_together(credits: CreditsClient, gateway: Gateway) -> None:
    async with credits.charge("ai_chat_v1", user_id="ada", metadata={"page": 1}) as ride:
        assert current_charge_session.get() is ride
        ride.observe(OPENAI)
        ride.observe(OPENAI)  # the same reply counts once
        ride.observe(ANTHROPIC)
        ride.add("gpt-4o-mini", input_tokens=100, output_tokens=10)

    assert ride.result.state == "settled"
    assert [line["ai_model"] for line in ride.result.details] == ["gpt-4o-mini", "gpt-4o", "claude-sonnet-4-5"]
    story = (await gateway.get(f"/api/credits-process/{ride.usage_key}")).data
    assert story["status"] == "settled"
    assert story["metadata"] == {"page": 1}
    assert story["duration_ms"] is not None
    assert current_charge_session.get() is None


async def test_an_exception_without_usage_voids(credits: CreditsClient, gateway: Gateway) -> None:
    with pytest.raises(RuntimeError, match="model"):
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            raise RuntimeError("the model is down")

    assert ride.result.state == "voided"
    assert (await gateway.get("/api/wallets/ada")).data["credits"] == 10
    assert (await gateway.get(f"/api/credits-process/{ride.usage_key}")).data["reason"] == "RuntimeError"


async def test_an_exception_after_a_reply_settles_the_usage(credits: CreditsClient, gateway: Gateway) -> None:
    with pytest.raises(KeyError):
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            ride.observe(OPENAI)
            raise KeyError("our own mistake")

    assert ride.result.state == "settled"
    assert ride.result.charged == Decimal("0.42")
    assert (await gateway.get(f"/api/credits-process/{ride.usage_key}")).data["metadata"] == {"error": "KeyError"}


async def test_a_fixed_price_needs_no_observation(credits: CreditsClient) -> None:
    async with credits.charge("paper", user_id="ada") as ride:
        pass

    assert ride.result.state == "settled"
    assert ride.result.charged == 5


async def test_the_result_is_read_after_the_block(credits: CreditsClient) -> None:
    async with credits.use("paper", "ada") as use:
        with pytest.raises(InvalidError, match="after its block"):
            _ = use.result

    result = use.result
    assert (result.state, result.charged, result.consumed, result.by) == ("settled", 5, 5, None)
    assert (result.user_id, result.usage_key, result.balance) == ("ada", use.usage_key, 5)


async def test_a_use_takes_the_words_of_the_library(credits: CreditsClient, gateway: Gateway) -> None:
    await gateway.put("/api/organizations/acme", {"join": ["ada"]})
    async with credits.use(
        "paper", "ada", key="k", estimate=7, organization="acme", email="ada@x.de", ttl_seconds=90, metadata={"page": 1}
    ) as use:
        assert use.authorization.charging == "recorded"

    story = (await gateway.get("/api/credits-process/k")).data
    assert (story["organization_id"], story["metadata"]) == ("acme", {"page": 1})
    assert (await gateway.get("/api/wallets/ada")).data["email"] == "ada@x.de"
    assert (use.result.state, use.result.charged, use.result.consumed) == ("settled", 0, 5)


async def test_a_voided_use_that_ends_without_an_event_loop_is_not_settled(credits: CreditsClient) -> None:
    charge = credits.use("paper", "ada")
    use = await charge.open()
    use.void("from the cache")
    charge.release()
    await asyncio.to_thread(charge.finish_by_spool)

    assert (use.result.state, use.result.credits) == ("voided", None)
    assert await credits.drain()
    assert (await credits.balance("ada")).balance == 10


async def test_void_on_request(credits: CreditsClient) -> None:
    async with credits.charge("paper", user_id="ada") as ride:
        ride.void("from the cache")

    assert ride.result.state == "voided"
    assert ride.result.credits == 10


async def test_a_refusal_does_not_enter_the_block(credits: CreditsClient) -> None:
    entered = False
    with pytest.raises(Exception, match=r"credits"):
        async with credits.charge("ai_chat_v1", user_id="bob"):
            entered = True

    assert not entered


async def test_a_cancelled_request_still_settles(credits: CreditsClient, gateway: Gateway) -> None:
    """The request is cancelled during the reply: the usage until then is charged."""
    started = asyncio.Event()
    keys: list[str] = []

    async def request() -> None:
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            keys.append(ride.usage_key)
            ride.observe(OPENAI)
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(request())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await gateway.get(f"/api/credits-process/{keys[0]}")).data["credits_charged"] == Decimal("0.42")


async def test_a_cancellation_during_the_settlement_does_not_interrupt_it(
    credits: CreditsClient, gateway: Gateway
) -> None:
    keys: list[str] = []

    async def request() -> None:
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            keys.append(ride.usage_key)
            ride.observe(OPENAI)
            asyncio.get_running_loop().call_later(0.001, task.cancel)

    task = asyncio.create_task(request())
    await asyncio.wait({task})

    assert (await gateway.get(f"/api/credits-process/{keys[0]}")).data["status"] == "settled"


async def test_a_gateway_that_becomes_unavailable_gets_the_settlement_later(
    credits: CreditsClient, gateway: Gateway, line: Line
) -> None:
    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        ride.observe(OPENAI)
        line.cut = True
    assert ride.result == UseResult("ada", ride.usage_key, "pending", by="spool")

    line.cut = False
    await _drained(credits)
    assert line.paths.count("/api/credits-process/end-multimodel") > 1


async def test_spooled_settlements_survive_the_process(
    line: Line, quick: Retry, gateway: Gateway, tmp_path: Path, database_url: str
) -> None:
    from client.test_credits_client import _settled

    from support.apps import running_worker, settings_for

    first = CreditsClient("http://gateway", KEY, transport=line, retry=quick, spool_dir=tmp_path / "s")
    async with first.charge("ai_chat_v1", user_id="ada") as ride:
        ride.observe(OPENAI)
        line.cut = True
    await first.aclose(patience_seconds=0)  # equivalent to a crash: the entry is on disk since the end of the block

    line.cut = False
    async with CreditsClient("http://gateway", KEY, transport=line, retry=quick, spool_dir=tmp_path / "s") as second:
        assert await second.drain()
    async with running_worker(settings_for(database_url)):
        await _settled(gateway, ride.usage_key)
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == Decimal("9.58")
    assert list((tmp_path / "s").glob("*.spool")) == []


async def test_an_open_feature_runs_on_a_bounded_debt_and_a_closed_one_does_not(
    credits: CreditsClient, line: Line, gateway: Gateway
) -> None:
    line.cut = True
    with pytest.raises(UnavailableError):
        async with credits.charge("paper", user_id="ada"):
            pass
    for _ in range(3):
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            ride.observe({**OPENAI, "id": ride.usage_key})
        assert ride.authorization.on_debt
    assert credits.debt("ai_chat_v1") == 3
    with pytest.raises(UnavailableError):
        async with credits.charge("ai_chat_v1", user_id="ada"):
            pass

    line.cut = False
    await _drained(credits)
    assert credits.debt("ai_chat_v1") == 0


async def test_a_features_own_open_policy_applies_after_its_first_start(
    credits: CreditsClient, line: Line, gateway: Gateway
) -> None:
    """The policy is set in the feature only: two uses of 2 credits fit into a debt of 5, three do not."""
    document = {"strategy": "fixed", "parameters": {"credits": 2}, "min_credits": 2}
    opened = {**document, "outage_policy": "open", "outage_limit_credits": 5}
    await gateway.put("/api/features/essay", opened)
    line.cut = True
    with pytest.raises(UnavailableError):
        await credits.authorize("essay", user_id="ada")
    line.cut = False

    assert (await _authorized(credits, "essay")).outage_limit_credits == 5
    line.cut = True
    debts = [(await credits.authorize("essay", user_id="ada")).on_debt for _ in range(2)]
    with pytest.raises(UnavailableError):
        await credits.authorize("essay", user_id="ada")
    assert (debts, credits.debt("essay")) == ([True, True], 4)

    line.cut = False
    await gateway.put("/api/features/essay", document)
    assert (await _authorized(credits, "essay")).outage_limit_credits is None
    line.cut = True
    with pytest.raises(UnavailableError):
        await credits.authorize("essay", user_id="ada")


async def test_the_hold_of_a_long_session_is_extended(credits: CreditsClient, line: Line) -> None:
    async with credits.charge("ai_chat_v1", user_id="ada", ttl_seconds=1) as ride:
        await asyncio.sleep(1.3)
        ride.observe(OPENAI)

    assert line.calls("/extend") >= 1
    assert ride.result.state == "settled"
    assert ride.result.flags == ()


async def test_a_stream_that_breaks_off_is_settled_with_the_content_received(
    credits: CreditsClient, gateway: Gateway
) -> None:
    """Without reported usage the input is the estimate and each chunk is one output token; the settlement is marked."""

    async def stream() -> Any:
        for _ in range(7):
            yield {
                "id": "c-1",
                "object": "chat.completion.chunk",
                "model": "gpt-4o",
                "choices": [{"delta": {"content": "la"}}],
            }
        raise ConnectionError("gone")

    estimate = [ModelUsage("gpt-4o", input_tokens=500, output_tokens=400)]
    with pytest.raises(ConnectionError):
        async with credits.charge("ai_chat_v1", user_id="ada", estimate=estimate) as ride:
            async for _ in ride.watch(stream()):
                pass

    assert ride.result.state == "settled"
    assert [(line["input_tokens"], line["output_tokens"]) for line in ride.result.details] == [(500, 7)]
    story = (await gateway.get(f"/api/credits-process/{ride.usage_key}")).data
    assert story["metadata"] == {"usage_estimated": True, "error": "ConnectionError"}


async def test_a_refused_settlement_is_raised_and_logged(
    credits: CreditsClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(Exception, match=r"settled|key"):
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            ride.observe(OPENAI)
            await credits.settle_via_api("ai_chat_v1", user_id="ada", usage_key=ride.usage_key, usages=[])

    assert ride.usage_key in caplog.text


async def test_entries_refused_after_an_outage_do_not_block_the_spool(
    credits: CreditsClient, line: Line, gateway: Gateway, tmp_path: Path
) -> None:
    line.cut = True
    wrong = await credits.settle_via_queue("ai_chat_v1", user_id="not an id", usage_key="wrong")
    right = await credits.settle_via_queue("ai_chat_v1", user_id="ada", usage_key="right")
    assert (wrong.by, right.by) == ("spool", "spool")

    line.cut = False
    await _drained(credits)
    refused = (tmp_path / "spool" / "refused.jsonl").read_text().splitlines()
    assert [("wrong" in text, "user_id" in text) for text in refused] == [(True, True)]


async def test_a_block_may_be_left_in_another_context(credits: CreditsClient) -> None:
    """Dependencies that yield do so in some frameworks."""
    charge = credits.charge("ai_chat_v1", user_id="ada")
    ride = await asyncio.create_task(charge.__aenter__())
    ride.observe(OPENAI)
    await charge.__aexit__(None, None, None)

    assert ride.result.state == "settled"
    assert ride.result.charged == Decimal("0.42")


async def _drained(credits: CreditsClient) -> None:
    """Wait until the spool is sent: the client leaves the gateway alone for a moment after an outage."""
    async with asyncio.timeout(5):
        while not await credits.drain():
            await asyncio.sleep(0.01)


async def _authorized(credits: CreditsClient, feature: str) -> Authorization:
    """Authorise with a hold, as soon as the client asks the gateway again."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(UnavailableError):
                authorization = await credits.authorize(feature, user_id="ada")
                if not authorization.on_debt:
                    return authorization
            await asyncio.sleep(0.01)
