"""LangChain: each call, or each run, is held before it begins and settled once."""

import asyncio
import gc
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from faregate.client import FakeCredits, InsufficientCreditsError, InvalidError, ModelUsage, SyncFakeCredits
from faregate.host import FakeFaregate
from faregate.integrations.langchain import FaregateHandler

CALL = Decimal("0.42")


def _model(provider: str, name: str = "gpt-4o", **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=f"{provider}/v1", api_key=SecretStr("sk-test"), max_retries=0, **more)


def _charged(credits: FakeCredits | SyncFakeCredits) -> list[tuple[str, str, Decimal]]:
    return [(use.user_id, use.status, use.charged) for use in credits.gateway.uses.values()]


@pytest.fixture
async def credits() -> AsyncIterator[FakeCredits]:
    async with FakeCredits() as credits:
        yield credits


def test_a_sync_call_is_charged_and_its_message_carries_the_receipt(provider: str) -> None:
    with SyncFakeCredits(balance=5) as credits:
        handler = FaregateHandler(credits, "chat", user="ada")
        message = _model(provider).invoke("Hello", config={"callbacks": [handler]})

        assert message.response_metadata["faregate"]["credits_charged"] == "0.42"
        assert message.response_metadata["faregate"]["credits_left"] == "4.58"
        assert list(handler.receipts) == [message.response_metadata["faregate"]]


async def test_an_async_call_is_charged_to_the_user_of_its_metadata(provider: str, credits: FakeCredits) -> None:
    config: Any = {"callbacks": [FaregateHandler(credits, "chat")], "metadata": {"user_id": "bela"}}
    await _model(provider).ainvoke("Hello", config=config)

    assert _charged(credits) == [("bela", "settled", CALL)]


async def test_the_facade_and_sync_credits_charge_async_calls(provider: str) -> None:
    fare = FakeFaregate(features={"page": {"strategy": "fixed", "parameters": {"credits": 3}}}, balance=8)
    await _model(provider).ainvoke("Hello", config={"callbacks": [FaregateHandler(fare, "page", user="ada")]})
    assert (await fare.balance("ada")).free == 5

    with SyncFakeCredits() as credits:
        await _model(provider).ainvoke("Hello", config={"callbacks": [FaregateHandler(credits, "chat", user="ada")]})
        assert _charged(credits) == [("ada", "settled", CALL)]


@pytest.mark.parametrize("stream_usage", [True, False])
async def test_a_stream_is_charged_at_its_end(stream_usage: bool, provider: str, credits: FakeCredits) -> None:
    handler = FaregateHandler(credits, "chat", user="ada")
    model = _model(provider, stream_usage=stream_usage)
    async for _chunk in model.astream("Hello", config={"callbacks": [handler]}):
        pass

    (charged,) = [use.charged for use in credits.settled]
    assert charged == CALL if stream_usage else 0 < charged < CALL
    assert handler.receipts[0]["state"] == "settled"


def test_a_sync_stream_is_charged_at_its_end(provider: str) -> None:
    with SyncFakeCredits() as credits:
        handler = FaregateHandler(credits, "chat", user="ada")
        for _chunk in _model(provider, stream_usage=True).stream("Hello", config={"callbacks": [handler]}):
            pass

        assert _charged(credits) == [("ada", "settled", CALL)]


async def test_a_call_without_credits_does_not_reach_the_provider(provider: str) -> None:
    async with FakeCredits(balance=0) as credits:
        handler = FaregateHandler(credits, "chat", user="ada")
        with pytest.raises(InsufficientCreditsError):
            await _model(f"{provider}/nowhere").ainvoke("Hello", config={"callbacks": [handler]})

        assert credits.gateway.uses == {}


async def test_a_call_that_fails_is_voided(provider: str, credits: FakeCredits) -> None:
    with pytest.raises(Exception, match="no such model"):
        await _model(provider, "broken").ainvoke(
            "Hello", config={"callbacks": [FaregateHandler(credits, "chat", user="ada")]}
        )

    assert _charged(credits) == [("ada", "voided", 0)]


async def test_a_stream_that_breaks_off_is_charged_by_what_it_delivered(provider: str, credits: FakeCredits) -> None:
    handler = FaregateHandler(credits, "chat", user="ada")
    with pytest.raises(Exception, match=r"Connection error|peer closed|incomplete"):
        async for _chunk in _model(provider, "cut").astream("Hello", config={"callbacks": [handler]}):
            pass

    (use,) = credits.settled
    assert (use.usages[0]["output_tokens"] > 0, use.metadata is not None) == (True, True)


async def _cancelled(model: ChatOpenAI, handler: FaregateHandler) -> None:
    call = asyncio.create_task(model.ainvoke("Hello", config={"callbacks": [handler]}))
    while not handler._calls:
        await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait([call])


async def _settled(credits: FakeCredits) -> None:
    while not credits.settled:
        gc.collect()
        await asyncio.sleep(0.01)


