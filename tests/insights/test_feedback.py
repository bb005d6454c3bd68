"""Feedback on uses, satisfaction by what was used, and a host's sentiment model."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights.feedback.rank_correlation import mean_ranks, rank_correlation
from faregate.analytics.insights.feedback.values import FeedbackFilter, GivenFeedback
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.errors import InvalidError
from faregate.credit.errors import HoldMismatchError, UnknownUsageKeyError
from faregate.usage.values import ModelUsage
from support.settling import settle

QUESTION = Question(TimeRange(NOW - timedelta(days=28), NOW, "UTC"))


async def use(study: Study, prefix: str, count: int, model: str = "gpt-4o", **options: int) -> None:
    """Settle uses of five users in turn; `grows` makes each later one dearer and slower."""
    for user in range(5):
        await study.library.grant(f"u{user}", 10_000)
    for n in range(count):
        size = 1000 + options.get("grows", 0) * n
        usage = ModelUsage(model, tokens={"input_tokens": size, "output_tokens": 100})
        await settle(study.library, {f"{prefix}-{n}": usage}, user_id=f"u{n % 5}", duration_ms=size)


async def rate(study: Study, prefix: str, scores: list[int], **given: object) -> None:
    for n, score in enumerate(scores):
        await study.insights.feedback().give(replace(GivenFeedback(f"{prefix}-{n}", score), **given))  # type: ignore[arg-type]


async def test_feedback_is_kept_once_for_a_use_and_replaced_when_it_is_given_again(study: Study) -> None:
    await use(study, "a", 1)
    feedback = study.insights.feedback()
    first = await feedback.give(GivenFeedback("a-0", 2, ("slow", "slow"), "too slow"))
    study.clock.advance(hours=1)
    same = await feedback.give(GivenFeedback("a-0", 2, ("slow",), "too slow"))
    changed = await feedback.give(GivenFeedback("a-0", 5), user_id="u0", own=True)

    assert (first.user_id, first.feature_key, first.tags, first.text) == ("u0", "chat", ("slow",), "too slow")
    assert same == first
    assert (changed.score, changed.text, changed.created_at) == (5, None, first.created_at)
    assert changed.updated_at == first.updated_at + timedelta(hours=1)
    assert await feedback.feedback(FeedbackFilter()) == [changed]


async def test_text_is_redacted_before_it_is_stored(study: Study) -> None:
    await use(study, "a", 1)
    secret = "write to ada@example.com with sk-proj-abcdefghijklmnopqrstuvwx"

    stored = await study.insights.feedback().give(GivenFeedback("a-0", 3, text=secret))

    assert stored.text is not None
    assert "ada@example.com" not in stored.text
    assert "sk-proj" not in stored.text


async def test_nobody_gives_feedback_on_the_use_of_another(study: Study) -> None:
    await use(study, "a", 1)
    feedback = study.insights.feedback()

    with pytest.raises(UnknownUsageKeyError) as unknown:
        await feedback.give(GivenFeedback("never", 3))
    with pytest.raises(UnknownUsageKeyError) as anothers:
        await feedback.give(GivenFeedback("a-0", 3), user_id="u1", own=True)
    with pytest.raises(HoldMismatchError):
        await feedback.give(GivenFeedback("a-0", 3), user_id="u1")
    assert str(unknown.value).replace("never", "a-0") == str(anothers.value), "a stranger learns nothing"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (GivenFeedback("a 0", 3), "usage_key"),
        (GivenFeedback("a-0", 0), "score"),
        (GivenFeedback("a-0", 6), "score"),
        (GivenFeedback("a-0", 3, tuple(map(str, range(21)))), "tags"),
        (GivenFeedback("a-0", 3, ("ada@example.com",)), "tags"),
        (GivenFeedback("a-0", 3, ("sk-proj-abcdefghijklmnopqrstuvwx",)), "tags"),
        (GivenFeedback("a-0", 3, text="x" * 2001), "text"),
    ],
)
async def test_invalid_feedback_is_refused_with_the_name_of_the_field(
    study: Study, given: GivenFeedback, param: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        await study.insights.feedback().give(given)
    assert refused.value.param == param


async def test_an_unhappy_model_stands_first_with_its_interval_and_its_tags(study: Study) -> None:
    await use(study, "a", 25)
    await use(study, "b", 25, model="openai/gpt-4o-mini")
    await use(study, "c", 10, model="o3")
    await rate(study, "a", [5, 4] * 12 + [5])
    await rate(study, "b", [1, 2] * 12 + [1], tags=("wrong",))
    await rate(study, "c", [1] * 10)
    study.clock.advance(days=1)

    result = (await study.insights.feedback().satisfaction(QUESTION, "model")).result

    unhappy, happy = result.answer["groups"]
    assert (unhappy["value"], happy["value"]) == ("gpt-4o-mini", "gpt-4o")
    assert (unhappy["score"], unhappy["unhappy"], unhappy["feedback"], unhappy["users"]) == (Decimal("1.48"), 1, 25, 5)
    assert unhappy["low"] < Decimal("1.48") < unhappy["high"] < happy["low"]
    assert unhappy["unhappy_low"] == Decimal("0.8668")
    assert (unhappy["tags"], happy["tags"]) == ([{"tag": "wrong", "users": 5}], [])
    assert result.answer["left_out"] == 1
    assert any("fewer than 20 scores" in limit for limit in result.evidence.limits)


async def test_dearer_and_slower_uses_that_please_less_correlate_below_zero(study: Study) -> None:
    await use(study, "a", 40, grows=100)
    await rate(study, "a", [5 - n // 8 for n in range(40)])
    study.clock.advance(days=1)

    answer = (await study.insights.feedback().satisfaction(QUESTION, "price")).result.answer

    found = {each["with"]: each for each in answer["correlations"]}
    for name in ("cost_usd", "credits", "latency_ms"):
        assert found[name]["sample"] == 40
        assert found[name]["low"] < found[name]["value"] < found[name]["high"] < Decimal("-0.9")
    assert answer["left_out"] == 4, "bands of ten uses are too small"


async def test_less_than_the_minimum_sample_gives_no_number(study: Study) -> None:
    await use(study, "a", 19)
    await rate(study, "a", [1] * 19)
    study.clock.advance(days=1)

    result = (await study.insights.feedback().satisfaction(QUESTION)).result

    assert (result.enough, result.answer) == (False, {})


async def test_satisfaction_by_something_that_feedback_does_not_know_is_refused(study: Study) -> None:
    with pytest.raises(InvalidError, match="country is no filter"):
        await study.insights.feedback().satisfaction(replace(QUESTION, filters=Filters(country="DE")))


async def test_a_sentiment_model_rates_each_text_once_and_again_when_it_changes(study: Study) -> None:
    await use(study, "a", 3)
    feedback = study.insights.feedback()
    await feedback.give(GivenFeedback("a-0", 5, text="good"))
    await feedback.give(GivenFeedback("a-1", 1, text="hm"))
    await feedback.give(GivenFeedback("a-2", 3))

    assert [await feedback.read_sentiment(), await feedback.read_sentiment()] == [2, 0]
    found = {each.usage_key: each for each in await feedback.feedback(FeedbackFilter())}
    assert (found["a-0"].sentiment, found["a-0"].sentiment_by) == (Decimal("0.9"), "mood-1")
    assert (found["a-1"].sentiment, found["a-1"].sentiment_by) == (None, "mood-1")

    study.clock.advance(hours=1)
    changed = await feedback.give(GivenFeedback("a-0", 5, text="very good"))
    assert (changed.sentiment, changed.sentiment_by) == (None, None)
    await study.insights.jobs().hourly()
    assert study.mood.seen == ["good", "hm", "very good"]


async def test_texts_wait_while_the_sentiment_model_fails(study: Study) -> None:
    await use(study, "a", 1)
    await study.insights.feedback().give(GivenFeedback("a-0", 5, text="good"))
    study.mood.broken = True
    assert await study.insights.feedback().read_sentiment() == 0
    study.mood.broken = False
    assert await study.insights.feedback().read_sentiment() == 1


async def test_feedback_is_forgotten_when_its_retention_is_over(study: Study) -> None:
    await use(study, "a", 2)
    await rate(study, "a", [1])
    study.clock.advance(days=300)
    await rate(study, "a", [1, 4])
    study.clock.advance(days=101)
    await study.insights.jobs().daily()

    assert [each.usage_key for each in await study.insights.feedback().feedback(FeedbackFilter())] == ["a-1"]


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert mean_ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]


def test_a_rank_correlation_has_the_published_interval_and_needs_thirty_pairs() -> None:
    pairs = [(Decimal(n), Decimal((n * 7) % 40)) for n in range(40)]
    found = rank_correlation(pairs)

    assert found is not None
    assert found.low < found.value < found.high
    assert rank_correlation(pairs[:29]) is None
    assert rank_correlation([(Decimal(1), Decimal(n)) for n in range(40)]) is None
