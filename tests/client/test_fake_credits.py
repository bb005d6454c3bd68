"""Comparison of `FakeCredits` with the gateway, case by case."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.client import (
    CreditsClient,
    FakeCredits,
    FaregateError,
    InsufficientCreditsError,
    KeyConflictError,
    ModelUsage,
    Retry,
    fixed_credits,
    one_credit,
    token_prices,
)
from faregate.usage.pricing.line import PriceBook
from faregate.usage.values import PricingPolicy
from faregate.wire import clock
from faregate.wire.count_names import COUNT_NAMES
from faregate.wire.published_prices import PriceSnapshot
from support.apps import KEY, Gateway

GPT = ModelUsage("gpt-4o", 1000, 100)
LARGE = ModelUsage("gpt-4o", 30_000, 1000)
HUGE = ModelUsage("gpt-4o", 10**6, 10**6)
CACHED = ModelUsage("claude-sonnet-4-5", 5000, 10, more={"cache_read_tokens": 4000, "cache_write_tokens": 500})
FLEX = ModelUsage("gpt-5", 1000, 100, service_tier="flex")
NAMED = ModelUsage("models/gemini-2.5-pro", 300_000, 7, provider="google")
LITELLM = ModelUsage("openai/gpt-4o-mini", 123, 45)
UNKNOWN = ModelUsage("no-such-model", 10, 10)
SHORT_OF_TOTAL = ModelUsage("gpt-4o", 200, 0, total_tokens=4900)
BEYOND_TOTAL = ModelUsage("gpt-4o", 200, 300, total_tokens=400)
AS_TOTAL = ModelUsage("gpt-4o", 200, 300, total_tokens=500)
REPORTED = ModelUsage("gpt-4o-mini", 1000, 100, reported_cost_usd=Decimal("0.05"))
NOTHING = ModelUsage("unknown")
TORN = ModelUsage("gpt-4o", 10, 10, more={"cache_read_tokens": 20})
SOUND = ModelUsage("gpt-4o-mini", 10, 10, more={"input_audio_tokens": 5})

Steps = Callable[["Side"], Awaitable[None]]


class Side:
    """One side of the comparison: calls a client and records the result of each call."""

    def __init__(self, client: CreditsClient, user: str) -> None:
        self.client, self.user = client, user
        self.seen: list[Any] = []

    async def note(self, call: Awaitable[Any]) -> None:
        try:
            self.seen.append(_plain(await call))
        except FaregateError as error:
            known = {name: error.facts.get(name) for name in ("balance", "required", "status")}
            self.seen.append((type(error).__name__, error.status, error.code, known))

    async def start(self, key: str = "k", feature: str = "chat", **more: Any) -> None:
        more = {"user_id": self.user, **more}
        await self.note(self.client.authorize(feature, usage_key=f"{self.user}-{key}", **more))

    async def end(self, *usages: ModelUsage, key: str = "k", feature: str = "chat", **more: Any) -> None:
        more = {"user_id": self.user, **more}
        await self.note(self.client.settle_via_api(feature, usage_key=f"{self.user}-{key}", usages=usages, **more))

    async def void(self, key: str = "k", **more: Any) -> None:
        await self.note(self.client.void(f"{self.user}-{key}", **{"user_id": self.user, **more}))

    async def extend(self, key: str = "k", **more: Any) -> None:
        more = {"user_id": self.user, "ttl_seconds": 60, **more}
        try:
            ends = await self.client.extend(f"{self.user}-{key}", **more)
            self.seen.append(("lasts", round((ends - clock.now()).total_seconds(), -1)))
        except FaregateError as error:
            self.seen.append((type(error).__name__, error.code))

    async def quote(self, *usages: ModelUsage, feature: str = "chat", **more: Any) -> None:
        user = more.pop("user", self.user)
        await self.note(self.client.quote(feature, user, usages=usages, **more))

    async def balance(self) -> None:
        await self.note(self.client.balance(self.user))

    async def events(self, *events: Mapping[str, Any]) -> None:
        """Note what became of each event; the words of the rejections may differ."""
        done = await self.client.record_events(events)
        self.seen.append((done.accepted, done.duplicates, [item.index for item in done.rejected]))

    async def record(self, *usages: ModelUsage, key: str = "k", feature: str = "chat", **more: Any) -> None:
        more = {"user_id": self.user, **more}
        await self.note(self.client.record_usage(feature, usage_key=f"{self.user}-{key}", usages=usages, **more))


def _plain(result: Any) -> Any:
    """Return the compared part of an answer: everything but times, which differ between runs."""
    names = [name for name in result.__slots__ if name not in {"expires_at", "executed_at"}]
    return type(result).__name__, {name: getattr(result, name) for name in names}


async def started_and_settled(side: Side) -> None:
    await side.start()
    await side.end(GPT, CACHED)


async def every_kind_of_line(side: Side) -> None:
    for number, line in enumerate(
        [
            *(GPT, CACHED, FLEX, NAMED, LITELLM, UNKNOWN, NOTHING, TORN, SOUND),
            *(SHORT_OF_TOTAL, BEYOND_TOTAL, AS_TOTAL, REPORTED),
        ]
    ):
        await side.end(line, key=str(number))


async def totals_and_costs(side: Side) -> None:
    """A reported total is charged by its excess over the counts; a reported cost is part of the settlement."""
    await side.end(SHORT_OF_TOTAL)
    await side.end(ModelUsage("gpt-4o", 200, 4700))
    await side.end(ModelUsage("gpt-4o", 200, 4700, total_tokens=5000))
    await side.end(REPORTED, key="cost")
    await side.end(replace(REPORTED, reported_cost_usd=Decimal("0.0500")), key="cost")
    await side.end(replace(REPORTED, reported_cost_usd=Decimal("0.06")), key="cost")
    await side.end(replace(REPORTED, reported_cost_usd=None), key="cost")
    await side.end(replace(REPORTED, reported_cost_usd=Decimal(-1)), key="wrong")
    await side.end(replace(REPORTED, total_tokens=-1), key="wrong")


async def unpriced_beside_priced(side: Side) -> None:
    await side.start()
    await side.end(GPT, UNKNOWN, LARGE)
    await side.start(key="dear")
    await side.end(UNKNOWN, LARGE, LARGE, key="dear")


async def nothing_used(side: Side) -> None:
    await side.start()
    await side.end()
    await side.end(ModelUsage("gpt-4o"), key="zero")


async def held_by_estimate(side: Side) -> None:
    await side.start(key="a", estimate=[LARGE])
    await side.start(key="b", estimate=Decimal("0.5"))
    await side.start(key="c", estimate=Decimal("2.25"))
    await side.start(key="d", estimate=[UNKNOWN])
    await side.start(key="e", estimate=10)


async def over_the_hold(side: Side) -> None:
    await side.start()
    await side.end(LARGE, LARGE)


async def short(side: Side) -> None:
    """The part that the wallet cannot pay is shortfall; credits held by other uses are not charged."""
    await side.start(key="other")
    await side.start()
    await side.end(HUGE)
    await side.end(HUGE, key="again")
    await side.start(key="late")


async def late(side: Side) -> None:
    await side.start()
    await side.void()
    await side.void()
    await side.end(GPT)
    await side.void()


async def never_started(side: Side) -> None:
    await side.end(GPT)
    await side.end(GPT)
    await side.start()
    await side.void()


async def repeated(side: Side) -> None:
    await side.start(metadata={"a": 1})
    await side.start(metadata={"a": 2})
    await side.end(GPT, LITELLM)
    await side.end(HUGE, key="other")
    await side.end(LITELLM, GPT, duration_ms=5, metadata={"b": 1})
    await side.start()


async def conflicts(side: Side) -> None:
    await side.start()
    await side.start(estimate=3)
    await side.start(ttl_seconds=60)
    await side.start(feature="paper")
    await side.start(user_id=f"{side.user}-2")
    await side.end(GPT)
    await side.end(LARGE)
    await side.end(ModelUsage("gpt-4o", 1000, 101))
    await side.start(estimate=3)


async def not_the_one_who_started(side: Side) -> None:
    await side.start()
    await side.end(GPT, user_id="mallory")
    await side.end(GPT, feature="paper")
    await side.void(user_id="mallory")
    await side.extend(user_id="mallory")
    await side.end(GPT)
    await side.end(GPT, user_id="mallory")


async def nothing_to_close(side: Side) -> None:
    await side.void()
    await side.extend()
    await side.start()
    await side.extend()
    await side.void(reason="changed her mind")
    await side.extend()
    await side.start()


async def in_one_call(side: Side) -> None:
    await side.record(GPT, metadata={"page": 1})
    await side.record(GPT)
    await side.record(LARGE)
    await side.record(UNKNOWN, key="unpriced")
    await side.record(HUGE, key="dear")
    await side.record(key="empty")
    await side.end(GPT)


async def a_fixed_price(side: Side) -> None:
    await side.start(feature="paper")
    await side.end(feature="paper")
    await side.record(feature="paper", key="second")
    await side.record(feature="paper", key="third")


async def wrong_calls(side: Side) -> None:
    await side.start(ttl_seconds=0)
    await side.start(estimate=Decimal(-1))
    await side.start(user_id="org:acme")
    await side.start(user_id="a b")
    await side.end(ModelUsage("gpt-4o", -1))
    await side.end(ModelUsage("gpt-4o", 10**9 + 1))
    await side.end(ModelUsage("gpt-4o", 1, more={"cached_tokens": 5}))
    await side.end(ModelUsage("", 1))
    await side.end(*[GPT] * 101)


async def empty_handed(side: Side) -> None:
    await side.start(key="all", estimate=Decimal("9.5"))
    await side.start()
    await side.record(GPT)
    await side.end(LARGE, key="all")
    await side.start()


async def a_member(side: Side) -> None:
    """Uses of an organisation's members are recorded and not charged."""
    await side.start(estimate=100)
    await side.end(LARGE)
    await side.end(LARGE, key="unstarted")
    await side.record(LARGE, key="direct")
    await side.quote(LARGE, estimate=100)


