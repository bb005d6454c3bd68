"""Usage objects of providers and frameworks, read in their original form."""

from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from faregate.core.errors import InvalidError
from faregate.usage.credits_process.provider_lines import native_usage, reduced_usage
from support.native_forms import (
    ANTHROPIC,
    BEDROCK,
    GEMINI,
    LANGCHAIN,
    LITELLM,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    OTEL_NEW,
    OTEL_OLD,
    PYDANTIC_AI,
)


@pytest.mark.parametrize(
    ("body", "read", "written", "cached", "made", "reasoning"),
    [
        (OPENAI_CHAT, 1000, 300, 800, None, 200),
        (OPENAI_CHAT["usage"], 1000, 300, 800, None, 200),
        (OPENAI_RESPONSES, 1000, 300, 800, None, 200),
        (ANTHROPIC, 160, 7, 100, 50, None),
        (ANTHROPIC["usage"], 160, 7, 100, 50, None),
        (GEMINI, 1000, 300, 600, None, 200),
        (BEDROCK, 160, 7, 100, 50, None),
        (LITELLM, 160, 7, 100, 50, None),
        (LANGCHAIN, 1000, 300, 800, 50, 200),
        (PYDANTIC_AI, 1000, 300, 800, None, 200),
        (OTEL_NEW, 1000, 300, 800, 50, None),
        (OTEL_OLD, 1000, 300, None, 50, None),
    ],
)
def test_every_form_is_read_as_totals_with_parts(
    body: Any, read: int, written: int, cached: int | None, made: int | None, reasoning: int | None
) -> None:
    tokens = native_usage(body, model="gpt-4o").tokens
    get = tokens.get

    assert (get("input_tokens"), get("output_tokens")) == (read, written)
    assert (get("cache_read_tokens"), get("cache_write_tokens")) == (cached, made)
    assert get("output_reasoning_tokens") == reasoning


@pytest.mark.parametrize(
    ("body", "provider", "flavour"),
    [
        (OPENAI_CHAT, "openai", "chat"),
        (OPENAI_RESPONSES, "openai", "responses"),
        (ANTHROPIC, "anthropic", "default"),
        (GEMINI, "google", "default"),
    ],
)
def test_genai_prices_reads_the_same_totals_and_parts(body: Any, provider: str, flavour: str) -> None:
    theirs = get_snapshot().extract_usage(body, provider_id=provider, api_flavor=flavour).usage._reported_values()
    ours = native_usage(body).tokens
    left_out = {"input_text_tokens", "cache_write_5m_tokens"}

    assert ours == {name: count for name, count in theirs.items() if count and name not in left_out}


def test_model_provider_and_tier_are_read_and_the_callers_values_win() -> None:
    found = native_usage(OPENAI_CHAT)
    telling = native_usage(OTEL_NEW)
    named = native_usage(ANTHROPIC, model="mine", provider="aws", service_tier="batch")

    assert (found.model, found.service_tier) == ("gpt-4o", "flex")
    assert (telling.model, telling.provider) == ("gpt-4o", "openai")
    assert (named.model, named.provider, named.service_tier) == ("mine", "aws", "batch")
    assert native_usage(GEMINI).model == "gemini-2.5-pro"
    assert native_usage(LANGCHAIN).model == "gpt-4o"


def test_audit_copy_contains_usage_and_no_content() -> None:
    payload = {"model": "m", "prompt_tokens": 1, "completion_tokens": 2, "messages": ["secret"], "id": "secret"}

    assert native_usage(payload).raw == {"prompt_tokens": 1, "completion_tokens": 2}


@pytest.mark.parametrize(
    "body",
    [
        *(OPENAI_CHAT, OPENAI_CHAT["usage"], OPENAI_RESPONSES, ANTHROPIC, GEMINI, BEDROCK, LITELLM, LANGCHAIN),
        *(PYDANTIC_AI, OTEL_NEW, OTEL_OLD, {"usage": {"seconds": 61}}),
        {"usage": {"input_tokens": 3, "output_tokens": 1, "server_tool_use": "none"}},
    ],
)
def test_reduced_body_is_read_the_same(body: Any) -> None:
    secrets = {"password": "canary", "note": "canary", "messages": ["canary"], "details": {"pin": 4711, "text": "x"}}
    usage = body.get("usage", {})
    told = {**secrets, **body, **({"usage": {**secrets, **usage}} if usage else {})}
    reduced = reduced_usage(told)
    named = {} if native_usage(body, model="?").model != "?" else {"model": "gpt-4o"}
    before, after = native_usage(told, **named), native_usage(reduced, **named)

    assert "canary" not in str(reduced)
    assert "4711" not in str(reduced)
    assert (after.tokens, after.model, after.provider) == (before.tokens, before.model, before.provider)
    assert (after.service_tier, after.inconsistent) == (before.service_tier, before.inconsistent)


def test_credential_in_place_of_a_name_is_refused() -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwx"
    found = native_usage({"model": "m", "custom_llm_provider": key, "service_tier": key, "usage": {"prompt_tokens": 1}})

    assert (found.provider, found.service_tier) == (None, None)
    with pytest.raises(InvalidError, match="ai_model"):
        native_usage({"model": key, "usage": {"prompt_tokens": 1}})


def test_contradictory_counts_are_kept_and_flagged() -> None:
    found = native_usage(
        {"model": "gpt-4o", "usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}}
    )

    assert found.inconsistent
    assert found.tokens == {"input_tokens": 5, "cache_read_tokens": 9}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"model": "m"}, "no token counts of a known form"),
        ({"usage": {"prompt_tokens": 1}}, "ai_model is required"),
        ({"model": "m", "usage": {"prompt_tokens": -1}}, "must be a whole number"),
        ({"model": "m", "usage": {"prompt_tokens": "5"}}, "must be a whole number"),
        ({"model": "m", "usage": {"prompt_tokens": True}}, "must be a whole number"),
    ],
)
def test_body_without_usage_is_refused(body: Any, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        native_usage(body)
