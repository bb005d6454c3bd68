"""Usage read by the client and by the gateway from the same replies."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faregate.client import CreditsClient, FakeCredits, ModelUsage, UseResult, token_prices
from faregate.client.replies.observer import Observer
from faregate.client.replies.usage_lines import LINES_LIMIT, merged
from faregate.client.request_bodies import line_body
from faregate.client.testing.pricing import FakePrice
from faregate.usage.credits_process.bodies import UsageBody
from faregate.usage.credits_process.provider_lines import native_usage
from faregate.usage.pricing.line import PriceBook
from faregate.usage.values import PricingPolicy
from faregate.wire import exact_json
from support.apps import KEY, Gateway
from support.native_forms import FORMS, OPENROUTER

AT = datetime(2026, 11, 28, tzinfo=UTC)
MISCOUNTED: dict[str, Any] = {
    "model": "gpt-5",
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 300,
        "total_tokens": 1750,
        "prompt_tokens_details": {"cached_tokens": 800},
        "completion_tokens_details": {"reasoning_tokens": 200},
        "cost": 0.25,
    },
}
OVERCOUNTED: dict[str, Any] = {
    "model": "gpt-5",
    "usage": {"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 900},
}
BODIES = {**FORMS, "MISCOUNTED": MISCOUNTED, "OVERCOUNTED": OVERCOUNTED}
BOOKS = [PriceBook(PricingPolicy(use_reported_cost=allowed)) for allowed in (False, True)]


def observed(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the line that a client sends for a reply."""
    observer = Observer()
    observer.observe(body, model=model)
    (usage,) = observer.lines().usages
    sent: dict[str, Any] = exact_json.loads(exact_json.dumps(line_body(usage)))
    return sent


@pytest.mark.parametrize("name", BODIES)
def test_the_client_and_the_gateway_read_a_reply_alike(name: str) -> None:
    """Counts, flag, reported cost and price equal those of the raw reply, with and without `use_reported_cost`."""
    body = exact_json.loads(exact_json.dumps(BODIES[name]))
    raw = native_usage(body, model="gpt-5")
    sent = observed(body, "gpt-5")
    ours = UsageBody.model_validate(sent).usage_line()

    assert dict(ours.tokens) == dict(raw.tokens)
    assert (ours.inconsistent, ours.reported_cost_usd) == (raw.inconsistent, raw.reported_cost_usd)
    assert [_price(book, ours) for book in BOOKS] == [_price(book, raw) for book in BOOKS]
    assert [_fake_price(book, sent) for book in BOOKS] == [_price(book, raw)[:2] for book in BOOKS]


def _price(book: PriceBook, usage: ModelUsage) -> tuple[Decimal, str, Decimal | None]:
    line = book.line(usage, at=AT)
    return line.credits, line.price_version, line.provider_cost_usd


def _fake_price(book: PriceBook, sent: dict[str, Any]) -> tuple[Decimal, str]:
    price = token_prices(use_reported_cost=book.policy.use_reported_cost, clock=lambda: AT)([sent])
    assert isinstance(price, FakePrice)
    (line,) = price.details
    return line["credits"], line["price_version"]


def test_the_bodies_cover_contradicting_totals_and_reported_costs() -> None:
    """One total exceeds its parts, one is below them, and two replies report a cost."""
    assert native_usage(MISCOUNTED).tokens["output_tokens"] == 750
    assert native_usage(MISCOUNTED).inconsistent
    assert native_usage(OVERCOUNTED).inconsistent
    assert native_usage(MISCOUNTED).reported_cost_usd == Decimal("0.25")
    assert native_usage(OPENROUTER).reported_cost_usd == Decimal("0.00095")


@pytest.mark.parametrize("body", [MISCOUNTED, OVERCOUNTED, OPENROUTER])
async def test_http_client_and_fake_charge_a_reply_alike(gateway: Gateway, body: dict[str, Any]) -> None:
    """Charge, flags and counts do not depend on which side reads the reply."""
    raw = await gateway.post(
        "/api/credits-process/end-multimodel",
        {"user_id": "ada", "usage_key": "raw", "feature_endpoint_id": "ai_chat_v1", "usages": [{"usage": body}]},
    )
    transport = gateway.http._transport
    async with CreditsClient("http://gateway", KEY, transport=transport) as client:
        real = await _ride(client, body)
    async with FakeCredits(balance=10, hold=2) as fake:
        ours = await _ride(fake, body)

    assert raw.status == 200
    assert real.charged == ours.charged == raw.data["charged"]
    assert set(raw.data["flags"]) - {"no_hold"} == set(real.flags) == set(ours.flags)
    assert [line["tokens"] for line in real.details] == [line["tokens"] for line in raw.data["details"]]
    assert [line["tokens"] for line in ours.details] == [line["tokens"] for line in raw.data["details"]]


async def _ride(client: CreditsClient, body: dict[str, Any]) -> UseResult:
    async with client.charge("ai_chat_v1", user_id="ada") as ride:
        ride.observe(body)
    assert ride.result.state == "settled"
    return ride.result


def test_a_stream_passes_on_its_total_and_cost() -> None:
    observer = Observer()
    observer.observe({"id": "c", "object": "chat.completion.chunk", "model": "gpt-5", "choices": [{"delta": {}}]})
    observer.observe({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": MISCOUNTED["usage"]})

    more = {"cache_read_tokens": 800, "output_reasoning_tokens": 200}
    assert observer.lines().usages == [
        ModelUsage("gpt-5", 1000, 300, more=more, total_tokens=1750, reported_cost_usd=Decimal("0.25"))
    ]


lines_ = st.builds(
    ModelUsage,
    st.just("gpt-5"),
    st.integers(0, 100),
    st.integers(0, 100),
    total_tokens=st.none() | st.integers(0, 300),
    reported_cost_usd=st.none() | st.decimals(0, 1, places=4),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # lists of at least 101 lines
@given(st.lists(lines_, min_size=LINES_LIMIT + 1, max_size=LINES_LIMIT + 20))
def test_merged_lines_keep_their_missing_tokens_and_costs(lines: list[ModelUsage]) -> None:
    """Tokens reported only by totals are charged after merging, and a surplus of one line never offsets a deficit of another."""
    sent = merged(lines)

    assert len(sent) <= LINES_LIMIT
    assert _facts(sent) == _facts(lines)


def _facts(lines: list[ModelUsage]) -> tuple[int, bool, Decimal]:
    read = [UsageBody.model_validate(line_body(line)).usage_line() for line in lines]
    tokens = sum(sum(line.tokens.get(name, 0) for name in ("input_tokens", "output_tokens")) for line in read)
    costs = sum((line.reported_cost_usd or Decimal(0) for line in read), Decimal(0))
    return tokens, any(line.inconsistent for line in read), costs