async def test_a_cancelled_call_is_charged_by_its_request_when_its_handler_is_gone(
    silent: str, credits: FakeCredits
) -> None:
    model = ChatOpenAI(model="gpt-4o", base_url=silent, api_key=SecretStr("sk-test"), max_retries=0)
    await _cancelled(model, FaregateHandler(credits, "chat", user="ada"))
    await asyncio.wait_for(_settled(credits), 10)

    assert credits.settled[0].usages[0]["input_tokens"] > 0


async def test_a_handler_that_lives_on_charges_a_cancelled_call_after_its_timeout(
    silent: str, provider: str, credits: FakeCredits
) -> None:
    model = ChatOpenAI(model="gpt-4o", base_url=silent, api_key=SecretStr("sk-test"), max_retries=0)
    handler = FaregateHandler(credits, "chat", user="ada", timeout_seconds=0)
    await _cancelled(model, handler)
    await _model(provider).ainvoke("Hello", config={"callbacks": [handler]})

    assert sorted(charged for _, _, charged in _charged(credits))[1] == CALL
    assert {status for _, status, _ in _charged(credits)} == {"settled"}


def _chain(provider: str) -> "Runnable[Any, Any]":
    prompt = ChatPromptTemplate.from_template("{question}")
    ask = prompt | _model(provider)
    return ask | RunnableLambda(_question) | ask


def _question(message: BaseMessage) -> dict[str, str]:
    return {"question": str(message.content)}


async def test_a_run_with_several_calls_is_one_use(provider: str, credits: FakeCredits) -> None:
    handler = FaregateHandler(credits, "chat", user="ada", per="run")
    await _chain(provider).ainvoke({"question": "Hello"}, config={"callbacks": [handler]})

    assert _charged(credits) == [("ada", "settled", CALL * 2)]
    assert len(handler.receipts) == 1
    assert (handler._calls, handler._parents, handler._runs) == ({}, {}, {})


def test_the_calls_of_a_run_are_uses_of_their_own_by_default(provider: str) -> None:
    with SyncFakeCredits() as credits:
        handler = FaregateHandler(credits, "chat", user="ada")
        _chain(provider).invoke({"question": "Hello"}, config={"callbacks": [handler]})

        assert _charged(credits) == [("ada", "settled", CALL)] * 2


async def test_within_a_block_the_block_charges(provider: str, credits: FakeCredits) -> None:
    handler = FaregateHandler(credits, "chat", user="ada")
    async with credits.use("report", "cleo") as use:
        await _chain(provider).ainvoke({"question": "Hello"}, config={"callbacks": [handler]})

    assert (use.result.charged, _charged(credits)) == (CALL * 2, [("cleo", "settled", CALL * 2)])


async def test_two_requests_of_one_call_are_two_uses(provider: str, credits: FakeCredits) -> None:
    handler = FaregateHandler(credits, "chat", user="ada")
    await _model(provider).agenerate([[HumanMessage("Hello")], [HumanMessage("Goodbye")]], callbacks=[handler])

    assert _charged(credits) == [("ada", "settled", CALL)] * 2


def test_the_usage_that_each_of_several_choices_repeats_counts_once() -> None:
    usage: UsageMetadata = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    with SyncFakeCredits() as credits:
        handler, run = FaregateHandler(credits, "chat", user="ada"), uuid4()
        handler.on_chat_model_start({}, [[HumanMessage("Hello")]], run_id=run, invocation_params={"model": "gpt-4o"})
        choices: list[Any] = [ChatGeneration(message=AIMessage(text, usage_metadata=usage)) for text in ("one", "two")]
        handler.on_llm_end(LLMResult(generations=[choices]), run_id=run)

        assert _charged(credits) == [("ada", "settled", CALL)]


async def test_async_credits_refuse_sync_calls_before_the_provider(provider: str, credits: FakeCredits) -> None:
    handler = FaregateHandler(credits, "chat", user="ada")
    with pytest.raises(InvalidError, match="give a SyncCreditsClient or SyncFaregate"):
        _model(f"{provider}/nowhere").invoke("Hello", config={"callbacks": [handler]})


async def test_a_call_without_a_user_is_refused(provider: str, credits: FakeCredits) -> None:
    with pytest.raises(InvalidError, match="who pays for chat"):
        await _model(provider).ainvoke("Hello", config={"callbacks": [FaregateHandler(credits, "chat")]})


async def test_a_call_can_be_quoted(credits: FakeCredits) -> None:
    usages = [ModelUsage("gpt-4o", input_tokens=1000, output_tokens=100)]
    assert (await FaregateHandler(credits, "chat", user="ada").quote("ada", usages)).credits == CALL

    with SyncFakeCredits() as paid:
        assert FaregateHandler(paid, "chat", user="ada").quote_now("ada", usages).credits == CALL
