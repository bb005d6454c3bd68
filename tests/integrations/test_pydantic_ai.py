"""pydantic-ai: each request, or each run, is held before it begins and settled once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

from faregate.client import FakeCredits, InsufficientCreditsError, InvalidError, ModelUsage, SyncFakeCredits
from faregate.client.testing.pricing import fixed_credits
from faregate.host import FakeFaregate
from faregate.integrations.pydantic_ai import FaregateCapability

CALL = Decimal("0.42")


@pytest.fixture
async def openai(provider: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0) as openai:
        yield openai


@pytest.fixture
async def credits() -> AsyncIterator[FakeCredits]:
    async with FakeCredits() as credits:
        yield credits


def _agent(openai: AsyncOpenAI, capability: FaregateCapability, name: str = "gpt-4o") -> "Agent[Any, str]":
    model = OpenAIChatModel(name, provider=OpenAIProvider(openai_client=openai))
    return Agent(model, capabilities=[capability])


def _charged(credits: FakeCredits | SyncFakeCredits) -> list[tuple[str, str, Decimal]]:
    return [(use.user_id, use.status, use.charged) for use in credits.gateway.uses.values()]


async def test_a_request_is_charged_and_its_response_carries_the_receipt(
    openai: AsyncOpenAI, credits: FakeCredits
) -> None:
    result = await _agent(openai, FaregateCapability(credits, "chat", user="ada")).run("Hello")

    receipt: Any = (result.response.metadata or {})["faregate"]
    assert _charged(credits) == [("ada", "settled", CALL)]
    assert (receipt["credits_charged"], receipt["credits_left"]) == ("0.42", "99.58")


async def test_a_request_of_anthropic_is_charged_with_its_cached_tokens(provider: str, credits: FakeCredits) -> None:
    async with AsyncAnthropic(api_key="k", base_url=provider, max_retries=0) as client:
        model = AnthropicModel("claude-sonnet-4-6", provider=AnthropicProvider(anthropic_client=client))
        agent: Agent[Any, str] = Agent(model, capabilities=[FaregateCapability(credits, "chat", user="ada")])
        await agent.run("Hello")

    (use,) = credits.settled
    assert (use.usages[0]["input_tokens"], use.usages[0]["cache_read_tokens"]) == (1000, 100)


async def test_a_stream_is_charged_at_its_end(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    agent = _agent(openai, FaregateCapability(credits, "chat", user="ada"))
    async with agent.run_stream("Hello") as stream:
        async for _text in stream.stream_text():
            pass

    assert _charged(credits) == [("ada", "settled", CALL)]


@dataclass
class Session:
    user_id: str


async def test_the_user_is_that_of_the_metadata_or_of_the_deps(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    agent = _agent(openai, FaregateCapability(credits, "chat"))
    await agent.run("Hello", deps=Session("bela"))
    await agent.run("Hello", deps=Session("bela"), metadata={"user_id": "ada"})
    with pytest.raises(InvalidError, match="who pays for chat"):
        await agent.run("Hello")

    assert [user for user, _, _ in _charged(credits)] == ["bela", "ada"]


async def test_the_facade_and_sync_credits_charge_runs(openai: AsyncOpenAI) -> None:
    fare = FakeFaregate(features={"chat": {"strategy": "fixed", "parameters": {"credits": 3}}}, balance=8)
    await _agent(openai, FaregateCapability(fare, "chat", user="ada")).run("Hello")
    assert (await fare.balance("ada")).free == 5

    with SyncFakeCredits() as credits:
        await _agent(openai, FaregateCapability(credits, "chat", user="ada")).run("Hello")
        assert _charged(credits) == [("ada", "settled", CALL)]


async def test_a_request_without_credits_ends_the_run_before_the_provider(openai: AsyncOpenAI) -> None:
    async with FakeCredits(balance=0) as credits:
        with pytest.raises(InsufficientCreditsError):
            await _agent(openai, FaregateCapability(credits, "chat", user="ada"), "broken").run("Hello")


async def test_a_request_that_fails_is_voided(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    with pytest.raises(Exception, match="no such model"):
        await _agent(openai, FaregateCapability(credits, "chat", user="ada"), "broken").run("Hello")

    assert _charged(credits) == [("ada", "voided", 0)]


async def test_a_cancelled_run_is_charged_by_its_request(silent: str, credits: FakeCredits) -> None:
    async with AsyncOpenAI(api_key="sk-test", base_url=silent, max_retries=0) as openai:
        run = asyncio.create_task(_agent(openai, FaregateCapability(credits, "chat", user="ada")).run("Hello"))
        while not credits.gateway.uses:
            await asyncio.sleep(0.01)
        run.cancel()
        await asyncio.wait([run])

    (use,) = credits.settled
    assert use.usages[0]["input_tokens"] > 0


def _answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call the tool first, then answer."""
    usage = RequestUsage(input_tokens=1000, output_tokens=100)
    part = TextPart("done") if len(messages) > 1 else ToolCallPart("search", {"text": "fares"})
    return ModelResponse([part], usage=usage, model_name="gpt-4o")