async def quoted(side: Side) -> None:
    """A quote holds and charges nothing."""
    await side.quote(GPT, CACHED)
    await side.quote(estimate=[LARGE])
    await side.quote(GPT, estimate=[LARGE])
    await side.quote(GPT, estimate=Decimal("4.5"))
    await side.quote(UNKNOWN)
    await side.quote()
    await side.quote(HUGE)
    await side.quote(feature="paper")
    await side.start(estimate=9)
    await side.quote(GPT)
    await side.quote(user="org:acme")
    await side.quote(ModelUsage("gpt-4o", -1))
    await side.quote(estimate=Decimal(-1))
    await side.balance()


async def in_a_block(side: Side) -> None:
    async with side.client.use("chat", side.user, key=f"{side.user}-k", estimate=3) as use:
        use.add("gpt-4o", input_tokens=1000, output_tokens=100)
        await side.balance()
    side.seen.append(_plain(use.result))
    async with side.client.use("chat", side.user, key=f"{side.user}-v") as use:
        use.void("from the cache")
    side.seen.append(_plain(use.result))
    await side.balance()


async def odd_ids(side: Side) -> None:
    key = "use/1=|+"
    await side.start(key=key)
    await side.end(GPT, key=key)
    await side.end(GPT, key=key, user_id="auth0|1")
    await side.record(key="auth0|x/y+z=", feature="paper")


