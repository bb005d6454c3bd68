"""Bodies that determine prices: every documented count is charged, and unknown names are refused."""

from typing import Any

import pytest
from genai_prices.units import _get_registry
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from faregate.core.errors import InvalidError
from faregate.usage.credits_process.bodies import EndBody, EndMultimodelBody, StartBody, UsageBody, validated
from faregate.usage.credits_process.count_fields import LineFields
from faregate.usage.events.parsing import parse_events
from faregate.wire.count_names import ALIASES, COUNT_NAMES, EVERY_COUNT

WHO: dict[str, Any] = {"user_id": "ada", "feature_endpoint_value": "chat"}
LINE: dict[str, Any] = {"ai_model": "gpt-4o"}


def flat(**fields: Any) -> EndBody:
    return validated(EndBody, {**WHO, **LINE, **fields})


def test_names_of_counts_are_those_with_prices() -> None:
    assert set(_get_registry().units) - {"requests"} == EVERY_COUNT
    assert set(COUNT_NAMES) <= EVERY_COUNT
    assert set(COUNT_NAMES) == {name for name in LineFields.model_fields if name in EVERY_COUNT}


@pytest.mark.parametrize("name", COUNT_NAMES)
def test_every_documented_count_is_read_flat_and_on_a_line(name: str) -> None:
    line = UsageBody.model_validate({**LINE, name: 7})

    assert line.usage_line().tokens == {name: 7}
    assert flat(**{name: 7}).request("k").usages == (line.usage_line(),)


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_totals_accept_the_names_of_openai(alias: str, name: str) -> None:
    assert flat(**{alias: 7}).request("k").usages[0].tokens == {name: 7}
    assert UsageBody.model_validate({**LINE, alias: 7, name: 7}).usage_line().tokens == {name: 7}
    with pytest.raises(InvalidError, match="two names of one count"):
        flat(**{alias: 7, name: 8})


WRONG = [
    ("inputTokens", "input_tokens"),
    ("outputTokens", "output_tokens"),
    ("output_reasoning_token", "output_reasoning_tokens"),
    ("reasoning_tokens", "output_reasoning_tokens"),
    ("cached_tokens", "cache_read_tokens"),
    ("cachedInputTokens", "cache_read_tokens"),
    ("cache_write_1h_token", "cache_write_1h_tokens"),
    ("audio_secs", None),
    ("audio_second", "audio_seconds"),
    ("seconds", "audio_seconds"),
    ("web_search", "web_searches"),
    ("webSearches", "web_searches"),
    ("input_tokns", "input_tokens"),
    ("promptTokens", "input_tokens"),
    ("total_token", "total_tokens"),
    ("cost", "reported_cost_usd"),
    ("serviceTier", "service_tier"),
]


@pytest.mark.parametrize(("wrong", "right"), WRONG)
def test_line_refuses_unknown_fields_and_suggests_the_right_name(wrong: str, right: str | None) -> None:
    suggested = f"{wrong} is not known here" + (f"; did you mean {right}?" if right else "")

    bodies: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (EndMultimodelBody, {**WHO, "usages": [{**LINE, "input_tokens": 1, wrong: 5}]}),
        (StartBody, {**WHO, "estimated_usages": [{**LINE, "input_tokens": 1, wrong: 5}]}),
    ]
    for kind, wrapped in bodies:
        with pytest.raises(InvalidError) as refused:
            validated(kind, wrapped)
        assert suggested in refused.value.detail


@pytest.mark.parametrize(("wrong", "right"), [(w, r) for w, r in WRONG if r is not None])
def test_a_flat_settlement_refuses_what_looks_like_a_count(wrong: str, right: str) -> None:
    with pytest.raises(InvalidError, match=f"{wrong} is not known here; did you mean {right}"):
        flat(**{wrong: 5})


@pytest.mark.parametrize(
    "extra", ["trace_id", "requestId", "app", "session", "client_version", "notes", "is_final", "locale"]
)
def test_other_fields_of_the_caller_are_ignored_outside_the_line(extra: str) -> None:
    """Existing callers send such fields; they do not affect the price."""
    assert flat(**{extra: "x"}, input_tokens=1).request("k") == flat(input_tokens=1).request("k")


