"""Model spellings: each model is one row and one filter, and events keep their own spelling."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.analytics.exports.formats import Format
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.clock import SystemClock
from faregate.usage.features.documents import PriceDocument
from faregate.usage.pricing.overrides import Margins
from faregate.wire import exact_json
from faregate.wire.model_names import canonical_model

NOW = SystemClock().now()
RANGE = TimeRange(NOW - timedelta(days=20), NOW + timedelta(days=1))
SPELLINGS = (
    ("gpt-4o", "openai"),
    ("GPT-4o", "OpenAI"),
    ("openai/gpt-4o", None),
    ("openai:gpt-4o", "openai"),
    ("models/gpt-4o", None),
)
OLD = "update faregate.usage_event set provider = null where model = 'gpt-4o' and provider = 'openai' and input_tokens = 0"


@pytest.mark.parametrize(
    ("model", "provider", "name", "owner"),
    [
        ("GPT-4o", None, "gpt-4o", None),
        ("GPT-4o", "OpenAI", "gpt-4o", "openai"),
        ("openai/gpt-4o", None, "gpt-4o", "openai"),
        ("openai/gpt-4o", "azure", "gpt-4o", "azure"),
        ("openrouter/openai/gpt-4o", None, "gpt-4o", "openrouter"),
        ("models/gemini-2.5-pro", None, "gemini-2.5-pro", None),
        ("publishers/google/models/gemini-2.5-pro", None, "gemini-2.5-pro", "google"),
        ("gemini/models/gemini-2.5-pro", "vertex_ai", "gemini-2.5-pro", "google"),
        ("x-ai/grok-4", None, "grok-4", "x-ai"),
        ("acme/gpt-4o", None, "acme/gpt-4o", None),
        ("ft:gpt-4o:acme::1", "openai", "ft:gpt-4o:acme::1", "openai"),
        ("gpt-4o-2024-08-06", None, "gpt-4o-2024-08-06", None),
        ("openai/", None, "openai/", None),
        ("models/", None, "models/", None),
    ],
)
def test_one_name_for_each_model(model: str, provider: str | None, name: str, owner: str | None) -> None:
    """The canonical name of a canonical name is itself."""
    assert canonical_model(model, provider) == (name, owner)
    assert canonical_model(name, owner) == (name, owner)


async def _filled(lab: Any, *, rolled: bool) -> None:
    call = {"user_id": "ada", "service": "chat", "time": NOW - timedelta(hours=3), "output_tokens": 1, "country": "DE"}
    calls = [{**call, "model": model, "provider": provider} for model, provider in SPELLINGS]
    others = [{**call, "model": "gpt-4o", "provider": "azure"}, {**call, "model": "ours", "provider": "acme"}]
    await lab.recorder.record([*calls, *others, {**call, "model": "Ours", "user_id": "bea"}])
    async with lab.database.transaction() as session:  # as events were stored before vendors were looked up
        await lab.database.rows(session, OLD)
    if rolled:
        await lab.analytics.roller().run()


@pytest.mark.parametrize("rolled", [False, True])
async def test_one_model_is_one_row(lab: Any, rolled: bool) -> None:
    """By provider; a missing provider is the vendor of the model, or its only provider."""
    await _filled(lab, rolled=rolled)
    found = await lab.service.breakdown(Question(RANGE), "model")
    providers = await lab.service.breakdown(Question(RANGE, Filters(country="DE")), "provider")
    rows = {(part.value, part.provider): (part.measures.requests, part.measures.output_tokens) for part in found}

    assert rows == {("gpt-4o", "openai"): (5, 5), ("gpt-4o", "azure"): (1, 1), ("ours", "acme"): (2, 2)}
    assert {part.value for part in providers} == {"openai", "azure", "acme", None}
    assert len(providers) == 4


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("asked", ["gpt-4o", "GPT-4O", "openai/gpt-4o"])
async def test_a_filter_by_model_finds_every_spelling(lab: Any, rolled: bool, asked: str) -> None:
    """In sums, cells, series, users and facts alike."""
    await _filled(lab, rolled=rolled)
    question = Question(RANGE, Filters(model=asked))
    metrics = await lab.service.metrics(question)
    series = await lab.service.series(question, "day")
    cells = await lab.service.metrics(Question(RANGE, Filters(model=asked, country="DE", provider="OPENAI")))
    (user,) = await lab.service.top_users(question)
    stats = await lab.analytics.patterns().stats(question, amount="tokens")

    assert (metrics.measures.requests, metrics.unique_users) == (6, 1)
    assert sum(point.measures.requests for point in series) == user.measures.requests == stats.count == 6
    assert cells.measures.requests == 4


async def test_an_export_finds_every_spelling_and_keeps_it(lab: Any) -> None:
    await _filled(lab, rolled=False)
    export = lab.analytics.exports().events(Question(RANGE, Filters(model="gpt-4o")), Format.JSON)
    found = exact_json.loads(b"".join([chunk async for chunk in export.chunks]))

    assert sorted(row["model"] for row in found["rows"]) == sorted(["gpt-4o", *(model for model, _ in SPELLINGS)])


async def test_an_override_prices_every_spelling_of_its_model(lab: Any) -> None:
    """A name with a provider prices only the calls of that provider."""
    for model, usd in (("ours", 7), ("azure/gpt-4o", 9)):
        price = {"prices": {"input_mtok": usd, "output_mtok": usd}, "effective_from": NOW - timedelta(days=1)}
        await lab.library.usage.price_service().set(model, PriceDocument.model_validate(price))
    call = {"user_id": "ada", "service": "chat", "input_tokens": 10**6, "time": NOW - timedelta(hours=3)}
    spelled = [("OURS", None), ("openai/ours", None), ("ours", "acme"), ("gpt-4o", "azure"), ("gpt-4o", "openai")]
    await lab.recorder.record([{**call, "model": model, "provider": provider} for model, provider in spelled])
    found = await lab.service.breakdown(Question(RANGE), "model")

    assert sum(part.measures.cost_usd for part in found if part.value == "ours") == 21
    assert {part.provider: part.measures.cost_usd for part in found if part.value == "gpt-4o"} == {
        "azure": 9,
        "openai": Decimal("2.5"),
    }


@pytest.mark.parametrize(
    ("model", "provider", "percent"),
    [
        ("gpt-4o", "openai", 10),
        ("openai/GPT-4o", None, 10),
        ("gpt-4o", "azure", 10),
        ("azure/gpt-4o", "azure", 20),
        ("gpt-5", "azure_ai", 30),
        ("gpt-5", "openai", None),
        (None, "azure", 30),
        (None, None, None),
    ],
)
def test_a_margin_is_found_by_every_spelling(model: str | None, provider: str | None, percent: int | None) -> None:
    margins = Margins({"gpt-4o": Decimal(10), "azure/gpt-4o": Decimal(20)}, {"azure": Decimal(30)})

    assert Margins().find(model, provider) is None
    assert margins.find(model, provider) == percent
