"""OpenAI Agents: each call, or each run, is held before it begins and settled once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIProvider,
    RunConfig,
    Runner,
    set_trace_processors,
)
from agents.tracing import Span, Trace, TracingProcessor
from openai import AsyncOpenAI

from faregate.client import FakeCredits, InsufficientCreditsError, InvalidError, ModelUsage, SyncFakeCredits
from faregate.host import FakeFaregate
from faregate.integrations.openai_agents import FaregateHooks, FaregateModelProvider, FaregateTracing

CALL = Decimal("0.42")
AGENT: "Agent[Any]" = Agent("helper", instructions="Help.", model="gpt-4o")


class Recorder(TracingProcessor):
    """Keeps the spans of the tests' traces instead of sending them to OpenAI."""

    def __init__(self) -> None:
        self.spans: list[Span[Any]] = []

    def on_trace_start(self, trace: Trace) -> None: ...
    def on_trace_end(self, trace: Trace) -> None: ...
    def on_span_start(self, span: Span[Any]) -> None: ...
    def on_span_end(self, span: Span[Any]) -> None:
        self.spans.append(span)

    def shutdown(self) -> None: ...
    def force_flush(self) -> None: ...


@pytest.fixture(autouse=True)
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    set_trace_processors([recorder])
    yield recorder
    set_trace_processors([])


@pytest.fixture
async def openai(provider: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0) as openai:
        yield openai


@pytest.fixture
async def credits() -> AsyncIterator[FakeCredits]:
    async with FakeCredits() as credits:
        yield credits


def _charged(credits: FakeCredits | SyncFakeCredits) -> list[tuple[str, str, Decimal]]:
    return [(use.user_id, use.status, use.charged) for use in credits.gateway.uses.values()]


def _config(credits: Any, openai: AsyncOpenAI, *, responses: bool = False, **more: Any) -> RunConfig:
    inner = OpenAIProvider(openai_client=openai, use_responses=responses)
    return RunConfig(model_provider=FaregateModelProvider(credits, "chat", inner=inner, user="ada"), **more)


async def _stream(agent: "Agent[Any]", config: RunConfig) -> None:
    async for _event in Runner.run_streamed(agent, "Hello", run_config=config).stream_events():
        pass


@pytest.mark.parametrize("responses", [True, False])
async def test_a_run_is_charged_and_its_trace_holds_the_receipt(
    responses: bool, openai: AsyncOpenAI, credits: FakeCredits, recorder: Recorder
) -> None:
    await Runner.run(AGENT, "Hello", run_config=_config(credits, openai, responses=responses))

    (receipt,) = [span.span_data.data for span in recorder.spans if span.span_data.type == "custom"]
    assert _charged(credits) == [("ada", "settled", CALL)]
    assert (receipt["credits_charged"], receipt["credits_left"]) == ("0.42", "99.58")


