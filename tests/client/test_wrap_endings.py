"""Wrapped SDK clients: settlement at each kind of end of a reply."""

import asyncio
import gc
import logging
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from faregate.client import (
    ChargeSession,
    FakeCredits,
    InvalidError,
    ModelUsage,
    SyncFakeCredits,
    UnreadableReplyError,
    wrap,
)

HELLO: Any = [{"role": "user", "content": "Hello, how are you today?"}]
REQUEST_TOKENS = 11  # 25 letters are 7 tokens, the frame of a message is 4


@pytest.fixture
async def credits() -> AsyncIterator[FakeCredits]:
    async with FakeCredits() as credits:
        yield credits


@pytest.fixture
async def sdk(provider: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def ai(credits: FakeCredits, sdk: AsyncOpenAI) -> AsyncOpenAI:
    return credits.wrap(sdk, "ai_chat_v1", user_id="ada")


@pytest.fixture
def sync_credits() -> Iterator[SyncFakeCredits]:
    with SyncFakeCredits() as credits:
        yield credits


@pytest.fixture
def sync_sdk(provider: str) -> Iterator[OpenAI]:
    with OpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0) as sdk:
        yield sdk


def _lines(credits: FakeCredits | SyncFakeCredits) -> list[tuple[str, int, int]]:
    return [
        (line["ai_model"], line["input_tokens"], line["output_tokens"])
        for use in credits.settled
        for line in use.usages
    ]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            gc.collect()
            await asyncio.sleep(0.01)


async def test_a_stream_closed_early_is_charged_its_input_and_the_content_received(
    ai: AsyncOpenAI, credits: FakeCredits
) -> None:
    """Without an estimate the input is estimated from the request."""
    stream = await ai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    async for _ in stream:
        break
    await stream.close()

    assert _lines(credits) == [("gpt-4o", REQUEST_TOKENS, 1)]
    assert credits.settled[0].metadata == {"usage_estimated": True}


async def test_a_stream_closed_unread_is_charged_its_input(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    await (await ai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)).close()

    assert _lines(credits) == [("gpt-4o", REQUEST_TOKENS, 0)]


@pytest.mark.parametrize("read", [True, False])
async def test_an_abandoned_stream_is_settled_when_it_is_garbage_collected(
    ai: AsyncOpenAI, credits: FakeCredits, read: bool
) -> None:
    """`async for … break` without a close: the session ends with the stream, and its hold is released."""

    async def request() -> None:
        stream = await ai.chat.completions.create(model="endless", messages=HELLO, stream=True)
        async for _ in stream:
            if read:
                break

    if read:
        await request()
    else:
        await ai.chat.completions.create(model="endless", messages=HELLO, stream=True)
    await _until(lambda: bool(credits.settled))

    assert _lines(credits) == [("endless", REQUEST_TOKENS, 1 if read else 0)]
    assert credits.gateway.free("ada") == 99


async def test_closing_the_client_settles_open_streams(sdk: AsyncOpenAI) -> None:
    others = asyncio.all_tasks()
    credits = FakeCredits()
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
    stream = await ai.chat.completions.create(model="endless", messages=HELLO, stream=True)
    await anext(aiter(stream))
    await credits.aclose()

    assert _lines(credits) == [("endless", REQUEST_TOKENS, 1)]
    assert asyncio.all_tasks() <= others
    await stream.close()


