"""What providers say about their use, in each known shape."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.client import ModelUsage, exact_json
from faregate.client.observer import LINES_LIMIT, Observer, merged
from faregate.client.observing import counts_in

SHAPES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "openai chat": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
        },
        {
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_tokens": 60,
            "input_audio_tokens": 5,
            "output_reasoning_tokens": 8,
        },
    ),
    "openai responses": (
        {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 8},
        },
        {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 60, "output_reasoning_tokens": 8},
    ),
    "anthropic": (
        {
            "input_tokens": 30,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
            "output_tokens": 20,
        },
        {
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_tokens": 60,
            "cache_write_tokens": 10,
            "cache_write_1h_tokens": 6,
        },
    ),
    "gemini": (
        {
            "promptTokenCount": 90,
            "toolUsePromptTokenCount": 10,
            "candidatesTokenCount": 12,
            "thoughtsTokenCount": 8,
            "cachedContentTokenCount": 60,
        },
        {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 60, "output_reasoning_tokens": 8},
    ),
    "langchain": (
        {
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_token_details": {"cache_read": 60},
            "output_token_details": {"reasoning": 8},
        },
        {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 60, "output_reasoning_tokens": 8},
    ),
    "opentelemetry": (
        {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20},
        {"input_tokens": 100, "output_tokens": 20},
    ),
    "deepseek": (
        {"prompt_tokens": 100, "completion_tokens": 20, "prompt_cache_hit_tokens": 60},
        {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 60},
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_known_shape_is_read(name: str) -> None:
    usage, counts = SHAPES[name]

    assert counts_in(usage) == counts


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "input_tokens", "usage", "x"]), st.none() | st.booleans() | st.text()
    )
)
def test_nonsense_counts_nothing_and_breaks_nothing(usage: dict[str, Any]) -> None:
    assert counts_in(usage) == {}


def test_a_reply_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="str is no reply"):
        Observer().see("Hello")


def test_two_streams_at_once_do_not_mix() -> None:
    """Anthropic's later events do not say to which message they belong."""
    whole = Observer()
    one, other = Observer(), Observer()
    for observer, name in ((one, "a"), (other, "b")):
        message = {"id": name, "model": name, "usage": {"input_tokens": 10, "output_tokens": 1}}
        observer.see({"type": "message_start", "message": message})
    one.see({"type": "message_delta", "usage": {"output_tokens": 5}})
    other.see({"type": "message_delta", "usage": {"output_tokens": 7}})
    whole.take(one)
    whole.take(other)

    assert whole.usages() == ([ModelUsage("a", 10, 5), ModelUsage("b", 10, 7)], False)


def test_a_response_stream_is_read_from_its_last_event() -> None:
    observer = Observer()
    observer.see({"type": "response.created", "response": {"id": "r", "model": "gpt-5", "usage": None}})
    observer.see({"type": "response.output_text.delta", "delta": "la"})
    assert not observer.empty
    usage = {"input_tokens": 10, "output_tokens": 4}
    observer.see({"type": "response.completed", "response": {"id": "r", "model": "gpt-5", "usage": usage}})

    assert observer.usages() == ([ModelUsage("gpt-5", 10, 4)], False)


def test_a_gemini_stream_tells_a_growing_total() -> None:
    observer = Observer()
    for output in (3, 9):
        counts = {"promptTokenCount": 10, "candidatesTokenCount": output}
        observer.see({"responseId": "g", "modelVersion": "gemini-2.5-flash", "usageMetadata": counts})

    assert observer.usages() == ([ModelUsage("gemini-2.5-flash", 10, 9)], False)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=250))
def test_however_many_lines_nothing_is_lost(calls: list[tuple[str, int, int]]) -> None:
    """A settlement takes 100 lines; an agent may call a model more often."""
    lines = [ModelUsage(model, given_, came, more={"cache_read_tokens": given_ // 2}) for model, given_, came in calls]
    sent = merged(lines)

    assert len(sent) <= LINES_LIMIT
    assert _sums(sent) == _sums(lines)


def _sums(lines: list[ModelUsage]) -> dict[str, tuple[int, int, int]]:
    sums: dict[str, tuple[int, int, int]] = {}
    for line in lines:
        came, went, read = sums.get(line.model, (0, 0, 0))
        cached = line.more.get("cache_read_tokens", 0)
        sums[line.model] = (came + line.input_tokens, went + line.output_tokens, read + cached)
    return sums


@settings(deadline=None)
@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_credits_pass_json_without_a_float(credits: Decimal) -> None:
    """`0.1 + 0.2` is nobody's balance."""
    back = exact_json.loads(exact_json.dumps({"credits": credits}))["credits"]

    assert back == credits
    assert isinstance(back, Decimal | int)
