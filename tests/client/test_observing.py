"""Observation of provider replies in each known format."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.client import ModelUsage, UnreadableReplyError
from faregate.client.replies.observer import Observer
from faregate.client.replies.reading import reading_of
from faregate.client.replies.usage_lines import LINES_LIMIT, Lines, merged
from faregate.client.request_bodies import line_body
from faregate.usage.credits_process.bodies import UsageBody, validated
from faregate.usage.credits_process.provider_lines import native_usage
from faregate.wire import exact_json
from faregate.wire.provider_usage import model_in
from support.native_forms import FORMS

MORE: dict[str, dict[str, Any]] = {
    "deepseek": {"usage": {"prompt_tokens": 100, "completion_tokens": 20, "prompt_cache_hit_tokens": 60}},
    "gemini sdk": {
        "usage_metadata": {
            "prompt_token_count": 90,
            "tool_use_prompt_token_count": 10,
            "candidates_token_count": 12,
            "thoughts_token_count": 8,
            "cached_content_token_count": 60,
            "candidates_tokens_details": [{"modality": "MediaModality.AUDIO", "token_count": 5}, None],
        }
    },
    "bedrock invoke": {"usage": {"inputTokens": 10, "outputTokens": 7, "cacheReadInputTokenCount": 100}},
    "transcription by time": {"usage": {"type": "duration", "seconds": Decimal("12.3")}},
    "transcription by tokens": {
        "usage": {
            "input_tokens": 14,
            "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
            "output_tokens": 45,
        }
    },
    "langchain audio": {
        "usage_metadata": {
            "input_tokens": 350,
            "output_tokens": 240,
            "input_token_details": {"audio": 10, "cache_creation": 200, "cache_read": 100},
            "output_token_details": {"audio": 10, "reasoning": 200},
        }
    },
}


@pytest.mark.parametrize("name", [*FORMS, *MORE])
def test_the_client_reads_every_form_as_the_gateway_does(name: str) -> None:
    body = {**FORMS, **MORE}[name]
    theirs = native_usage(body, model=model_in(body) or "m")
    ours = reading_of(body)

    assert ours is not None
    assert ours.counts == theirs.tokens
    assert ours.counts
    assert (ours.provider, ours.service_tier) == (theirs.provider, theirs.service_tier)
    assert ours.model in {theirs.model, None}


TOTALS: dict[str, dict[str, Any]] = {
    "more than its parts": {"usageMetadata": {"promptTokenCount": 200, "totalTokenCount": 4900}},
    "less than its parts": {"usage": {"prompt_tokens": 200, "completion_tokens": 300, "total_tokens": 400}},
    "without what is cached": {
        "usage": {"inputTokens": 100, "outputTokens": 5, "totalTokens": 15, "cachedInputTokens": 90}
    },
    "openrouter's cost": {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "cost": Decimal("0.000_123")}},
    "litellm's cost": {
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        "_hidden_params": {"response_cost": 0.25},
    },
    "both": {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 20, "cost": Decimal(1)}},
}


@pytest.mark.parametrize("name", [*FORMS, *MORE, *TOTALS])
def test_the_client_sends_the_usage_that_the_gateway_reads_from_the_reply(name: str) -> None:
    """Contradicting totals and reported costs reach the gateway."""
    body = {**FORMS, **MORE, **TOTALS}[name]
    observer = Observer()
    observer.observe(body, model="m")
    (line,) = observer.lines().usages
    sent = validated(UsageBody, exact_json.loads(exact_json.dumps(line_body(line)))).usage_line()
    read = native_usage(body, model="m")

    names = ("tokens", "inconsistent", "reported_cost_usd", "provider", "service_tier")
    assert [getattr(sent, name) for name in names] == [getattr(read, name) for name in names]


def test_merged_lines_keep_their_totals_and_costs() -> None:
    told = [ModelUsage("m", 1, 2, total_tokens=5, reported_cost_usd=Decimal("0.1"))] * 60
    untold = [ModelUsage("m", 1, 2)] * 60

    assert merged([*told, *untold]) == [
        ModelUsage("m", 60, 120, total_tokens=300, reported_cost_usd=Decimal(6)),
        ModelUsage("m", 60, 120),
    ]


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "input_tokens", "usage", "x"]), st.none() | st.booleans() | st.text()
    )
)
def test_invalid_usage_does_not_break_an_observed_stream(usage: dict[str, Any]) -> None:
    """Unreadable usage becomes an unpriced line, or nothing if the item is not a reply; the host's stream never fails."""
    observer = Observer()
    known = observer.observe_chunk(usage)

    lines = observer.lines()
    assert lines.usages == ([ModelUsage("unknown")] if lines.unread else [])
    assert known or not lines.unread