async def test_a_cancelled_reader_is_charged_the_content_received(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in await ai.chat.completions.create(model="endless", messages=HELLO, stream=True):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    await _until(lambda: bool(credits.settled))

    ((model, input_tokens, output_tokens),) = _lines(credits)
    assert (model, input_tokens) == ("endless", REQUEST_TOKENS)
    assert output_tokens >= 1


async def test_a_stream_that_fails_before_any_content_is_voided(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    """The provider reports an error as its first event: there is no reply, so nothing is charged."""
    with pytest.raises(openai.APIError, match="overloaded"):
        async for _ in await ai.chat.completions.create(model="failing", messages=HELLO, stream=True):
            pass

    (use,) = credits.gateway.uses.values()
    assert (use.status, use.reason) == ("voided", "ProviderFailedError")


async def test_a_stream_open_at_the_end_of_its_block_is_settled_and_cannot_be_read_on(
    credits: FakeCredits, sdk: AsyncOpenAI
) -> None:
    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        stream = ride.watch(await wrap(sdk).chat.completions.create(model="endless", messages=HELLO, stream=True))
        await anext(stream)
    with pytest.raises(InvalidError, match=f"{ride.usage_key} has ended"):
        await anext(stream)

    assert [line[0] for line in _lines(credits)] == ["endless"]


async def test_an_ended_session_refuses_usage(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    """Usage of a task that outlives the block would not be charged."""
    late = asyncio.Event()

    async def background() -> None:
        await late.wait()
        await wrap(sdk).chat.completions.create(model="gpt-4o", messages=HELLO)

    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        task = asyncio.create_task(background())
    late.set()
    with pytest.raises(InvalidError, match="has ended"):
        await task
    for use in (lambda: ride.add("gpt-4o", input_tokens=1), lambda: ride.observe({"usage": {"prompt_tokens": 1}})):
        with pytest.raises(InvalidError, match="has ended"):
            use()


async def test_a_background_task_of_a_wrapped_client_is_charged_separately(
    ai: AsyncOpenAI, credits: FakeCredits
) -> None:
    late = asyncio.Event()

    async def background() -> None:
        await late.wait()
        await ai.chat.completions.create(model="gpt-4o", messages=HELLO)

    async with credits.charge("ai_chat_v1", user_id="bela"):
        task = asyncio.create_task(background())
    late.set()
    await task

    assert [(use.user_id, len(use.usages)) for use in credits.settled] == [("bela", 0), ("ada", 1)]


def test_a_session_cannot_be_pickled(sync_credits: SyncFakeCredits) -> None:
    with sync_credits.charge("ai_chat_v1", user_id="ada") as ride, pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ride)


class Answer(BaseModel):
    number: int


async def test_a_parse_that_fails_after_a_paid_reply_settles_it(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    """The reply was received and is paid for, even if it does not match the host's response format."""
    with pytest.raises(openai.LengthFinishReasonError):
        await ai.chat.completions.parse(model="long", messages=HELLO, response_format=Answer)
    with pytest.raises(ValueError, match="Answer"):
        await ai.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=Answer)

    assert _lines(credits) == [("long", 1000, 100), ("gpt-4o", 1000, 100)]
    assert [use.metadata for use in credits.settled] == [
        {"error": "LengthFinishReasonError"},
        {"error": "ValidationError"},
    ]


async def test_a_streamed_response_is_observed_however_it_is_read(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    create = ai.chat.completions.with_streaming_response.create
    async with create(model="parsed", messages=HELLO) as response:
        assert (await response.parse()).choices[0].message.content == "Tap in, ride"
    async with create(model="json", messages=HELLO) as response:
        await response.json()
    async with create(model="bytes", messages=HELLO) as response:
        assert b"".join([chunk async for chunk in response.iter_bytes()]).startswith(b"{")
    async with create(model="unread", messages=HELLO) as response:
        assert response.status_code == 200

    assert _lines(credits) == [(model, 1000, 100) for model in ("parsed", "json", "bytes", "unread")]
    assert [use.metadata for use in credits.settled] == [None] * 4


async def test_a_streamed_response_of_events_is_observed_and_hides_usage_not_requested(
    ai: AsyncOpenAI, credits: FakeCredits
) -> None:
    create = ai.chat.completions.with_streaming_response.create
    async with create(model="lines", messages=HELLO, stream=True) as response:
        lines = [line async for line in response.iter_lines() if line.startswith("data: {")]
    async with create(model="parsed", messages=HELLO, stream=True) as response:
        chunks = [chunk async for chunk in await response.parse()]
    wanted: Any = {"include_usage": True}
    async with create(model="asked", messages=HELLO, stream=True, stream_options=wanted) as response:
        asked = [line async for line in response.iter_lines() if '"usage"' in line]

    assert _lines(credits) == [(model, 1000, 100) for model in ("lines", "parsed", "asked")]
    assert not [line for line in lines if '"usage"' in line]
    assert all(chunk.choices for chunk in chunks)
    assert len(asked) == 1


async def test_a_raw_stream_is_settled_when_it_ends(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    raw = await ai.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=True)
    assert credits.settled == []
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in raw.parse()])

    assert text == "Tap in, ride"
    assert _lines(credits) == [("gpt-4o", 1000, 100)]


async def test_wrapping_twice_charges_once(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    """The feature of the last wrapping is charged."""
    twice = wrap(credits.wrap(credits.wrap(sdk, "first", user_id="ada"), "second", user_id="ada"))
    await twice.chat.completions.create(model="gpt-4o", messages=HELLO)
    await twice.with_options(timeout=5).chat.completions.create(model="gpt-4o", messages=HELLO)
    async with credits.charge("third", user_id="ada"):
        await twice.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert [(use.feature, len(use.usages)) for use in credits.settled] == [("second", 1), ("second", 1), ("third", 1)]


async def test_images_and_audio_are_metered(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    await ai.images.generate(model="gpt-image-1", prompt="A gate")
    await ai.images.edit(model="gpt-image-1", prompt="A gate", image=("a.png", b"PNG"))
    await ai.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", b"ID3"))
    stream = await ai.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", b"ID3"), stream=True)
    assert [event.type async for event in stream] == ["transcript.text.delta", "transcript.text.done"]

    assert _lines(credits) == [
        ("gpt-image-1", 50, 1056),
        ("gpt-image-1", 50, 1056),
        ("gpt-4o-transcribe", 14, 45),
        ("gpt-4o-transcribe", 14, 45),
    ]


async def test_a_reply_without_usage_is_unpriced_and_not_free(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    """The gateway keeps lines of the model `unknown` unpriced; the metadata names their models."""
    await ai.images.generate(model="dall-e-3", prompt="A gate")
    await ai.audio.speech.create(model="tts-1", voice="alloy", input="Tap in")
    await ai.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"ID3"), response_format="srt")

    assert _lines(credits) == [("unknown", 0, 0)] * 3
    assert [use.metadata for use in credits.settled] == [
        {"usage_unread": [model]} for model in ("dall-e-3", "tts-1", "whisper-1")
    ]


async def test_a_chat_without_usage_is_estimated(ai: AsyncOpenAI, credits: FakeCredits) -> None:
    await ai.chat.completions.create(model="silent", messages=HELLO)

    assert _lines(credits) == [("silent", REQUEST_TOKENS, 3)]
    assert credits.settled[0].metadata == {"usage_estimated": True}


async def test_unmetered_calls_are_refused_logged_or_passed_as_chosen(
    credits: FakeCredits, sdk: AsyncOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    def ai(**options: Any) -> AsyncOpenAI:
        return credits.wrap(sdk, "ai_chat_v1", user_id="ada", **options)

    for refuse in (ai(unmetered="refuse"), wrap(sdk, unmetered="refuse")):
        with pytest.raises(InvalidError, match="POST /moderations may cost money") as caught:
            await refuse.moderations.create(input="Hello")
        assert caught.value.param == "unmetered"
    with pytest.raises(InvalidError, match="/responses in the background"):
        await ai(unmetered="refuse").responses.create(model="gpt-5", input="Hello", background=True)
    with pytest.raises(InvalidError, match="/brand/new"):
        await ai(unmetered="refuse").post("/brand/new", cast_to=object)
    with pytest.raises(InvalidError, match="WebSocket"):
        async with ai(unmetered="refuse").realtime.connect(model="gpt-realtime"):
            pass
    with caplog.at_level(logging.WARNING):
        await ai(unmetered="pass").moderations.create(input="Hello")
        assert "moderations" not in caplog.text
        await ai().moderations.create(input="Hello")
    assert "POST /moderations may cost money" in caplog.text
    assert credits.gateway.uses == {}


async def test_free_calls_are_not_charged(credits: FakeCredits, sdk: AsyncOpenAI) -> None:
    ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada", unmetered="refuse")
    await ai.responses.input_tokens.count(model="gpt-5", input="Hello")
    await ai.conversations.create()

    assert credits.gateway.uses == {}


async def test_anthropics_beta_is_metered_and_a_closed_stream_is_charged_its_reported_usage(
    credits: FakeCredits, provider: str
) -> None:
    async with AsyncAnthropic(api_key="sk-ant", base_url=provider, max_retries=0) as sdk:
        ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
        hello: dict[str, Any] = {"max_tokens": 100, "model": "claude-stub-1", "messages": HELLO}
        await ai.beta.messages.create(**hello)
        async with await ai.messages.create(**hello, stream=True) as stream:
            async for event in stream:
                if event.type == "content_block_delta":
                    break

    assert _lines(credits) == [("claude-stub-1", 1000, 100), ("claude-stub-1", 1000, 1)]


async def test_mixing_sync_and_async_raises(
    credits: FakeCredits, sync_credits: SyncFakeCredits, sdk: AsyncOpenAI, sync_sdk: OpenAI
) -> None:
    with pytest.raises(InvalidError, match="OpenAI is a sync client"):
        credits.wrap(sync_sdk, "ai_chat_v1")
    with pytest.raises(InvalidError, match="AsyncOpenAI is an async client"):
        sync_credits.wrap(sdk, "ai_chat_v1")
    with pytest.raises(InvalidError, match="a dict cannot be wrapped"):
        wrap({})
    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        with pytest.raises(InvalidError, match="a sync client of an SDK is called within the block of an async charge"):
            wrap(sync_sdk).chat.completions.create(model="gpt-4o", messages=HELLO)
        with pytest.raises(InvalidError, match="use `watch_sync`"):
            ride.watch([])
        with pytest.raises(InvalidError, match="use `watch`"):
            ride.watch_sync(_nothing())
    refused = pytest.raises(InvalidError, match="an async client of an SDK is called within the block of a sync charge")
    with sync_credits.charge("ai_chat_v1", user_id="ada"), refused:
        await wrap(sdk).chat.completions.create(model="gpt-4o", messages=HELLO)


async def test_the_wrong_kind_of_block_raises(credits: FakeCredits, sync_credits: SyncFakeCredits) -> None:
    plain, awaited = credits.charge("ai_chat_v1", user_id="ada"), sync_credits.charge("ai_chat_v1", user_id="ada")
    with pytest.raises(InvalidError, match="use the sync ones"):
        plain.__enter__()
    with pytest.raises(InvalidError, match="use the async ones"):
        await awaited.__aenter__()


async def _nothing() -> AsyncIterator[Any]:
    return
    yield


async def test_a_sync_client_in_another_thread_is_observed(credits: FakeCredits, sync_sdk: OpenAI) -> None:
    async with credits.charge("ai_chat_v1", user_id="ada"):
        await asyncio.to_thread(wrap(sync_sdk).chat.completions.create, model="gpt-4o", messages=HELLO)

    assert _lines(credits) == [("gpt-4o", 1000, 100)]


@pytest.mark.parametrize("reply", ["a text", {"answer": 42}, None])
async def test_an_unreadable_reply_raises_and_voids(credits: FakeCredits, reply: Any) -> None:
    with pytest.raises(UnreadableReplyError):
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            ride.observe(reply)

    (use,) = credits.gateway.uses.values()
    assert use.status == "voided"


async def test_a_stream_of_an_unknown_form_is_unpriced_or_settled_as_estimated(credits: FakeCredits) -> None:
    async def stream() -> AsyncIterator[Any]:
        yield {"answer": 42}

    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        _ = [item async for item in ride.watch(stream(), model="home-made")]
    async with credits.charge("ai_chat_v1", user_id="ada", estimate=[ModelUsage("home-made", 5, 7)]) as ride:
        _ = [item async for item in ride.watch(stream(), model="home-made")]

    assert _lines(credits) == [("unknown", 0, 0), ("home-made", 5, 7)]


def test_sync_streams_end_like_async_ones(sync_credits: SyncFakeCredits, sync_sdk: OpenAI) -> None:
    ai = sync_credits.wrap(sync_sdk, "ai_chat_v1", user_id="ada")
    with ai.chat.completions.create(model="closed", messages=HELLO, stream=True) as stream:
        next(iter(stream))
    with ai.chat.completions.with_streaming_response.create(model="unread", messages=HELLO):
        pass
    with pytest.raises(openai.LengthFinishReasonError):
        ai.chat.completions.parse(model="long", messages=HELLO, response_format=Answer)

    assert _lines(sync_credits) == [("closed", REQUEST_TOKENS, 1), ("unread", 1000, 100), ("long", 1000, 100)]


@pytest.mark.parametrize("read", [True, False])
def test_an_abandoned_sync_stream_is_settled_when_it_is_garbage_collected(
    sync_credits: SyncFakeCredits, sync_sdk: OpenAI, read: bool
) -> None:
    ai = sync_credits.wrap(sync_sdk, "ai_chat_v1", user_id="ada")

    def request() -> None:
        stream = ai.chat.completions.create(model="endless", messages=HELLO, stream=True)
        if read:
            next(iter(stream))

    request()
    for _ in range(500):
        gc.collect()
        if sync_credits.settled:
            break
        threading.Event().wait(0.01)

    assert _lines(sync_credits) == [("endless", REQUEST_TOKENS, 1 if read else 0)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the sockets of a closed event loop
def test_the_settlement_of_a_stream_that_outlives_its_event_loop_is_spooled(provider: str, tmp_path: Path) -> None:
    credits = FakeCredits(spool_dir=tmp_path)

    async def request() -> Any:
        sdk = AsyncOpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0)
        ai = credits.wrap(sdk, "ai_chat_v1", user_id="ada")
        return await ai.chat.completions.create(model="endless", messages=HELLO, stream=True)

    stream = asyncio.run(request())
    del stream
    gc.collect()

    (kept,) = [line for path in tmp_path.glob("*.spool") for line in path.read_text().splitlines()]
    credits._delivery._spool.close()
    assert '"ai_model":"endless","input_tokens":11' in kept


async def test_settlements_after_the_client_was_closed_are_spooled(tmp_path: Path) -> None:
    credits = FakeCredits(spool_dir=tmp_path)
    async with credits.charge("ai_chat_v1", user_id="ada") as ride:
        ride.add("gpt-4o", input_tokens=3)
        await credits.aclose()

    assert isinstance(ride, ChargeSession)
    assert sum(path.read_text().count(ride.usage_key) for path in tmp_path.glob("*.spool")) == 1


def test_anthropics_sync_stream_is_observed(sync_credits: SyncFakeCredits, provider: str) -> None:
    with Anthropic(api_key="sk-ant", base_url=provider, max_retries=0) as sdk:
        ai = sync_credits.wrap(sdk, "ai_chat_v1", user_id="ada")
        with ai.messages.stream(max_tokens=100, model="claude-stub-1", messages=HELLO) as stream:
            assert stream.get_final_text() == "Tap in, ride"

    assert _lines(sync_credits) == [("claude-stub-1", 1000, 100)]