@pytest.mark.parametrize("name", ["input_tokens", "prompt_tokens", "usage", "web_searches", "inputTokens"])
def test_counts_outside_the_lines_are_refused_with_a_hint(name: str) -> None:
    line = {**LINE, "input_tokens": 1}
    with pytest.raises(InvalidError, match=r"usages"):
        validated(EndMultimodelBody, {**WHO, "usages": [line], name: 5})
    with pytest.raises(InvalidError, match=r"estimated_usages"):
        validated(StartBody, {**WHO, "estimated_usages": [line], name: 5})


@pytest.mark.parametrize(
    ("wrong", "right"), [("usageKey", "usage_key"), ("usage_keys", "usage_key"), ("organization", "organization_id")]
)
def test_misspelt_name_that_affects_payer_or_idempotency_is_refused(wrong: str, right: str) -> None:
    with pytest.raises(InvalidError, match=f"did you mean {right}"):
        flat(**{wrong: "x"}, input_tokens=1)


def test_line_with_a_model_and_no_counts_is_refused() -> None:
    with pytest.raises(InvalidError, match="needs its counts"):
        flat()
    with pytest.raises(InvalidError, match="needs its counts"):
        validated(EndMultimodelBody, {**WHO, "usages": [LINE]})


@pytest.mark.parametrize("said", [{"input_tokens": 0}, {"input_tokens": 0, "output_tokens": 0}, {"output_tokens": 0}])
def test_zero_is_a_valid_count(said: dict[str, int]) -> None:
    body = flat(**said)

    assert body.request("k").usages[0].tokens == {"input_tokens": 0}
    assert validated(EndBody, body.message("k")).request("k") == body.request("k")


def test_tokens_of_a_total_beyond_the_counts_are_output_and_flagged() -> None:
    line = UsageBody.model_validate(
        {**LINE, "input_tokens": 200, "output_tokens": 0, "total_tokens": 4900}
    ).usage_line()
    right = UsageBody.model_validate(
        {**LINE, "input_tokens": 200, "output_tokens": 4, "total_tokens": 204}
    ).usage_line()

    assert (line.tokens, line.inconsistent) == ({"input_tokens": 200, "output_tokens": 4700}, True)
    assert line.raw == {"input_tokens": 200, "output_tokens": 0, "total_tokens": 4900}
    assert (right.inconsistent, right.raw) == (False, None)


def test_searches_are_added_to_the_providers_report() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2}

    assert flat(usage=usage, web_searches=3).request("k").usages[0].tokens == {
        "input_tokens": 10,
        "output_tokens": 2,
        "web_searches": 3,
    }
    with pytest.raises(InvalidError, match="not both"):
        flat(usage=usage, output_tokens=3)


@given(st.text(max_size=200) | st.sampled_from(COUNT_NAMES))
def test_names_of_any_form_are_accepted_ignored_or_refused_by_name(name: str) -> None:
    try:
        counted = flat(**{"input_tokens": 1, name: 1}).request("k").usages[0].tokens
    except InvalidError as refusal:
        assert refusal.param in {"body", name}  # noqa: PT017  either is right
    else:
        meant = ALIASES.get(name, name)
        assert counted == ({meant: 1, "input_tokens": 1} if meant in COUNT_NAMES else {"input_tokens": 1})


def test_event_accepts_aliases_of_token_counts_and_refuses_unknown_fields() -> None:
    parsed = parse_events(
        [
            {"user_id": "a", "service": "s", "prompt_tokens": 5, "completion_tokens": 2},
            {"user_id": "a", "service": "s", "inputTokens": 5},
            {"user_id": "a", "service": "s", "input_tokens": 5},
        ]
    )

    assert dict(parsed.others) == {
        0: {"user_id": "a", "service": "s", "input_tokens": 5, "output_tokens": 2},
        2: {"user_id": "a", "service": "s", "input_tokens": 5},
    }
    assert {place: error.detail for place, error in parsed.errors.items()} == {
        1: "inputTokens is not known here; did you mean input_tokens?"
    }