@pytest.mark.parametrize("wrong", ["5", True, -1, 1.5, 10**9 + 1])
def test_unreadable_usage_is_refused_and_its_field_named(wrong: Any) -> None:
    with pytest.raises(UnreadableReplyError, match="input_tokens must be a whole number"):
        reading_of({"usage": {"prompt_tokens": wrong}})


def test_a_use_of_an_unnamed_model_is_settled() -> None:
    """It becomes a line of the estimated model, or of the model `unknown`, which the gateway keeps unpriced."""
    bedrock = {"output": {}, "usage": {"inputTokens": 10, "outputTokens": 4}}
    told, estimated, named = Observer(), Observer(), Observer()
    told.observe(bedrock)
    estimated.observe(bedrock)
    named.observe(bedrock, model="amazon.nova-pro-v1:0")

    assert told.lines() == Lines([ModelUsage("unknown", 10, 4)], estimated=False)
    assert estimated.lines([ModelUsage("amazon.nova-lite-v1:0", 5)]).usages == [
        ModelUsage("amazon.nova-lite-v1:0", 10, 4)
    ]
    assert named.lines().usages == [ModelUsage("amazon.nova-pro-v1:0", 10, 4)]


def test_a_bedrock_stream_is_read_from_its_last_event_and_estimated_until_then() -> None:
    events: list[dict[str, Any]] = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "la"}}},
        {"contentBlockDelta": {"delta": {"text": "la"}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 4}, "metrics": {"latencyMs": 1}}},
    ]
    whole, broken = Observer(), Observer()
    for event in events:
        whole.observe(event, model="nova")
    for event in events[:-1]:
        broken.observe(event, model="nova")

    assert whole.lines() == Lines([ModelUsage("nova", 10, 4)], estimated=False)
    assert broken.lines() == Lines([ModelUsage("nova", 0, 2)], estimated=True)


@dataclass
class RunUsage:
    """The format of pydantic-ai's usage object."""

    input_tokens: int = 100
    output_tokens: int = 20
    cache_read_tokens: int = 60
    details: dict[str, int] = field(default_factory=lambda: {"reasoning_tokens": 8})


class CallableUsage(RunUsage):
    """In newer versions of pydantic-ai `usage` is a property and calling it is deprecated; some hosts turn warnings into errors."""

    def __call__(self) -> RunUsage:
        raise DeprecationWarning("`usage` is a property")


class AgentRun:
    """The format of pydantic-ai's result of a run."""

    def __init__(self, usage: Any) -> None:
        self.usage = usage

    @staticmethod
    def of_method() -> RunUsage:
        return RunUsage()

    def all_messages(self) -> list[Any]:
        return []


@pytest.mark.parametrize("usage", [RunUsage(), CallableUsage(), AgentRun.of_method])
def test_the_usage_of_a_run_is_read_from_a_method_and_from_a_property(usage: Any) -> None:
    observer = Observer()
    observer.observe(AgentRun(usage), model="gpt-5")

    more = {"cache_read_tokens": 60, "output_reasoning_tokens": 8}
    assert observer.lines().usages == [ModelUsage("gpt-5", 100, 20, more=more)]


