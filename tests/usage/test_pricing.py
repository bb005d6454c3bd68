"""Prices from tokens to credits: worked numbers, and properties that hold for all numbers."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.usage.pricing.line import Margins, PriceBook
from faregate.usage.pricing.overrides import PriceList
from faregate.usage.values import ModelUsage, PricingPolicy, UsageLine
from faregate.wire.money import credits_for
from faregate.wire.published_prices import PriceSnapshot

TODAY = datetime(2026, 11, 21, tzinfo=UTC)
PLAIN = PricingPolicy(margin_percent=Decimal(0))


def _line(model: str, at: datetime = TODAY, policy: PricingPolicy = PLAIN, **tokens: int) -> UsageLine:
    return PriceBook(policy).line(ModelUsage(model, tokens={k: v for k, v in tokens.items() if v}), at=at)


@pytest.mark.parametrize(
    ("model", "tokens", "usd"),
    [
        ("gpt-4o", (1000, 100), "0.0035"),
        ("claude-sonnet-4-5", (200_000, 0), "0.60"),
        ("claude-sonnet-4-5", (200_001, 0), "1.200006"),
        ("claude-sonnet-4-5", (300_000, 100_000), "4.05"),
        ("o3", (1000, 0), "0.002"),
    ],
)
def test_62_63_64_provider_costs(model: str, tokens: tuple[int, int], usd: str) -> None:
    line = _line(model, input_tokens=tokens[0], output_tokens=tokens[1])

    assert line.provider_cost_usd == Decimal(usd)


def test_64_prices_are_dated() -> None:
    assert _line("o3", at=datetime(2025, 6, 1, tzinfo=UTC), input_tokens=1000).provider_cost_usd == Decimal("0.01")


def test_65_cache_writes_have_their_price() -> None:
    line = _line("claude-3-7-sonnet", input_tokens=3 + 12_304, cache_write_tokens=12_304, output_tokens=550)

    assert line.provider_cost_usd == Decimal("0.054399")


def test_66_cached_tokens_are_part_of_the_input_and_charged_once() -> None:
    line = _line("claude-sonnet-4-5", input_tokens=1000, cache_write_tokens=700, cache_read_tokens=200)

    assert line.provider_cost_usd == Decimal("0.002985")


def test_73_rounding_up_to_the_quantum_per_line() -> None:
    policy = PricingPolicy(Decimal("0.00001"), Decimal(25), Decimal(1))
    line = _line("gpt-4o", policy=policy, input_tokens=1000, output_tokens=100)

    assert line.credits == 438
    assert credits_for(Decimal("0.0035"), margin_percent=Decimal(0), policy=policy) == 350


@pytest.mark.parametrize(
    ("feature", "model", "provider", "expected"),
    [
        (None, None, None, "10"),
        (None, None, "30", "30"),
        (None, "5", "30", "5"),
        ("7", "5", "30", "7"),
        ("0", "5", "30", "0"),
        (None, "0", "30", "0"),
        (None, None, "0", "0"),
        ("-100", None, None, "-100"),
    ],
)
def test_72_most_specific_margin_applies_and_an_explicit_zero_counts(
    feature: str | None, model: str | None, provider: str | None, expected: str
) -> None:
    margins = Margins(
        models={"gpt-4o": Decimal(model)} if model else {}, providers={"openai": Decimal(provider)} if provider else {}
    )
    book = PriceBook(PricingPolicy(margin_percent=Decimal(10)), PriceList(margins=margins))
    line = book.line(
        ModelUsage("gpt-4o", tokens={"input_tokens": 1000}),
        at=TODAY,
        feature_margin=Decimal(feature) if feature else None,
    )

    assert line.margin_percent == Decimal(expected)
    assert line.credits == Decimal("0.25") * (100 + Decimal(expected)) / 100


def test_74_unknown_model_is_unpriced_and_never_free() -> None:
    line = _line("nobody/knows-this", input_tokens=1000)

    assert (line.unpriced, line.provider_cost_usd, line.credits, line.price_version) == (True, None, 0, "unpriced")


def test_a_price_of_zero_for_tokens_used_is_unpriced() -> None:
    assert _line("whisper-1", input_audio_tokens=1000, input_tokens=1000).unpriced


def test_contradictory_counts_are_unpriced() -> None:
    assert _line("claude-sonnet-4-5", input_tokens=10, cache_read_tokens=500).unpriced


costs = st.decimals(min_value=0, max_value=10**6, places=12)
margins = st.decimals(min_value=-100, max_value=1000, places=4)
policies = st.builds(
    PricingPolicy,
    credit_price_usd=st.decimals(min_value=Decimal("0.000001"), max_value=100, places=6),
    margin_percent=st.just(Decimal(0)),
    quantum=st.sampled_from([Decimal("0.000001"), Decimal("0.01"), Decimal(1), Decimal(5)]),
)


@given(costs, margins, policies)
def test_rounding_is_up_to_the_quantum_and_less_than_one_quantum(
    cost: Decimal, margin: Decimal, policy: PricingPolicy
) -> None:
    from fractions import Fraction

    credits = Fraction(credits_for(cost, margin_percent=margin, policy=policy))
    exact = Fraction(cost) * (100 + Fraction(margin)) / 100 / Fraction(policy.credit_price_usd)

    assert exact <= credits < exact + Fraction(policy.quantum)
    assert (credits / Fraction(policy.quantum)).denominator == 1


@given(st.integers(0, 10**8), st.integers(0, 10**8), st.integers(0, 10**6))
def test_more_tokens_never_cost_less(tokens_in: int, tokens_out: int, more: int) -> None:
    less = _line("gpt-4o", input_tokens=tokens_in, output_tokens=tokens_out).credits

    assert _line("gpt-4o", input_tokens=tokens_in + more, output_tokens=tokens_out).credits >= less
    assert _line("gpt-4o", input_tokens=tokens_in, output_tokens=tokens_out + more).credits >= less


published = st.sampled_from(sorted(PriceSnapshot().models()))
counts = st.integers(0, 10**6)


@settings(max_examples=400)
@given(published, counts, counts, st.integers(1, 10**5))
def test_of_every_published_model_more_tokens_never_cost_less_and_none_are_free(
    model: tuple[str, str], tokens_in: int, tokens_out: int, more: int
) -> None:
    """A model without a price for such tokens is reported as unpriced, and never charged 0 credits."""
    less, more_in, more_out = [
        PriceBook(PLAIN).line(
            ModelUsage(model[1], provider=model[0], tokens={k: v for k, v in tokens.items() if v}), at=TODAY
        )
        for tokens in (
            {"input_tokens": tokens_in, "output_tokens": tokens_out},
            {"input_tokens": tokens_in + more, "output_tokens": tokens_out},
            {"input_tokens": tokens_in, "output_tokens": tokens_out + more},
        )
    ]

    assert more_in.unpriced or more_in.credits >= less.credits
    assert more_out.unpriced or more_out.credits >= less.credits
    assert all(line.unpriced or line.credits > 0 for line in (more_in, more_out))
