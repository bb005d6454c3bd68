"""Settled facts: every sum agrees with the ledger, whatever others report about the same use."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from analytics.conftest import Lab

from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.errors import InvalidError
from faregate.usage.events.keys import LINE_SOURCE, USE_SOURCE
from faregate.usage.features.documents import PriceDocument, read_document
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest

NOW = datetime.now(UTC)
LAST_DAYS = TimeRange(NOW - timedelta(days=3), NOW + timedelta(days=1))
OURS = ModelUsage("our-own-model", tokens={"input_tokens": 10**6})

REPORTS: dict[str, dict[str, Any]] = {
    "with an id": {"id": "e1", "source": "app"},
    "without an id": {},
    "of another user": {"id": "e1", "user_id": "bob"},
    "of another user, without an id": {"user_id": "bob"},
    "of another day, with credits": {"id": "e1", "time": NOW - timedelta(days=2), "credits": Decimal(7)},
    "of an organisation": {"organization_id": "acme", "latency_ms": 5, "status": "failed", "country": "DE"},
}
"""Requests about a settled use."""


def _event(**fields: Any) -> dict[str, Any]:
    return {"user_id": "ada", "service": "chat", "kind": "request", "usage_key": "K", **fields}


async def _settle(lab: Lab, *, key: str = "K", usages: tuple[ModelUsage, ...] = (OURS,)) -> None:
    await lab.library.grant("ada", 1000)
    await lab.library.feature(Feature("chat", "token_priced", min_credits=Decimal(2)))
    await lab.library.service.settle(SettleRequest(key, "ada", FeatureRef(value="chat"), usages))


async def _sums(lab: Lab, filters: Filters = Filters()) -> tuple[object, ...]:  # noqa: B008
    metrics = await lab.service.metrics(Question(LAST_DAYS, filters))
    sums = metrics.measures
    return sums.requests, sums.total_credits, sums.charged_credits, metrics.unique_users


async def _equals_the_ledger(lab: Lab) -> None:
    (use,) = await lab.library.service.usages(user_id="ada")
    expected = (1, use.credits_consumed, use.credits_charged, 1)
    assert use.credits_charged > 0
    assert await _sums(lab) == expected
    assert await _sums(lab, Filters(user_id="ada")) == expected
    await lab.analytics.roller().run()
    assert await _sums(lab) == expected
    await lab.analytics.roller().rebuild()
    assert await _sums(lab) == expected


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS.keys())
async def test_an_earlier_reported_request_does_not_hide_a_settlement(
    lab: Lab, report: Mapping[str, Any], *, rolled: bool
) -> None:
    await lab.recorder.record([_event(**report)])
    if rolled:
        await lab.analytics.roller().run()
    await _settle(lab)

    await _equals_the_ledger(lab)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS.keys())
async def test_a_later_reported_request_adds_nothing(lab: Lab, report: Mapping[str, Any]) -> None:
    await _settle(lab)
    done = await lab.recorder.record([_event(**report)])

    assert (done.accepted, done.duplicates) == (0, 1)
    await _equals_the_ledger(lab)


async def test_requests_before_and_after_and_a_later_price_change_nothing(lab: Lab) -> None:
    await lab.recorder.record([_event(id="before", credits=Decimal(3))])
    await _settle(lab)
    await lab.recorder.record([_event(id="before", credits=Decimal(3)), _event(), _event(id="after", user_id="bob")])
    await _equals_the_ledger(lab)
    fields = {"prices": {"input_mtok": 1}, "effective_from": datetime(2026, 1, 1, tzinfo=UTC)}
    await lab.library.usage.price_service().set(OURS.model or "", read_document(PriceDocument, fields))
    await lab.library.usage.repricer().run(actor="ops")

    (use,) = await lab.library.service.usages(user_id="ada")
    assert use.credits_charged == 120
    await _equals_the_ledger(lab)


async def test_settlements_in_large_batches_count_like_single_ones(lab: Lab) -> None:
    keys = [f"k{number}" for number in range(120)]
    await lab.recorder.record([_event(usage_key=key, user_id="bob", credits=Decimal(1)) for key in keys[::3]])
    await lab.library.grant("ada", 1000)
    await lab.library.feature(Feature("chat", "fixed", parameters={"credits": 2}))
    requests = [SettleRequest(key, "ada", FeatureRef(value="chat")) for key in keys]
    await lab.library.service.settle_batch(requests)
    await lab.library.service.settle_batch(requests)

    assert await _sums(lab) == (120, 240, 240, 1)


async def test_a_replaced_report_is_superseded_by_the_settlement(lab: Lab) -> None:
    history = lab.library.usage.history()
    await lab.recorder.record([_event(id="e1", source="app")])
    moved = _event(user_id="bob", credits=Decimal(9), time=NOW - timedelta(days=1))
    await history.replace("app", "e1", moved)
    await _settle(lab)

    await _equals_the_ledger(lab)
    fate = await history.fate("app", "e1")
    assert (fate.status, fate.counted_at) == ("duplicate", None)
    assert (await history.fate(USE_SOURCE, "K")).status == "counted"


async def test_a_report_that_was_moved_to_another_use_stays(lab: Lab) -> None:
    await lab.recorder.record([_event(id="e1", source="app")])
    await lab.library.usage.history().replace("app", "e1", _event(usage_key="other"))
    await _settle(lab)

    assert await _sums(lab) == (2, 2, 2, 1)
    await _settle(lab, key="other")
    assert await _sums(lab) == (2, 4, 4, 1)


async def test_a_correction_cannot_make_a_report_the_second_request_of_a_use(lab: Lab) -> None:
    await _settle(lab)
    await lab.recorder.record([_event(id="e1", source="app", usage_key="other")])
    before = await _sums(lab)
    with pytest.raises(InvalidError, match="usage_key"):
        await lab.library.usage.history().replace("app", "e1", _event(credits=Decimal(5)))

    assert await _sums(lab) == before


@pytest.mark.parametrize("name", [{"source": USE_SOURCE, "id": "K"}, {"source": LINE_SOURCE, "id": "K/0"}])
@pytest.mark.parametrize("settled_first", [False, True])
async def test_reserved_sources_are_refused(lab: Lab, name: Mapping[str, str], *, settled_first: bool) -> None:
    if settled_first:
        await _settle(lab)
    done = await lab.recorder.record([_event(**name), _event(**name, meter="api", kind="meter")])
    if not settled_first:
        await _settle(lab)

    assert (done.accepted, done.rejections) == (0, 2)
    assert "no source may begin with 'faregate:'" in done.rejected[0].error
    await _equals_the_ledger(lab)
