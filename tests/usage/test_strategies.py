"""Prices by unit, tier and package, with worked numbers. Pure."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import InvalidError
from faregate.usage.interfaces import IFeatureStrategy
from faregate.usage.pricing.line import PriceBook
from faregate.usage.pricing.tiers import Tier, graduated, packages, volume
from faregate.usage.strategies import (
    FixedStrategy,
    FreeStrategy,
    GraduatedStrategy,
    PackageStrategy,
    PerUnitStrategy,
    TokenPricedStrategy,
    VolumeStrategy,
)
from faregate.usage.values import Feature, ModelUsage, Price, PricingPolicy, Use

BOOK = PriceBook(PricingPolicy())
AT = datetime(2026, 11, 21, tzinfo=UTC)
D = Decimal
TIERS = [Tier(D(10), D(10), D(2)), Tier(D(20), D(5), D(3)), Tier(None, D(5), D(3))]
PER_UNIT = {"units": {"images": D(2), "seconds": D("0.1")}}
GPT = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})


def _price(strategy: IFeatureStrategy, parameters: dict[str, Any], *usages: ModelUsage, **metadata: Any) -> Price:
    feature = Feature("f", "s", min_credits=D(1), parameters=strategy.check(parameters))
    return strategy.price(Use(feature, AT, usages, metadata, prices=BOOK))


def _some(quantity: int | str, unit: str) -> ModelUsage:
    return ModelUsage(None, quantity=D(quantity), unit=unit)


@pytest.mark.parametrize(("quantity", "credits"), [(0, 2), (1, 12), (10, 102), (11, 110), (12, 115), (21, 163)])
def test_49_graduated(quantity: int, credits: int) -> None:
    assert graduated(D(quantity), TIERS) == credits
    tiers = [{"up_to": 10, "credits": 10, "flat": 2}, {"up_to": 20, "credits": 5, "flat": 3}, {"credits": 5, "flat": 3}]
    by_feature = _price(GraduatedStrategy(), {"unit": "pages", "tiers": tiers}, _some(quantity, "pages"))

    assert by_feature.credits == credits


@pytest.mark.parametrize(("free", "credits"), [(0, 1300), (10, 1200), (200, 0)])
def test_51_started_packages_are_charged_in_full(free: int, credits: int) -> None:
    assert packages(D(121), size=D(10), credits=D(100), free=D(free)) == credits
    parameters = {"unit": "pages", "size": 10, "credits": 100, "free": free}

    assert _price(PackageStrategy(), parameters, pages=121).credits == credits


def test_volume_prices_all_units_by_the_tier_of_the_total() -> None:
    assert [volume(D(n), TIERS) for n in (10, 11, 21)] == [102, 58, 108]
    parameters = {"tiers": [{"up_to": 1, "credits": 3}, {"credits": 2}]}

    assert _price(VolumeStrategy(), parameters).credits == 3


def test_per_unit_sums_units_of_usages_or_metadata() -> None:
    by_usages = _price(PerUnitStrategy(), PER_UNIT, _some(3, "images"), _some("2.5", "seconds"), _some(1, "images"))
    by_metadata = _price(PerUnitStrategy(), PER_UNIT, images=4)

    assert (by_usages.credits, len(by_usages.lines)) == (D("8.25"), 2)
    assert by_metadata.credits == 8


def test_each_use_is_one_call() -> None:
    assert _price(PerUnitStrategy(), {"units": {"calls": D("0.5")}}).credits == D("0.5")


def test_unit_without_a_price_is_parked_at_the_minimum_and_never_free() -> None:
    price = _price(PerUnitStrategy(), PER_UNIT, _some(3, "videos"))

    assert price.unpriced_models == ["videos"]
    assert price.credits == 1


def test_models_in_a_feature_with_a_price_of_its_own_are_recorded_at_their_cost() -> None:
    cases: list[tuple[IFeatureStrategy, dict[str, Any]]] = [
        (FixedStrategy(), {"credits": 5}),
        (FreeStrategy(), {}),
        (PerUnitStrategy(), PER_UNIT),
    ]
    for strategy, parameters in cases:
        price = _price(strategy, parameters, GPT)
        (line,) = price.lines
        assert (line.provider_cost_usd, line.credits, line.unpriced) == (D("0.0035"), 0, False)
    unknown = _price(FixedStrategy(), {"credits": 5}, ModelUsage("nobody-knows", tokens={"input_tokens": 1}))
    assert (unknown.credits, unknown.unpriced_models) == (5, [])


@pytest.mark.parametrize(
    ("strategy", "parameters", "param"),
    [
        (FixedStrategy(), {}, "parameters.credits"),
        (FixedStrategy(), {"credits": -1}, "parameters.credits"),
        (FixedStrategy(), {"credits": 1, "credit": 2}, "parameters.credit"),
        (PerUnitStrategy(), {"units": {}}, "parameters.units"),
        (PerUnitStrategy(), {"units": {"images": D("0.0000001")}}, "parameters.units.images"),
        (GraduatedStrategy(), {"tiers": []}, "parameters.tiers"),
        (GraduatedStrategy(), {"tiers": [{"up_to": 5, "credits": 1}]}, "parameters"),
        (VolumeStrategy(), {"tiers": [{"up_to": 5}, {"up_to": 5}, {"credits": 1}]}, "parameters"),
        (PackageStrategy(), {"size": 0, "credits": 1}, "parameters.size"),
        (TokenPricedStrategy(), {"margin": 5}, "parameters.margin"),
    ],
)
def test_parameters_are_checked_when_a_feature_is_saved(
    strategy: IFeatureStrategy, parameters: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        strategy.check(parameters)

    assert refused.value.param == param


models = st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash", "o3", "nobody-knows"])
usages = st.builds(
    lambda model, read, written: ModelUsage(model, tokens={"input_tokens": read, "output_tokens": written}),
    models,
    st.integers(1, 10**6),
    st.integers(1, 10**6),
)


@given(st.lists(usages, max_size=6), st.randoms())
def test_total_is_the_sum_of_lines_and_lines_are_independent(drawn: list[ModelUsage], random: Any) -> None:
    strategy = TokenPricedStrategy()
    feature = Feature("f", "token_priced")
    together = strategy.price(Use(feature, AT, drawn, prices=BOOK))
    alone = [strategy.price(Use(feature, AT, [usage], prices=BOOK)).lines[0] for usage in drawn]
    shuffled = random.sample(drawn, len(drawn))

    assert list(together.lines) == alone
    assert together.credits == sum(line.credits for line in alone)
    assert strategy.price(Use(feature, AT, shuffled, prices=BOOK)).credits == together.credits
    assert all(line.credits > 0 or line.unpriced for line in alone)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_never_costs_less_in_graduated_tiers_and_packages(quantity: int, more: int) -> None:
    assert graduated(D(quantity + more), TIERS) >= graduated(D(quantity), TIERS)
    package = {"size": D(7), "credits": D(3), "free": D(5)}
    assert packages(D(quantity + more), **package) >= packages(D(quantity), **package)
