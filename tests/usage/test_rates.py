"""Rate cards equal the prices of genai-prices for all models, at any time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.wire.published_prices import PriceSnapshot
from faregate.wire.rates import are_inconsistent

TODAY = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)
COUNTS = [
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("output_reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "cache_audio_read_tokens"),
    *("input_image_tokens", "audio_seconds", "input_audio_seconds", "web_searches", "input_characters"),
]

ours = PriceSnapshot()
theirs = get_snapshot()


def _is_known(provider: str, model: str) -> bool:
    """Exclude the few ids of the data that their own clauses do not match."""
    try:
        theirs.find_provider_model(model, None, provider, None)
    except LookupError:
        return False
    return True


@cache
def _models() -> list[tuple[str, str]]:
    """Return provider and id of each model whose price both can tell."""
    return [named for named in ours.models() if _is_known(*named)]


DIRECTED_SECONDS = {"input_audio_seconds", "output_audio_seconds"}
"""Parts of `audio_seconds` that no provider reports without it; on their own they are parked as contradictory."""

counts = st.dictionaries(
    st.sampled_from([name for name in COUNTS if name not in DIRECTED_SECONDS]), st.integers(1, 400_000), max_size=6
).map(lambda drawn: {**drawn, "input_tokens": drawn.get("input_tokens", 0) + 200_000})
moments = st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
tiers = st.sampled_from([None, "flex", "priority", "batch", "fast", "unheard-of"])


def _genai_price(model: str, provider: str, tier: str | None, at: datetime, used: dict[str, int]) -> Any:
    """Return (total, input, output), or the text of the error."""
    words = {"batch": {"processing": "batch"}, "fast": {"speed": "fast"}}
    context = {"service_tier": tier, **words.get(tier, {})} if tier else None
    try:
        found = theirs.calc(Usage(**used), model, provider, None, at, context)
    except ValueError as error:
        return str(error)
    return found.total_price, found.input_price, found.output_price


@pytest.mark.parametrize("used", [{"input_tokens": 300_000, "output_tokens": 1234}, {"input_tokens": 7}])
def test_every_model_of_the_snapshot_costs_the_same_as_in_genai_prices(used: dict[str, int]) -> None:
    for provider, model in _models():
        found = ours.find(model, provider=provider, service_tier=None, at=TODAY)
        assert found is not None, (provider, model)
        cost = found.card.cost(used)
        if cost is not None:
            assert (cost.total, cost.input, cost.output) == _genai_price(model, provider, None, TODAY, used), model
    assert len(_models()) > 2200


@settings(max_examples=1_500 if settings.get_current_profile_name() == "long" else 400, deadline=None)
@given(st.deferred(lambda: st.sampled_from(_models())), tiers, moments, counts)
def test_any_counts_at_any_time_and_tier_cost_the_same_as_in_genai_prices(
    named: tuple[str, str], tier: str | None, at: datetime, used: dict[str, int]
) -> None:
    provider, model = named
    found = ours.find(model, provider=provider, service_tier=tier, at=at)
    assert found is not None
    used = {name: count for name, count in used.items() if name in found.card.covered - found.card.mute}
    priced = found.card.cost(used)
    expected = _genai_price(model, provider, tier, at, used)

    if isinstance(expected, str):
        assert priced is None or "reported overlapping usage keys" in expected
        return
    if priced is None:
        assert any(
            used[part] > used.get(rate.count, 0) for rate in found.card.rates for part in used.keys() & rate.includes
        )
        return
    assert priced.total == expected[0]
    if (
        "audio_seconds" not in used
    ):  # Faregate counts seconds of either direction in neither, genai-prices counts them in the input
        assert (priced.input, priced.output) == expected[1:]


def test_count_without_a_price_is_not_free() -> None:
    found = ours.find("gpt-4o", provider="openai", service_tier=None, at=TODAY)

    assert found is not None
    assert found.card.cost({"input_tokens": 1000, "audio_seconds": 60}) is None


@pytest.mark.parametrize(
    ("model", "provider", "owner", "known"),
    [
        ("gpt-4o", None, "openai", "gpt-4o"),
        ("GPT-4o", "OpenAI", "openai", "gpt-4o"),
        ("openai/gpt-4o", None, "openai", "gpt-4o"),
        ("openai/gpt-4o", "openai", "openai", "gpt-4o"),
        ("openai:gpt-4o", None, "openai", "gpt-4o"),
        ("gpt-4o", "azure", "azure", "gpt-4o"),
        ("anthropic/claude-sonnet-4-5", None, "anthropic", "claude-sonnet-4-5"),
        (
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            None,
            "aws",
            "regional.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        ("gemini-2.5-pro", "gcp.vertex_ai", "google", "gemini-2.5-pro"),
        ("vertex_ai/gemini-2.5-pro", None, "google", "gemini-2.5-pro"),
        ("text-embedding-3-small", None, "openai", "text-embedding-3-small"),
    ],
)
def test_models_are_found_by_the_names_used_in_frameworks(
    model: str, provider: str | None, owner: str, known: str
) -> None:
    found = ours.find(model, provider=provider, service_tier=None, at=TODAY)

    assert found is not None
    assert (found.provider, found.model) == (owner, known)


@pytest.mark.parametrize(("model", "provider"), [("no-such-model", None), ("no/such", None), ("gpt-4o", "nobody")])
def test_unknown_model_has_no_price(model: str, provider: str | None) -> None:
    assert ours.find(model, provider=provider, service_tier=None, at=TODAY) is None


def test_invented_model_names_do_not_fill_the_cache() -> None:
    snapshot = PriceSnapshot()
    for number in range(10_050):
        snapshot.find(f"made-up/{number}", provider="nobody", service_tier=None, at=TODAY)

    assert len(snapshot._schedules) <= 10_000
    assert snapshot.find("gpt-4o", provider=None, service_tier=None, at=TODAY) is not None


def test_prices_depend_on_the_hour_for_providers_with_hourly_prices() -> None:
    costs = set[Decimal]()
    for hour in range(24):
        at = datetime(2025, 3, 1, tzinfo=UTC) + timedelta(hours=hour)
        found = ours.find("deepseek-chat", provider="deepseek", service_tier=None, at=at)
        assert found is not None
        cost = found.card.cost({"input_tokens": 10**6})
        assert cost is not None
        costs.add(cost.total)

    assert len(costs) == 2


@pytest.mark.parametrize(
    ("used", "inconsistent"),
    [
        ({"input_tokens": 100, "cache_read_tokens": 100}, False),
        ({"input_tokens": 100, "cache_read_tokens": 101}, True),
        ({"input_tokens": 100, "cache_read_tokens": 60, "cache_write_tokens": 60}, True),
        ({"output_tokens": 5, "output_reasoning_tokens": 6}, True),
        ({"input_tokens": 5, "input_audio_tokens": 6}, True),
        ({"cache_write_tokens": 5, "cache_write_1h_tokens": 6, "input_tokens": 9}, True),
        ({}, False),
    ],
)
def test_parts_above_their_total_are_inconsistent(used: dict[str, int], *, inconsistent: bool) -> None:
    assert are_inconsistent(used) is inconsistent


def test_contradicting_counts_are_priced_part_by_part_only_on_demand() -> None:
    found = ours.find("claude-sonnet-4-5", provider=None, service_tier=None, at=TODAY)
    assert found is not None
    used = {"input_tokens": 10, "cache_read_tokens": 1000}
    by_parts = found.card.cost(used, by_parts=True)

    assert found.card.cost(used) is None
    assert by_parts == found.card.cost({"input_tokens": 1000, "cache_read_tokens": 1000})