async def metered(side: Side) -> None:
    chat = {"user_id": side.user, "service": "chat", "id": "1", "source": side.user}
    calls = {"user_id": side.user, "meter": "calls", "quantity": 3, "id": "2", "source": side.user}
    cloud = {
        "specversion": "1.0", "id": "3", "source": side.user, "type": "chat", "subject": "auth0|1", "data": {},
    }  # fmt: skip
    await side.events(chat, calls, cloud)
    await side.events(chat, {**chat, "id": "4"}, {**chat, "id": "4"}, cloud)
    await side.events(
        {"service": "chat"}, {**chat, "user_id": "a b", "id": "5"}, {"user_id": "ada"}, {**chat, "id": "6"}
    )
    await side.events(
        {**calls, "id": "7", "quantity": -1}, {**chat, "id": "8", "colour": "red"}, {**cloud, "specversion": "2"}
    )
    await side.events({"user_id": side.user, "service": "chat"}, {"user_id": side.user, "service": "chat"})
    await side.events()


CASES: Sequence[Steps] = (
    *(
        started_and_settled,
        every_kind_of_line,
        totals_and_costs,
        unpriced_beside_priced,
        nothing_used,
        held_by_estimate,
        over_the_hold,
    ),
    *(short, late, never_started, repeated, conflicts, not_the_one_who_started, nothing_to_close, in_one_call),
    *(a_fixed_price, wrong_calls, empty_handed, a_member, quoted, in_a_block, odd_ids, metered),
)