async def test_the_user_is_that_of_the_trace(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    provider = FaregateModelProvider(credits, "chat", inner=OpenAIProvider(openai_client=openai, use_responses=False))
    config = RunConfig(model_provider=provider, trace_metadata={"user_id": "bela"})
    await Runner.run(AGENT, "Hello", run_config=config)

    assert _charged(credits) == [("bela", "settled", CALL)]
    assert provider.receipts[0]["state"] == "settled"


async def test_a_stream_is_charged_at_its_end(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    await _stream(AGENT, _config(credits, openai))

    (use,) = credits.settled
    assert use.usages[0]["output_tokens"] > 0


async def test_the_model_of_an_agent_can_be_an_object(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    provider = FaregateModelProvider(credits, "chat", user="ada", inner=OpenAIProvider(openai_client=openai))
    model = provider.charged(OpenAIChatCompletionsModel("gpt-4o", openai))
    await Runner.run(Agent("helper", model=model), "Hello")

    assert _charged(credits) == [("ada", "settled", CALL)]


async def test_the_facade_and_sync_credits_charge_runs(openai: AsyncOpenAI) -> None:
    fare = FakeFaregate(features={"chat": {"strategy": "fixed", "parameters": {"credits": 3}}}, balance=8)
    await Runner.run(AGENT, "Hello", run_config=_config(fare, openai))
    assert (await fare.balance("ada")).free == 5

    with SyncFakeCredits() as credits:
        await Runner.run(AGENT, "Hello", run_config=_config(credits, openai))
        assert _charged(credits) == [("ada", "settled", CALL)]


async def test_a_call_without_credits_ends_the_run_before_the_provider(openai: AsyncOpenAI) -> None:
    async with FakeCredits(balance=0) as credits:
        with pytest.raises(InsufficientCreditsError):
            await Runner.run(AGENT, "Hello", run_config=_config(credits, openai))


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_call_that_fails_is_voided(streamed: bool, openai: AsyncOpenAI, credits: FakeCredits) -> None:
    broken: Agent[Any] = Agent("broken", model="broken")
    config = _config(credits, openai)
    with pytest.raises(Exception, match="no such model"):
        await (_stream(broken, config) if streamed else Runner.run(broken, "Hello", run_config=config))

    assert _charged(credits) == [("ada", "voided", 0)]


async def test_a_cancelled_run_is_charged_by_its_request(silent: str, credits: FakeCredits) -> None:
    async with AsyncOpenAI(api_key="sk-test", base_url=silent, max_retries=0) as openai:
        run = asyncio.create_task(Runner.run(AGENT, "Hello", run_config=_config(credits, openai)))
        while not credits.gateway.uses:
            await asyncio.sleep(0.01)
        run.cancel()
        await asyncio.wait([run])

    (use,) = credits.settled
    assert use.usages[0]["input_tokens"] > 0


@pytest.mark.parametrize("by_hooks", [True, False])
async def test_within_a_block_the_block_charges_all_calls(
    by_hooks: bool, openai: AsyncOpenAI, credits: FakeCredits
) -> None:
    inner = OpenAIProvider(openai_client=openai, use_responses=False)
    charging = FaregateModelProvider(credits, "chat", inner=inner)
    config = RunConfig(model_provider=inner if by_hooks else charging)
    async with credits.use("report", "cleo") as use:
        for _run in range(2):
            await Runner.run(AGENT, "Hello", run_config=config, hooks=FaregateHooks(use) if by_hooks else None)

    assert _charged(credits) == [("cleo", "settled", CALL * 2)]


async def test_hooks_stop_a_run_whose_block_has_ended(openai: AsyncOpenAI, credits: FakeCredits) -> None:
    async with credits.use("report", "cleo") as use:
        pass
    config = RunConfig(model_provider=OpenAIProvider(openai_client=openai, use_responses=False))
    with pytest.raises(InvalidError, match="has ended"):
        await Runner.run(AGENT, "Hello", run_config=config, hooks=FaregateHooks(use))


async def test_tracing_charges_each_call_once_after_it(openai: AsyncOpenAI) -> None:
    with SyncFakeCredits() as credits:
        tracing = FaregateTracing(credits, "chat")
        recorder = Recorder()
        set_trace_processors([tracing, recorder])
        inner = OpenAIProvider(openai_client=openai, use_responses=False)
        config = RunConfig(model_provider=inner, trace_metadata={"user_id": "ada"})
        await Runner.run(AGENT, "Hello", run_config=config)
        await Runner.run(AGENT, "Hello", run_config=_config(credits, openai))
        for span in recorder.spans:  # reported again
            tracing.on_span_end(span)
        tracing.force_flush()
        tracing.shutdown()

        assert _charged(credits) == [("ada", "settled", CALL)] * 2


def test_tracing_names_what_could_not_be_paid(caplog: pytest.LogCaptureFixture) -> None:
    with SyncFakeCredits(balance=0) as credits:
        tracing = FaregateTracing(credits, "chat", user="ada")
        tracing._charge("span_1", {}, {"model": "gpt-4o", "usage": {"input_tokens": 1, "output_tokens": 1}})

    assert "the call of span span_1 ran and was not charged: Insufficient credits" in caplog.text


async def test_tracing_needs_sync_credits(credits: FakeCredits) -> None:
    with pytest.raises(InvalidError, match="give a SyncCreditsClient"):
        FaregateTracing(credits, "chat")


async def test_a_call_can_be_quoted(credits: FakeCredits) -> None:
    quote = await FaregateModelProvider(credits, "chat").quote("ada", [ModelUsage("gpt-4o", 1000, 100)])

    assert quote.credits == CALL
