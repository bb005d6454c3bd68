"""Prices of events with a model and tokens: priced like settled lines, or counted as unpriced, never silently as 0."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.values import Measures
from faregate.core.clock import SystemClock
from faregate.core.db.migrate import run_alembic, upgrade
from faregate.usage.features.documents import PriceDocument
from faregate.usage.pricing.event_costs import EventCosts
from faregate.usage.pricing.line import PriceBook
from faregate.usage.pricing.pico_usd import pico_usd
from faregate.usage.tracking import TrackUsage
from faregate.usage.values import ModelUsage, PricingPolicy
from faregate.wire.exact_json import loads

NOW = SystemClock().now()
RANGE = TimeRange(NOW - timedelta(days=20), NOW + timedelta(days=1))
AT = NOW - timedelta(hours=3)
CALL = {"user_id": "ada", "service": "chat", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100, "time": AT}
COST = Decimal("0.0035")
BOOK = PriceBook(PricingPolicy())
COSTS = EventCosts(BOOK)


async def _sums(lab: Any, **filters: str) -> Measures:
    found = await lab.service.metrics(Question(RANGE, Filters(**filters)))
    sums: Measures = found.measures
    return sums


async def _prices(lab: Any, model: str, **prices: Any) -> None:
    await lab.library.usage.price_service().set(model, PriceDocument.model_validate(prices))


@given(data=st.data(), read=st.integers(0, 10**9), written=st.integers(0, 10**9))
def test_an_event_costs_what_a_line_costs(data: st.DataObject, read: int, written: int) -> None:
    """For every published model: exact to 10⁻¹² USD, and no price if a line has none."""
    provider, model = data.draw(st.sampled_from(sorted(BOOK.snapshot.models())))
    at = data.draw(st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))
    counts = {name: n for name, n in (("input_tokens", read), ("output_tokens", written)) if n}
    line = BOOK.line(ModelUsage(model, provider=provider, tokens=counts), at=at)

    assert COSTS.cost(model, provider, read, written, at) == pico_usd(line.provider_cost_usd)


async def test_a_recorded_call_has_its_provider_cost_and_its_given_credits(lab: Any) -> None:
    await lab.recorder.record([{**CALL, "credits": Decimal("0.25")}, {**CALL, "kind": "line"}])
    sums = await _sums(lab)

    assert (sums.cost_usd, sums.total_credits, sums.unpriced) == (2 * COST, Decimal("0.25"), 0)


async def test_a_given_cost_is_kept_including_0(lab: Any) -> None:
    await lab.recorder.record([{**CALL, "cost_usd": Decimal("0.5")}, {**CALL, "cost_usd": 0}])
    sums = await _sums(lab)

    assert (sums.cost_usd, sums.unpriced) == (Decimal("0.5"), 0)


async def test_an_event_is_priced_as_of_its_own_time(lab: Any) -> None:
    cheap, dear = {"input_mtok": 1, "output_mtok": 1}, {"input_mtok": 2, "output_mtok": 2}
    change = NOW - timedelta(days=2)
    await _prices(lab, "ours", prices=cheap, effective_from=NOW - timedelta(days=9), effective_to=change)
    await _prices(lab, "ours", prices=dear, effective_from=change)
    ours = {**CALL, "model": "ours", "input_tokens": 10**6, "output_tokens": 0}
    await lab.recorder.record(
        [{**ours, "time": NOW - timedelta(days=5)}, ours, {**ours, "time": NOW - timedelta(days=15)}]
    )
    sums = await _sums(lab)

    assert (sums.cost_usd, sums.unpriced) == (3, 1)


async def test_a_corrected_event_is_priced_again(lab: Any) -> None:
    await lab.recorder.record([{**CALL, "id": "e1"}, {**CALL, "id": "e2", "model": "nobody-knows"}])
    history = lab.library.usage.history()
    await history.replace(None, "e1", {**CALL, "model": "nobody-knows"})
    await history.replace(None, "e2", CALL)
    sums = await _sums(lab)

    assert (sums.cost_usd, sums.unpriced, sums.facts) == (COST, 1, 2)


@pytest.mark.parametrize("rolled", [False, True])
async def test_unpriced_calls_are_counted_in_every_answer(lab: Any, rolled: bool) -> None:
    """Unknown models, calls without tokens, and voided calls: from the sums, the cells, the users and the facts."""
    unknown = {**CALL, "model": "nobody-knows", "input_tokens": 5}
    bare = {"user_id": "ada", "service": "chat", "model": "gpt-4o", "time": AT}
    meter = {"user_id": "ada", "meter": "api", "time": AT}
    await lab.recorder.record([CALL, unknown, {**unknown, "id": "gone"}, bare, meter])
    await lab.library.usage.history().void(None, "gone")
    if rolled:
        await lab.analytics.roller().run()
    question = Question(RANGE)
    dashboard = await lab.service.dashboard(question)
    models = {part.value: part.measures.unpriced for part in dashboard.models}
    services = {part.value: part.measures.unpriced for part in dashboard.services}
    returned = await lab.analytics.patterns().profitability(question)
    users = await lab.service.top_users(question)

    assert dashboard.metrics.measures.unpriced == sum(point.measures.unpriced for point in dashboard.series) == 2
    assert (models, services) == ({"gpt-4o": 1, "nobody-knows": 1}, {"chat": 2, "api": 0})
    assert [item.measures.unpriced for item in returned] == [user.measures.unpriced for user in users] == [2]
    for filters in ({"service": "chat"}, {"service": "chat", "model": "nobody-knows"}, {"user_id": "ada"}):
        assert (await _sums(lab, **filters)).unpriced == (1 if "model" in filters else 2)


async def test_unpriced_calls_recorded_before_the_migration_are_counted(lab: Any) -> None:
    """The migration causes a rebuild of the sums, and every other sum stays unchanged."""
    week_ago = {**CALL, "time": AT - timedelta(days=7)}
    await lab.recorder.record([CALL, week_ago, {**CALL, "model": "nobody-knows"}, {"user_id": "bea", "meter": "api"}])
    await lab.analytics.roller().run()
    before = await lab.service.dashboard(Question(RANGE), unit="week")
    await run_alembic(lab.database, "downgrade", "0016")
    await upgrade(lab.database)
    await lab.analytics.roller().run()
    after = await lab.service.dashboard(Question(RANGE), unit="week")

    assert replace(after, freshness=before.freshness) == before
    assert after.metrics.measures.unpriced == 1


async def test_a_tracked_answer_of_a_provider_is_priced(lab: Any) -> None:
    """The usage that `TrackUsage` reads from an answer is priced when it is recorded."""
    taken: list[Any] = []

    class Recorder:
        def record_nowait(self, event: Any) -> bool:
            taken.append(event)
            return True

    answer = b'{"model":"gpt-4o","usage":{"prompt_tokens":1000,"completion_tokens":100}}'
    await _ask(TrackUsage(_answering(answer), recorder=Recorder(), service="chat"))
    await lab.recorder.record(taken)
    sums = await _sums(lab, model="gpt-4o", provider="openai")

    assert loads(answer)["model"] == taken[0].model
    assert (sums.requests, sums.cost_usd, sums.unpriced) == (1, COST, 0)


async def test_a_price_out_of_bounds_is_ignored(lab: Any) -> None:
    """Neither the event nor the others are lost."""
    await _prices(lab, "mad", prices={"input_mtok": 10**8, "output_mtok": 10**8})
    report = await lab.recorder.record([{**CALL, "model": "mad", "input_tokens": 10**9}, CALL])
    sums = await _sums(lab)

    assert (report.accepted, sums.cost_usd, sums.unpriced) == (2, COST, 1)


async def test_a_model_without_a_provider_counts_for_its_vendor(lab: Any) -> None:
    await lab.recorder.record([CALL, {**CALL, "provider": "azure"}, {**CALL, "model": "nobody-knows"}])
    found = {part.value: part.measures.requests for part in await lab.service.breakdown(Question(RANGE), "provider")}

    assert found == {"openai": 1, "azure": 1, None: 1}


def _answering(body: bytes) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers: Sequence[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _ask(app: Any) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        del message

    await app({"type": "http", "path": "/v1/chat", "method": "POST", "headers": []}, receive, send)