async def test_the_fake_answers_as_the_gateway(gateway: Gateway) -> None:
    """Outcomes, errors, balances and lines are equal at each step."""
    await gateway.feature("chat", min_credits=2)
    await gateway.feature("paper", strategy="fixed", parameters={"credits": 5}, min_credits=2)
    await gateway.put("/api/organizations/acme", {"join": ["a_member"]})
    differing: dict[str, Any] = {}
    for case in CASES:
        user = case.__name__
        await gateway.grant(user, 10)
        transport = gateway.http._transport
        async with CreditsClient("http://gateway", KEY, transport=transport, retry=Retry(attempts=1)) as real:
            theirs = await _run(case, Side(real, user))
        async with FakeCredits(balance=10, hold=2, pricing={"paper": fixed_credits(5)}) as fake:
            fake.gateway.members["a_member"] = "acme"
            ours = await _run(case, Side(fake, user))
        steps = [(number, *pair) for number, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
        if steps:
            differing[user] = steps

    assert differing == {}


async def _run(case: Steps, side: Side) -> list[Any]:
    await case(side)
    return side.seen


@pytest.mark.parametrize("case", CASES)
async def test_every_case_records_several_steps(case: Steps) -> None:
    async with FakeCredits(balance=10, hold=2, pricing={"paper": fixed_credits(5)}) as fake:
        assert len(await _run(case, Side(fake, "ada"))) > 1


published = st.sampled_from(sorted(PriceSnapshot().models()))


@settings(deadline=None, max_examples=200)
@given(
    named=published | st.just(("", "no-such-model")),
    with_provider=st.booleans(),
    tier=st.none() | st.sampled_from(["flex", "priority", "batch"]),
    counts=st.dictionaries(st.sampled_from(COUNT_NAMES), st.integers(0, 10**6), max_size=5),
    margin=st.decimals(-100, 500, places=2),
    reported=st.none() | st.decimals(0, 10, places=6),
)
def test_every_line_costs_the_same_as_in_the_price_book(
    named: tuple[str, str],
    with_provider: bool,
    tier: str | None,
    counts: Mapping[str, int],
    margin: Decimal,
    reported: Decimal | None,
) -> None:
    provider, model = named
    owner = provider if with_provider and provider else None
    at = clock.now()
    book = PriceBook(PricingPolicy(margin_percent=margin, use_reported_cost=True))
    line = ModelUsage(
        model, provider=owner, tokens={"input_tokens": 0, **counts}, service_tier=tier, reported_cost_usd=reported
    )
    theirs = book.line(line, at=at)
    told = {"ai_model": model, "provider": owner, "service_tier": tier, "reported_cost_usd": reported, **counts}

    price = token_prices(margin_percent=margin, use_reported_cost=True, clock=lambda: at)([told])

    assert not isinstance(price, Decimal | int)
    (detail,) = price.details
    assert (price.credits, detail["price_version"], detail["provider"]) == (
        theirs.credits,
        theirs.price_version,
        theirs.provider,
    )
    assert price.unpriced == ([model] if theirs.unpriced else [])


async def test_holds_expire_by_the_clock_and_later_settlements_are_late() -> None:
    async with FakeCredits(balance=10, hold=2) as credits:
        go = await credits.authorize("chat", user_id="ada", ttl_seconds=60)
        await credits.extend(go.usage_key, user_id="ada", ttl_seconds=120)
        assert credits.gateway.free("ada") == 8
        later = clock.now() + timedelta(seconds=121)
        credits.gateway.clock = lambda: later
        assert credits.gateway.free("ada") == 10

        with pytest.raises(FaregateError) as closed:
            await credits.authorize("chat", user_id="ada", usage_key=go.usage_key, ttl_seconds=60)
        done = await credits.settle_via_api("chat", user_id="ada", usage_key=go.usage_key, usages=[GPT])

    assert (closed.value.code, done.flags) == ("hold_closed", ("late",))


async def test_a_settlement_refused_by_the_queue_is_a_dead_letter() -> None:
    """The gateway accepts a valid body; a conflict is detected when the worker settles it."""
    async with FakeCredits() as credits:
        await credits.settle_via_queue("chat", user_id="ada", usage_key="k", usages=[GPT])
        await credits.settle_via_queue("chat", user_id="ada", usage_key="k", usages=[LARGE])

        assert [code for code, _ in credits.gateway.dead_letters] == ["key_conflict"]
        assert credits.settled[0].charged == Decimal("0.42")


async def test_a_pricing_is_chosen_for_all_features_or_by_name() -> None:
    async with FakeCredits(pricing=one_credit) as one, FakeCredits(pricing={"paper": one_credit}) as named:
        costs = [
            (await credits.record_usage(feature, user_id="ada", usages=[GPT])).credits_charged
            for credits in (one, named)
            for feature in ("chat", "paper")
        ]

    assert costs == [1, 1, Decimal("0.42"), 1]


@pytest.mark.parametrize("wrong", [Decimal(-1), Decimal("0.0000001")])
async def test_a_pricing_with_an_invalid_amount_is_refused(wrong: Decimal) -> None:
    async with FakeCredits(pricing=lambda _: wrong) as credits:
        with pytest.raises(ValueError, match=f"pricing gave {wrong}"):
            await credits.settle_via_api("chat", user_id="ada", usage_key="k", usages=[GPT])


async def test_a_user_runs_out_of_credits() -> None:
    async with FakeCredits(balance=1) as credits:
        async with credits.charge("chat", user_id="ada") as ride:
            ride.add("gpt-4o", input_tokens=1_000_000)
        assert ride.result.state == "settled"
        assert (ride.result.charged, ride.result.flags) == (1, ("over_hold", "shortfall"))
        with pytest.raises(InsufficientCreditsError):
            await credits.authorize("chat", user_id="ada")
        with pytest.raises(KeyConflictError):
            await credits.settle_via_api("chat", user_id="ada", usage_key=ride.usage_key, usages=[GPT])