def test_an_object_that_is_a_dataclass_is_read() -> None:
    observer = Observer()
    observer.observe(RunUsage(), model="gpt-5")

    more = {"cache_read_tokens": 60, "output_reasoning_tokens": 8}
    assert observer.lines().usages == [ModelUsage("gpt-5", 100, 20, more=more)]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("Hello", "a str is not a reply"),
        (object(), "a object is not a reply"),
        ({"foo": 1, "bar": 2}, "no usage was found in a dict with foo, bar"),
        ({}, "with nothing"),
    ],
)
def test_an_object_that_is_not_a_reply_is_refused_and_its_type_named(reply: Any, message: str) -> None:
    """Ignoring it silently would leave the use uncharged."""
    observer = Observer()
    with pytest.raises(UnreadableReplyError, match=message):
        observer.observe(reply)

    assert observer.empty


def test_two_concurrent_streams_are_kept_apart() -> None:
    """Anthropic's later events do not name the message they belong to."""
    whole = Observer()
    one, other = Observer(), Observer()
    for observer, name in ((one, "a"), (other, "b")):
        message = {"id": name, "model": name, "usage": {"input_tokens": 10, "output_tokens": 1}}
        observer.observe({"type": "message_start", "message": message})
    one.observe({"type": "message_delta", "usage": {"output_tokens": 5}})
    other.observe({"type": "message_delta", "usage": {"output_tokens": 7}})
    whole.merge(one)
    whole.merge(other)

    assert whole.lines() == Lines([ModelUsage("a", 10, 5), ModelUsage("b", 10, 7)], estimated=False)


def test_a_response_stream_is_read_from_its_last_event() -> None:
    observer = Observer()
    observer.observe({"type": "response.created", "response": {"id": "r", "model": "gpt-5", "usage": None}})
    observer.observe({"type": "response.output_text.delta", "delta": "la"})
    assert not observer.empty
    usage = {"input_tokens": 10, "output_tokens": 4}
    observer.observe({"type": "response.completed", "response": {"id": "r", "model": "gpt-5", "usage": usage}})

    assert observer.lines() == Lines([ModelUsage("gpt-5", 10, 4)], estimated=False)


def test_the_growing_totals_of_a_gemini_stream_count_once() -> None:
    observer = Observer()
    for output in (3, 9):
        counts = {"promptTokenCount": 10, "candidatesTokenCount": output}
        observer.observe({"responseId": "g", "modelVersion": "gemini-2.5-flash", "usageMetadata": counts})

    assert observer.lines() == Lines([ModelUsage("gemini-2.5-flash", 10, 9)], estimated=False)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=250))
def test_merging_lines_preserves_their_sums(calls: list[tuple[str, int, int]]) -> None:
    """A settlement has at most 100 lines; an agent may call a model more often."""
    lines = [ModelUsage(model, given_, came, more={"cache_read_tokens": given_ // 2}) for model, given_, came in calls]
    sent = merged(lines)

    assert len(sent) <= LINES_LIMIT
    assert _sums(sent) == _sums(lines)


def _sums(lines: list[ModelUsage]) -> dict[str | None, tuple[int, int, int]]:
    sums: dict[str | None, tuple[int, int, int]] = {}
    for line in lines:
        came, went, read = sums.get(line.model, (0, 0, 0))
        cached = line.more.get("cache_read_tokens", 0)
        sums[line.model] = (came + line.input_tokens, went + line.output_tokens, read + cached)
    return sums


@settings(deadline=None)
@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_credits_pass_json_without_a_float(credits: Decimal) -> None:
    """Balances are not rounded to binary floating point."""
    back = exact_json.loads(exact_json.dumps({"credits": credits}))["credits"]

    assert back == credits
    assert isinstance(back, Decimal | int)


@pytest.mark.parametrize(
    "last",
    [
        {"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": "7"}},
        {"id": "c1", "object": "chat.completion", "model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": -1}},
    ],
)
def test_a_stream_whose_usage_cannot_be_read_is_estimated_once(last: dict[str, Any]) -> None:
    observer = Observer()
    observer.expect("gpt-4o", 1000)
    for word in ("one", "two", "three"):
        choices = [{"delta": {"content": word}}]
        observer.observe_chunk({"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices})
    observer.observe_chunk(last)
    lines = observer.lines([ModelUsage("gpt-4o", 500, 200)])

    assert lines.estimated
    assert [line.model for line in lines.usages] == ["gpt-4o"]
