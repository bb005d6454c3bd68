"""Returns, saving hints and what-if calculations on planted uses."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights.costs.hints import HintKind
from faregate.analytics.insights.costs.model_family import family_of
from faregate.analytics.insights.costs.scenario import Proposal, ProposedGrant, ProposedMargin, ProposedPrice
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.errors import InvalidError
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.features.plans import Plan, PlanGrant
from faregate.usage.pricing.linear_prices import linear_prices
from faregate.usage.pricing.rate_cards import card_of
from faregate.usage.values import ModelUsage
from faregate.wire.money import PricingPolicy, credits_for
from support.settling import move, set_price, settle

DAY = NOW - timedelta(days=3)
QUESTION = Question(TimeRange(NOW - timedelta(days=28), NOW, "UTC"))
GPT = {"input_tokens": 2000, "output_tokens": 100}


def keys(
    prefix: str, count: int, model: str = "gpt-4o", *, counts: Mapping[str, int] | None = None
) -> dict[str, ModelUsage]:
    return {f"{prefix}-{n:04}": ModelUsage(model, tokens={**GPT, **(counts or {})}) for n in range(count)}


def hint_of(answer: Mapping[str, Any], kind: HintKind) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [hint for hint in answer["hints"] if hint["kind"] == kind]
    assert len(found) == 1
    return found[0]


async def plant(study: Study, planted: dict[str, ModelUsage], *, user: str = "ada", feature: str = "chat") -> None:
    await study.library.grant(user, 100_000)
    await settle(study.library, planted, user_id=user, feature=feature)
    prefix = next(iter(planted)).partition("-")[0]
    await move(study.database, f"{prefix}-", DAY, apart=timedelta(minutes=1))


async def test_the_return_of_a_wrongly_priced_feature_is_below_zero(study: Study) -> None:
    chat = await study.library.usage.catalog().save(
        replace((await study.library.usage.catalog().current()).features["chat"], margin_percent=Decimal(-50))
    )
    await plant(study, keys("a", 4))
    await plant(study, keys("b", 4), feature="essay", user="bob")

    answer = (await study.insights.costs().returns(QUESTION)).result.answer

    assert chat.margin_percent == -50
    loss, gain = answer["parts"]
    cost = 4 * (2000 * Decimal("2.5") + 100 * 10) / 10**6
    assert (loss["name"], loss["cost_usd"], loss["rate"]) == ("chat", cost, Decimal("-0.5"))
    assert loss["return_usd"] == -cost / 2
    assert (gain["name"], gain["rate"]) == ("essay", Decimal("0.2"))
    assert answer["total"]["return_usd"] == loss["return_usd"] + gain["return_usd"]


async def test_uses_with_an_unpriced_call_stand_apart_from_the_return(study: Study) -> None:
    await plant(study, keys("a", 2))
    await plant(study, keys("b", 3, model="a-model-of-nobody"))

    (part,) = (await study.insights.costs().returns(QUESTION)).result.answer["parts"]

    assert (part["uses"], part["unpriced"]["uses"]) == (2, 3)
    assert part["unpriced"]["tokens"] == 3 * 2100
    assert part["unpriced"]["charged"] == 3
    assert part["charged"] == part["credits"] == Decimal("1.44")
    assert part["rate"] == Decimal("0.2")


async def test_returns_by_user_and_plan_name_the_user_only_in_rows_of_people(study: Study) -> None:
    await study.library.usage.catalog().save_plan(Plan("small"))
    await study.library.usage.wallets().change("ada", WalletChange({"plan": "small"}))
    await plant(study, keys("a", 2))
    await plant(study, keys("b", 1), user="bob")

    users = (await study.insights.costs().returns(QUESTION, "user")).result
    plans = (await study.insights.costs().returns(QUESTION, "plan")).result

    assert [(each.user_id, each.facts["uses"]) for each in users.people] == [("bob", 1), ("ada", 2)]
    assert users.answer["parts"] == []
    assert [(each["name"], each["uses"]) for each in plans.answer["parts"]] == [(None, 1), ("small", 2)]


async def test_a_question_that_a_use_cannot_answer_is_refused_with_the_name_of_the_filter(study: Study) -> None:
    costs = study.insights.costs()
    with pytest.raises(InvalidError, match="model is no filter"):
        await costs.returns(replace(QUESTION, filters=Filters(model="gpt-4o")))
    with pytest.raises(InvalidError, match="country is no filter"):
        await costs.savings(replace(QUESTION, filters=Filters(country="DE")))


async def test_a_prompt_that_could_be_cached_is_a_hint_with_its_amount(study: Study) -> None:
    await plant(study, keys("a", 60))

    hint = hint_of((await study.insights.costs().savings(QUESTION)).result.answer, HintKind.CACHE)

    hits = 60 - 12  # a call a minute: the first of each five minutes writes
    assert hint["cacheable_tokens"] == hits * 2000
    assert hint["saving_usd"] == hits * 2000 * (Decimal("2.5") - Decimal("1.25")) / 10**6
    assert "begins with the same text" in hint["assumption"]


@pytest.mark.parametrize("counts", [{"cache_read_tokens": 1500}, {"input_tokens": 900}])
async def test_a_prompt_that_is_cached_or_too_short_is_no_hint(study: Study, counts: dict[str, int]) -> None:
    await plant(study, keys("a", 60, counts=counts))

    answer = (await study.insights.costs().savings(QUESTION)).result.answer

    assert HintKind.CACHE not in {hint["kind"] for hint in answer["hints"]}


async def test_a_cheaper_model_of_the_family_is_a_hint_priced_with_the_same_tokens(study: Study) -> None:
    await plant(study, keys("a", 40, counts={"cache_read_tokens": 1900}))

    hint = hint_of((await study.insights.costs().savings(QUESTION)).result.answer, HintKind.MODEL)

    own = 100 * Decimal("2.5") + 1900 * Decimal("1.25") + 100 * 10
    mini = 100 * Decimal("0.15") + 1900 * Decimal("0.075") + 100 * Decimal("0.6")
    assert hint["to_model"] == "gpt-4o-mini"
    assert (hint["cost_usd"], hint["would_cost_usd"]) == (40 * own / 10**6, 40 * mini / 10**6)
    assert hint["saving_usd"] == hint["cost_usd"] - hint["would_cost_usd"]


async def test_the_prices_of_a_hint_are_those_of_the_day_of_the_calls(study: Study) -> None:
    await set_price(study.library, "gpt-4o-mini", input_mtok="0.5", output_mtok="1")
    await plant(study, keys("a", 40))

    hint = hint_of((await study.insights.costs().savings(QUESTION)).result.answer, HintKind.MODEL)

    assert hint["would_cost_usd"] == 40 * (2000 * Decimal("0.5") + 100) / 10**6


async def test_the_batch_tier_is_a_hint_where_the_price_book_has_its_price(study: Study) -> None:
    await plant(study, keys("a", 40))
    costs = study.insights.costs()
    assert HintKind.BATCH not in {h["kind"] for h in (await costs.savings(QUESTION)).result.answer["hints"]}

    await set_price(study.library, "gpt-4o", service_tier="batch", input_mtok="1.25", output_mtok="5")
    study.clock.advance(days=1)

    hint = hint_of((await costs.savings(QUESTION)).result.answer, HintKind.BATCH)
    assert hint["would_cost_usd"] * 2 == hint["cost_usd"]


async def test_fewer_lines_than_the_sample_needs_give_no_amount_at_all(study: Study) -> None:
    await plant(study, keys("a", 29))

    result = (await study.insights.costs().savings(QUESTION)).result

    assert (result.enough, result.answer) == (False, {})
    assert any("fewer than 30 lines" in limit for limit in result.evidence.limits)


async def test_a_proposal_prices_each_line_again_exactly_and_writes_nothing(study: Study) -> None:
    planted = {f"a-{n}": ModelUsage("gpt-4o", tokens={"input_tokens": n, "output_tokens": 1}) for n in range(1, 8)}
    await plant(study, planted)
    before = await study.library.balance("ada")
    proposal = Proposal(
        margins=(ProposedMargin(Decimal("33.3")),),
        prices=(ProposedPrice("openai/gpt-4o", {"input_mtok": Decimal("0.07"), "output_mtok": Decimal("0.3")}),),
        credit_price_usd=Decimal("0.03"),
    )

    answer = (await study.insights.costs().what_if(QUESTION, proposal)).result.answer

    costs = [(n * Decimal("0.07") + Decimal("0.3")) / 10**6 for n in range(1, 8)]
    policy = PricingPolicy(credit_price_usd=Decimal("0.03"))
    credits = sum(credits_for(cost, margin_percent=Decimal("33.3"), policy=policy) for cost in costs)
    assert (answer["uses"], answer["lines"], answer["unpriced_lines"]) == (7, 7, 0)
    assert answer["after"]["credits"] == answer["after"]["charged"] == credits
    assert answer["after"]["cost_usd"] == sum(costs)
    assert answer["after"]["return_usd"] == credits * Decimal("0.03") - sum(costs)
    assert answer["users"] == {"more": 0, "fewer": 1, "unchanged": 0}
    assert await study.library.balance("ada") == before


async def test_the_most_specific_proposed_margin_counts_and_others_stay(study: Study) -> None:
    await plant(study, keys("a", 1))
    await plant(study, keys("b", 1), feature="essay")
    await plant(study, keys("c", 1, model="gpt-4o-mini"), feature="essay")
    proposal = Proposal(
        margins=(
            ProposedMargin(Decimal(40), feature="essay"),
            ProposedMargin(Decimal(100), feature="essay", model="gpt-4o-mini"),
        )
    )

    answer = (await study.insights.costs().what_if(QUESTION, proposal)).result.answer

    features = {each["feature"]: each for each in answer["features"]}
    assert features["chat"]["after"] == features["chat"]["before"]
    large, small = Decimal("0.6"), (2000 * Decimal("0.15") + 100 * Decimal("0.6")) / 10**4
    assert features["essay"]["before"]["credits"] == (large + small) * Decimal("1.2")
    assert features["essay"]["after"]["credits"] == large * Decimal("1.4") + small * 2


async def test_a_proposed_price_prices_what_was_unpriced_and_says_what_still_is(study: Study) -> None:
    await plant(study, keys("a", 2, model="a-model-of-nobody"))
    await plant(study, keys("b", 1, model="another-of-nobody"))
    proposal = Proposal(
        prices=(ProposedPrice("a-model-of-nobody", {"input_mtok": Decimal(100), "output_mtok": Decimal(0)}),)
    )

    answer = (await study.insights.costs().what_if(QUESTION, proposal)).result.answer

    assert (answer["lines"], answer["unpriced_lines"]) == (3, 1)
    assert answer["before"]["credits"] == 3
    assert answer["after"]["credits"] == 2 * Decimal(24) + 1
    assert answer["after"]["cost_usd"] == Decimal("0.4")


async def test_uses_that_are_not_paid_stay_unpaid_under_a_proposal(study: Study) -> None:
    await settle(study.library, keys("a", 1), user_id="poor")
    await move(study.database, "a-", DAY)

    answer = (
        await study.insights.costs().what_if(QUESTION, Proposal(margins=(ProposedMargin(Decimal(100)),)))
    ).result.answer

    assert answer["after"]["credits"] > answer["before"]["credits"] > 0
    assert answer["after"]["charged"] == answer["before"]["charged"] == 0


async def test_a_plan_with_other_grants_shows_the_credits_beyond_it(study: Study) -> None:
    await study.library.usage.catalog().save_plan(Plan("small", grants=(PlanGrant(Decimal(1), "month"),)))
    await plant(study, keys("a", 10))
    await study.library.usage.wallets().change("ada", WalletChange({"plan": "small"}))
    proposal = Proposal(grants=(ProposedGrant("small", Decimal(1000)),))

    answer = (await study.insights.costs().what_if(QUESTION, proposal)).result.answer

    (plan,) = answer["plans"]
    assert (plan["plan"], plan["users"], plan["new_beyond"]) == ("small", 1, 0)
    assert Decimal("6.2") < plan["beyond"] < Decimal("6.3")


async def test_a_proposal_that_names_nothing_known_is_refused(study: Study) -> None:
    costs = study.insights.costs()
    with pytest.raises(InvalidError, match="at least one of"):
        Proposal()
    with pytest.raises(InvalidError, match="is no plan"):
        await costs.what_if(QUESTION, Proposal(grants=(ProposedGrant("gold", Decimal(1)),)))
    with pytest.raises(InvalidError, match="is no feature"):
        await costs.what_if(QUESTION, Proposal(margins=(ProposedMargin(Decimal(1), feature="chta"),)))
    with pytest.raises(InvalidError, match="prices"):
        await costs.what_if(QUESTION, Proposal(prices=(ProposedPrice("m", {"input_mtoks": Decimal(1)}),)))


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-mini", "gpt-4o"),
        ("openai/gpt-4o-2024-05-13", "gpt-4o"),
        ("gpt-4o-audio-preview", "gpt-4o-audio"),
        ("claude-haiku-4-5", "claude-4-5"),
        ("claude-3-5-sonnet-20241022", "claude-3-5"),
        ("gemini-2.5-flash-lite", "gemini-2.5"),
    ],
)
def test_the_family_of_a_model_is_its_name_without_size_and_date(model: str, family: str) -> None:
    assert family_of(model) == family


@pytest.mark.parametrize("size", [1000, 300_000])
def test_linear_prices_give_what_the_card_gives_for_each_line(size: int) -> None:
    tier = {"base": Decimal(3), "tiers": [{"start": 200_000, "price": Decimal(6)}]}
    card = card_of(
        {
            "input_mtok": tier,
            "cache_read_mtok": Decimal("0.3"),
            "output_mtok": Decimal(15),
            "requests_kcount": Decimal(1),
        }
    )
    counts = {"input_tokens": size, "cache_read_tokens": 700, "output_tokens": 9, "output_reasoning_tokens": 5}
    cost = card.cost(counts)

    assert cost is not None
    assert linear_prices(card, size).cost(1, counts) == cost.total
    assert linear_prices(card, size).cost(1, {**counts, "cache_write_tokens": 1}) is not None
    assert linear_prices(card_of({"input_mtok": Decimal(1)})).cost(1, counts) is None
