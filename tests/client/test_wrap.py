"""Wrapped SDK clients against a stub of the providers."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

from faregate.client import (
    FakeCredits,
    InsufficientCreditsError,
    InvalidError,
    ModelUsage,
    SyncFakeCredits,
    wrap,
)

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def credits() -> AsyncIterator[FakeCredits]:
    async with FakeCredits() as credits:
        yield credits


@pytest.fixture
async def sdk(provider: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0) as sdk:
        yield sdk


def _lines(credits: FakeCredits | SyncFakeCredits) -> list[tuple[str, int, int]]:
    return [
        (line["ai_model"], line["input_tokens"], line["output_tokens"])
        for use in credits.settled
        for line in use.usages
    ]


async def test_one_line_charges_every_call(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1")

    reply = await ai.chat.completions.create(model="gpt-4o", messages=HELLO, user="ada")
    await ai.responses.create(model="gpt-5", input="Hello", user="bela")
    await ai.embeddings.create(model="text-embedding-3-small", input="Hello", user="ada")

    assert isinstance(ai, AsyncOpenAI)
    assert reply.choices[0].message.content == "Tap in, ride"
    assert [use.user_id for use in credits.settled] == ["ada", "bela", "ada"]
    assert _lines(credits) == [("gpt-4o", 1000, 100), ("gpt-5", 1000, 100), ("text-embedding-3-small", 8, 0)]
    assert credits.gateway.free("ada") == 100 - Decimal("0.42") - Decimal("0.00002")  # the models' cost plus 20 %


async def test_calls_within_a_charge_block_are_observed(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    ai = wrap(sdk)
    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        await ai.chat.completions.create(model="gpt-4o", messages=HELLO)
        await ai.with_options(timeout=5).chat.completions.create(model="gpt-4o-mini", messages=HELLO)

    assert ride.result.state == "settled"
    assert _lines(credits) == [("gpt-4o", 1000, 100), ("gpt-4o-mini", 1000, 100)]


async def test_a_call_outside_of_a_charge_block_has_no_payer(sdk: AsyncOpenAI) -> None:
    with pytest.raises(InvalidError, match="who pays"):
        await wrap(sdk).chat.completions.create(model="gpt-4o", messages=HELLO)


async def test_the_wrapped_client_itself_is_not_changed(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    credits.wrap(sdk, "ai_chat_v1")
    await sdk.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert credits.gateway.uses == {}


async def test_a_refused_user_never_reaches_the_provider(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada", estimate=1000)
    with pytest.raises(InsufficientCreditsError) as caught:
        await ai.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert (caught.value.balance, caught.value.required) == (100, 1000)


async def test_a_failed_call_is_voided(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
    with pytest.raises(openai.BadRequestError):
        await ai.chat.completions.create(model="broken", messages=HELLO)

    (use,) = credits.gateway.uses.values()
    assert (use.status, use.reason) == ("voided", "BadRequestError")
    assert credits.gateway.free("ada") == 100


async def test_a_stream_is_settled_at_its_end_and_the_requested_usage_chunk_is_hidden(
    credits: FakeCredits, sdk: AsyncOpenAI
) -> None:
    """OpenAI reports a stream's usage only on request, in a chunk without choices that hosts do not expect."""
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
    stream = await ai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == "Tap in, ride"
    assert _lines(credits) == [("gpt-4o", 1000, 100)]


async def test_the_sdks_own_stream_helper_works(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
    async with ai.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        final = await stream.get_final_completion()

    assert final.choices[0].message.content == "Tap in, ride"
    assert _lines(credits) == [("gpt-4o", 1000, 100)]


async def test_a_stream_that_the_host_leaves_early_is_settled_with_the_content_received(
    credits: FakeCredits, sdk: AsyncOpenAI
) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada", estimate=[ModelUsage("gpt-4o", 1200, 500)])
    async with await ai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True) as stream:
        async for _ in stream:
            break

    assert _lines(credits) == [("gpt-4o", 1200, 1)]
    assert credits.settled[0].metadata == {"usage_estimated": True}


async def test_a_stream_that_breaks_is_settled_with_the_content_received(
    credits: FakeCredits, sdk: AsyncOpenAI
) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada", estimate=[ModelUsage("cut", 1200, 500)])
    with pytest.raises(Exception, match=r"(?i)peer closed|connection"):
        async for _ in await ai.chat.completions.create(model="cut", messages=HELLO, stream=True):
            pass

    assert _lines(credits) == [("cut", 1200, 4)]
    assert credits.settled[0].metadata is not None
    assert credits.settled[0].metadata["usage_estimated"] is True


async def test_anthropic_whole_and_streamed(credits: FakeCredits, provider: str) -> None:
    """Cached tokens are not part of Anthropic's `input_tokens`; a line's total includes them."""
    async with AsyncAnthropic(api_key="sk-ant", base_url=provider, max_retries=0) as sdk:
        ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
        hello: dict[str, Any] = {"max_tokens": 100, "model": "claude-stub-1", "messages": HELLO}
        await ai.messages.create(**hello)
        async for _ in await ai.messages.create(**hello, stream=True):
            pass
        async with ai.messages.stream(**hello) as stream:
            final = await stream.get_final_text()

    assert final == "Tap in, ride"
    assert _lines(credits) == [("claude-stub-1", 1000, 100)] * 3
    assert {use.usages[0]["cache_read_tokens"] for use in credits.settled} == {100}


async def test_a_raw_reply_is_observed(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
    raw = await ai.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)

    assert raw.parse().choices[0].message.content == "Tap in, ride"
    assert _lines(credits) == [("gpt-4o", 1000, 100)]


@pytest.fixture
def sync_credits() -> Iterator[SyncFakeCredits]:
    with SyncFakeCredits(pricing=lambda lines: Decimal(len(lines))) as credits:
        yield credits


def test_the_sync_sdk_with_the_sync_client(sync_credits: SyncFakeCredits, provider: str) -> None:
    with OpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0) as sdk:
        ai = sync_credits.wrap(sdk, "ai_chat_v1", user_id="ada")
        ai.chat.completions.create(model="gpt-4o", messages=HELLO)
        for _ in ai.chat.completions.create(model="gpt-4o-mini", messages=HELLO, stream=True):
            pass
        with sync_credits.charge("ai_chat_v1", user_id="ada") as ride:
            wrap(sdk).chat.completions.create(model="gpt-5", messages=HELLO)
            ride.add("gpt-4o", input_tokens=3)

    assert _lines(sync_credits) == [
        ("gpt-4o", 1000, 100),
        ("gpt-4o-mini", 1000, 100),
        ("gpt-4o", 3, 0),
        ("gpt-5", 1000, 100),
    ]
    assert sync_credits.gateway.balances["ada"] == 96
