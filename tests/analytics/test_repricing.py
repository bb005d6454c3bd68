"""Repricing: a price set afterwards is in every answer, before and after the next roll-up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from analytics.conftest import Lab

from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.usage.events.keys import LINE_SOURCE, USE_SOURCE
from faregate.usage.features.documents import PriceDocument, read_document
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest
from faregate.wire.credits import to_credits

NOW = datetime.now(UTC)
LAST_DAY = TimeRange(NOW - timedelta(days=1), NOW + timedelta(days=1))
EVERYTHING = Filters()
GPT = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})
OURS = ModelUsage("our-own-model", tokens={"input_tokens": 10**6})
OTHER = ModelUsage("their-model", tokens={"input_tokens": 10**6})


async def _settle(lab: Lab, *usages: ModelUsage) -> None:
    await lab.library.grant("ada", 1000)
    await lab.library.feature(Feature("chat", "token_priced", min_credits=Decimal(2)))
    await lab.library.service.settle(SettleRequest("K", "ada", FeatureRef(value="chat"), usages))


async def _price(lab: Lab, model: str) -> None:
    fields = {"prices": {"input_mtok": 1}, "effective_from": datetime(2026, 1, 1, tzinfo=UTC)}
    await lab.library.usage.price_service().set(model, read_document(PriceDocument, fields))
    await lab.library.usage.repricer().run(actor="ops")


async def _sums(lab: Lab, filters: Filters = EVERYTHING) -> tuple[object, ...]:
    metrics = await lab.service.metrics(Question(LAST_DAY, filters))
    sums = metrics.measures
    return sums.requests, sums.tokens, sums.total_credits, sums.charged_credits, sums.cost_usd, metrics.unique_users


@pytest.mark.parametrize("rolled", [False, True])
async def test_repricing_corrects_the_sums(lab: Lab, rolled: bool) -> None:
    await _settle(lab, GPT, OURS)
    if rolled:
        await lab.analytics.roller().run()
    before = await _sums(lab)
    await _price(lab, OURS.model or "")
    fresh = await _sums(lab)
    await lab.analytics.roller().run()
    (use,) = await lab.library.service.usages(user_id="ada")

    assert before == (1, 1_001_100, 2, 2, Decimal("0.0035"), 1)
    assert fresh == (1, 1_001_100, use.credits_consumed, use.credits_charged, Decimal("1.0035"), 1)
    assert use.credits_consumed == Decimal("120.42")
    assert await _sums(lab) == fresh
    assert await _sums(lab, Filters(model="our-own-model")) == (1, 10**6, 120, 0, 1, 1)
    assert await _sums(lab, Filters(feature="chat", status="success")) == fresh
    await lab.analytics.roller().rebuild()
    assert await _sums(lab) == fresh


async def test_each_later_price_adds_a_version_and_repeating_adds_none(lab: Lab) -> None:
    await _settle(lab, OURS, OTHER)
    await _price(lab, OURS.model or "")
    await _price(lab, OTHER.model or "")
    await lab.library.usage.repricer().run()
    async with lab.database.transaction() as session:
        rows = await lab.database.rows(
            session,
            "select source, count(*) as n, sum(sign) as standing, sum(credits)::bigint as credits, sum(charged)::bigint as "
            "charged from faregate.usage_event group by source, event_key order by source desc, event_key",
        )

    found = sorted((row.source, row.n, row.standing, to_credits(row.credits), to_credits(row.charged)) for row in rows)
    assert found == sorted([
        (USE_SOURCE, 5, 1, 0, 240),
        (LINE_SOURCE, 3, 1, 120, 0),
        (LINE_SOURCE, 3, 1, 120, 0),
    ])  # fmt: skip


async def test_a_voided_fact_stays_voided(lab: Lab) -> None:
    await _settle(lab, OURS)
    await lab.library.usage.history()._correct(USE_SOURCE, "K", None, "voided by an earlier version", None)
    await _price(lab, OURS.model or "")

    assert await _sums(lab) == (0, 10**6, 120, 0, 1, 1)


async def test_the_status_of_a_request_shows_its_repricing(lab: Lab) -> None:
    await _settle(lab, OURS)
    await _price(lab, OURS.model or "")
    fate = await lab.library.usage.history().fate(USE_SOURCE, "K")

    assert fate.status == "corrected"
    assert [(c.action, c.actor) for c in fate.corrections] == [("replaced", "ops")]