def _searching(capability: FaregateCapability) -> "Agent[Any, str]":
    agent: Agent[Any, str] = Agent(FunctionModel(_answer, model_name="gpt-4o"), capabilities=[capability])

    @agent.tool_plain
    def search(text: str) -> str:
        if text != "fares":
            raise ValueError(text)
        return "2 fares"

    return agent


async def test_a_run_with_several_requests_can_be_one_use(credits: FakeCredits) -> None:
    result = await _searching(FaregateCapability(credits, "chat", user="ada", per="run")).run("Hello")

    assert _charged(credits) == [("ada", "settled", CALL * 2)]
    receipt: Any = (result.response.metadata or {})["faregate"]
    assert receipt["credits_charged"] == "0.84"


async def test_a_run_that_fails_is_charged_for_its_requests_until_then(credits: FakeCredits) -> None:
    agent = _searching(FaregateCapability(credits, "chat", user="ada", per="run"))
    with pytest.raises(Exception, match="limit of 1"):
        await agent.run("Hello", usage_limits=_one_request())

    assert _charged(credits) == [("ada", "settled", CALL)]


def _one_request() -> Any:
    from pydantic_ai.usage import UsageLimits

    return UsageLimits(request_limit=1)


async def test_a_tool_is_charged_beside_the_requests() -> None:
    async with FakeCredits(pricing={"search": fixed_credits(3)}) as credits:
        await _searching(FaregateCapability(credits, "chat", user="ada", tools={"search": "search"})).run("Hello")

        assert _charged(credits) == [("ada", "settled", CALL), ("ada", "settled", 3), ("ada", "settled", CALL)]


async def test_a_tool_without_credits_does_not_run() -> None:
    async with FakeCredits(balance=2, pricing={"search": fixed_credits(3)}) as credits:
        agent = _searching(FaregateCapability(credits, "chat", user="ada", tools={"search": "search"}))
        await credits.settle_via_api("search", user_id="ada", usage_key="spent")  # leaves nothing
        with pytest.raises(InsufficientCreditsError):
            await agent.run("Hello")


async def test_within_a_block_the_block_charges(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    agent = _agent(openai, FaregateCapability(credits, "chat", user="ada"))
    async with credits.use("report", "cleo") as use:
        await agent.run("Hello")
        await agent.run("Hello again")

    assert (use.result.charged, _charged(credits)) == (CALL * 2, [("cleo", "settled", CALL * 2)])


async def test_a_response_without_usage_is_charged_by_an_estimate(credits: FakeCredits) -> None:
    def silent_answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart("done " * 50)], model_name="gpt-4o")

    capability = FaregateCapability(credits, "chat", user="ada")
    model = FunctionModel(silent_answer, model_name="gpt-4o")
    await Agent(model, capabilities=[capability]).run("Hello")

    (use,) = credits.settled
    assert use.charged > 0


async def test_a_request_can_be_quoted(credits: FakeCredits) -> None:
    quote = await FaregateCapability(credits, "chat").quote("ada", [ModelUsage("gpt-4o", 1000, 100)])

    assert quote.credits == CALL
