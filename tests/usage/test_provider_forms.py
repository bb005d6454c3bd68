"""Forms of provider usage: the original body, what is read from it, and its cost."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from faregate.usage.credits_process.bodies import EndMultimodelBody, UsageBody, validated
from faregate.usage.credits_process.provider_lines import native_usage, reduced_usage
from faregate.usage.pricing.line import PriceBook
from faregate.usage.values import ModelUsage, PricingPolicy
from faregate.wire import exact_json
from faregate.wire.provider_usage import FORMS
from faregate.wire.provider_usage.forms import form_of
from support import native_forms as forms

AT = datetime(2026, 11, 28, tzinfo=UTC)
BOOK = PriceBook(PricingPolicy(margin_percent=Decimal(0)))
CACHED = {"input_tokens": 10_000, "output_tokens": 500, "cache_read_tokens": 8_000}
CLAUDE = {"input_tokens": 160, "output_tokens": 7, "cache_read_tokens": 100, "cache_write_tokens": 50}

READ: list[tuple[str, dict[str, int], str | None]] = [
    ("GEMINI_LIVE", {"input_tokens": 200, "output_tokens": 4700}, "0.01181"),
    ("XAI", {"input_tokens": 30, "output_tokens": 800, "output_reasoning_tokens": 500}, "0.01209"),
    ("VERCEL_4", {**CACHED, "output_reasoning_tokens": 200}, "0.0085"),
    ("VERCEL_4_ANTHROPIC", CLAUDE, "0.0003525"),
    ("VERCEL_4_BEDROCK", CLAUDE, None),
    ("VERCEL_4_DEEPSEEK", CACHED, None),
    ("VERCEL_5_ANTHROPIC", CLAUDE, "0.0003525"),
    ("VERCEL_5_CACHED_BESIDE", {"input_tokens": 110, "output_tokens": 7, "cache_read_tokens": 100}, None),
    ("VERCEL_5", CACHED, "0.0085"),
    ("VERCEL_6", {**CACHED, "output_reasoning_tokens": 200}, "0.0085"),
    ("VERCEL_PROVIDER", {**CACHED, "output_reasoning_tokens": 200}, "0.0085"),
    ("OPENINFERENCE", {**CACHED, "output_reasoning_tokens": 200}, "0.0085"),
    ("OPENAI_AGENTS", {**CACHED, "output_reasoning_tokens": 200}, "0.0085"),
    ("OPENLLMETRY", CLAUDE, "0.0003525"),
    ("LANGCHAIN_ANTHROPIC", {**CLAUDE, "cache_write_1h_tokens": 20}, "0.0003975"),
    ("ANTHROPIC", {**CLAUDE, "cache_write_1h_tokens": 20, "web_searches": 2}, "0.0203975"),
    ("BEDROCK_CACHE", {**CLAUDE, "cache_write_1h_tokens": 20}, None),
    ("OPENAI_CHAT_IMAGE", {"input_tokens": 1000, "output_tokens": 300, "input_image_tokens": 765}, "0.0055"),
    (
        "OPENAI_IMAGES",
        {"input_tokens": 60, "output_tokens": 1056, "input_image_tokens": 40, "output_image_tokens": 1056},
        "0.04274",
    ),
    ("VERCEL_4_STEPS", CLAUDE, "0.0003525"),
    (
        "OPENAI_RESPONSES_IMAGE",
        {"input_tokens": 60, "output_tokens": 1056, "input_image_tokens": 40, "output_image_tokens": 1056},
        "0.04274",
    ),
    (
        "OPENAI_REALTIME",
        {
            "input_tokens": 100,
            "output_tokens": 40,
            "cache_read_tokens": 30,
            "input_audio_tokens": 60,
            "output_audio_tokens": 30,
            "cache_audio_read_tokens": 20,
        },
        None,
    ),
    ("OPENAI_WEB_SEARCH", {"input_tokens": 1000, "output_tokens": 300, "web_searches": 2}, "0.02425"),
    ("OPENROUTER", {"input_tokens": 194, "output_tokens": 2}, None),
    ("COHERE_1", {"input_tokens": 5, "output_tokens": 418}, None),
    ("COHERE_2", {"input_tokens": 5, "output_tokens": 418}, None),
    ("COHERE_RERANK", {"rerank_searches": 1}, None),
    ("OLLAMA", {"input_tokens": 26, "output_tokens": 259}, None),
    (
        "PYDANTIC_AI_RUN",
        {
            "input_tokens": 1000,
            "output_tokens": 300,
            "cache_read_tokens": 800,
            "cache_write_tokens": 50,
            "input_audio_tokens": 10,
            "cache_audio_read_tokens": 5,
            "output_reasoning_tokens": 200,
        },
        None,
    ),
    ("TRANSCRIPTION", {"audio_seconds": 13}, None),
]


def read(name: str) -> ModelUsage:
    body = exact_json.loads(exact_json.dumps(forms.FORMS[name]))
    try:
        return native_usage(body)
    except Exception:  # noqa: BLE001  the usage alone names no model
        return native_usage(body, model="gpt-5")


@pytest.mark.parametrize(("name", "tokens", "cost"), READ)
def test_counts_and_cost_of_each_form(name: str, tokens: dict[str, int], cost: str | None) -> None:
    line = read(name)

    assert line.tokens == tokens
    assert not line.inconsistent
    if cost is not None:
        assert BOOK.line(line, at=AT).provider_cost_usd == Decimal(cost)


@pytest.mark.parametrize("name", forms.FORMS)
def test_queued_body_has_the_same_usage_and_no_content(name: str) -> None:
    told, named = forms.FORMS[name], {"model": "m"}
    left = exact_json.loads(exact_json.dumps(reduced_usage(told)))
    before, after = native_usage(told, **named), native_usage(left, **named)

    assert "secret" not in str(left)
    assert (after.tokens, after.inconsistent) == (before.tokens, before.inconsistent)
    assert (after.service_tier, after.reported_cost_usd) == (before.service_tier, before.reported_cost_usd)


def test_every_form_has_a_body_here_and_a_row_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/provider-usage.md").read_text()
    seen = {form.name for body in forms.FORMS.values() for form in map(form_of, _objects(body)) if form is not None}

    assert seen == {form.name for form in FORMS}
    assert [form.name for form in FORMS if f"| {form.name} |" not in page] == []


def _objects(body: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [item for value in body.values() if isinstance(value, dict) for item in _objects(value)]
    return [body, *inner]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 200, "completion_tokens": 0, "total_tokens": 4900},
        {"input_tokens": 200, "output_tokens": 100, "total_tokens": 4900},
        {"promptTokenCount": 200, "totalTokenCount": 4900},
        {"inputTokens": 200, "outputTokens": 5, "totalTokens": 4900},
        {"llm.token_count.prompt": 200, "llm.token_count.total": 4900},
        {"gen_ai.usage.input_tokens": 200, "llm.usage.total_tokens": 4900},
    ],
)
def test_unread_tokens_of_a_total_are_charged_as_output_and_flagged(usage: dict[str, Any]) -> None:
    line = native_usage(usage, model="gemini-2.5-flash")

    assert line.tokens == {"input_tokens": 200, "output_tokens": 4700}
    assert line.inconsistent
    assert line.raw == usage
    assert BOOK.line(line, at=AT).provider_cost_usd == Decimal("0.01181")


def test_total_below_the_counts_is_flagged_and_reduces_nothing() -> None:
    line = native_usage({"prompt_tokens": 200, "completion_tokens": 50, "total_tokens": 100}, model="gpt-5")

    assert (line.tokens, line.inconsistent) == ({"input_tokens": 200, "output_tokens": 50}, True)


@pytest.mark.parametrize("name", ["input_audio_tokens", "output_audio_tokens"])
def test_audio_without_a_price_for_audio_is_parked_and_not_priced_as_text(name: str) -> None:
    counts = {"input_tokens": 1000, "output_tokens": 1000}

    assert BOOK.line(ModelUsage("gpt-5", tokens={**counts, name: 500}), at=AT).unpriced
    assert not BOOK.line(ModelUsage("gpt-realtime", tokens={**counts, name: 500}), at=AT).unpriced


@pytest.mark.parametrize(
    "path", ["models/", "publishers/google/models/", "projects/p/locations/l/publishers/google/models/"]
)
def test_model_with_a_google_path_costs_the_same_as_the_model(path: str) -> None:
    counts = {"input_tokens": 1000, "output_tokens": 10}
    bare, long = (BOOK.line(ModelUsage(f"{before}gemini-2.5-flash", tokens=counts), at=AT) for before in ("", path))

    assert (long.provider_cost_usd, long.provider) == (bare.provider_cost_usd, bare.provider)
    assert not long.unpriced


def test_reported_cost_is_stored_and_used_only_if_the_operator_allows_it() -> None:
    line = read("OPENROUTER")
    allowing = PriceBook(PricingPolicy(margin_percent=Decimal(0), use_reported_cost=True))
    known = ModelUsage("gpt-5", tokens={"input_tokens": 10_000}, reported_cost_usd=Decimal("0.001"))
    dearer = ModelUsage("gpt-5", tokens={"input_tokens": 10_000}, reported_cost_usd=Decimal("0.05"))

    assert line.reported_cost_usd == Decimal("0.00095")
    assert line.raw["cost"] == Decimal("0.00095")
    assert BOOK.line(line, at=AT).unpriced
    found = allowing.line(line, at=AT)
    assert (found.provider_cost_usd, found.credits, found.price_version) == (
        Decimal("0.00095"),
        Decimal("0.095"),
        "reported",
    )
    assert [allowing.line(each, at=AT).provider_cost_usd for each in (known, dearer)] == [
        Decimal("0.0125"),
        Decimal("0.05"),
    ]
    assert BOOK.line(dearer, at=AT).provider_cost_usd == Decimal("0.0125")


def test_requested_and_served_tier_are_both_stored() -> None:
    reply = {"model": "gpt-5", "service_tier": "default", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    line = native_usage(reply, service_tier="priority")

    assert line.service_tier == "priority"
    assert (line.raw["service_tier"], line.raw["requested_service_tier"]) == ("default", "priority")


def test_form_without_any_count_is_refused() -> None:
    """Otherwise it would be settled at 0 without notice."""
    empty: list[dict[str, Any]] = [
        {"server_tool_use": {}},
        {"prompt_tokens": None},
        {"prompt_tokens_details": {}},
        {"billed_units": {}},
    ]
    for usage in empty:
        with pytest.raises(ValueError, match="no token counts of a known form"):
            UsageBody.model_validate({"ai_model": "gpt-5", "usage": usage})


def test_complete_response_settles_the_same_by_http_and_by_queue() -> None:
    who = {"user_id": "ada", "feature_endpoint_value": "chat"}
    body = validated(EndMultimodelBody, {**who, "usages": [{"usage": forms.OPENAI_WEB_SEARCH}]})
    queued = validated(EndMultimodelBody, exact_json.loads(exact_json.dumps(body.message("k"))))

    assert body.request("k").usages[0].tokens["web_searches"] == 2
    assert queued.request("k").usages[0].tokens == body.request("k").usages[0].tokens
