"""Balance, quote, usage events and feedback of the client."""

from decimal import Decimal
from typing import Any

import pytest

from faregate.client import (
    CreditsClient,
    InvalidError,
    ModelUsage,
    SyncFakeCredits,
    UnknownFeatureError,
    UnknownUsageKeyError,
    one_credit,
)
from support.apps import Gateway

GPT = ModelUsage("gpt-4o", 1000, 100)


async def test_the_balance_of_an_owner_without_a_wallet_is_what_the_first_use_finds(
    credits: CreditsClient, gateway: Gateway
) -> None:
    new = await credits.balance("auth0|1/2")
    assert (new.status, new.free, new.user_id) == ("new", 0, "auth0|1/2")

    await gateway.put("/api/wallets/auth0%7C1%2F2", {"credit_limit": 5, "status": "frozen"})
    known = await credits.balance("auth0|1/2")
    assert (known.status, known.free, known.credit_limit, known.balance, known.plan) == ("frozen", 5, 5, 0, None)


async def test_a_balance_tells_what_is_held(credits: CreditsClient) -> None:
    await credits.authorize("paper", user_id="ada", estimate=Decimal("7.5"))
    found = await credits.balance("ada")

    assert (found.free, found.held, found.balance) == (Decimal("2.5"), Decimal("7.5"), 10)


async def test_a_quote_is_what_start_and_settlement_then_do(credits: CreditsClient) -> None:
    quoted = await credits.quote("ai_chat_v1", "ada", usages=[GPT], estimate=3)
    go = await credits.authorize("ai_chat_v1", user_id="ada", estimate=3)
    done = await credits.settle_via_api("ai_chat_v1", user_id="ada", usage_key=go.usage_key, usages=[GPT])

    assert (quoted.hold, quoted.credits, quoted.lines) == (go.hold, done.consumed, done.details)
    assert (quoted.free, quoted.covered, quoted.charging) == (10, True, "individual")


async def test_a_refused_quote_raises_as_a_start_does(credits: CreditsClient) -> None:
    with pytest.raises(UnknownFeatureError):
        await credits.quote("nothing", "ada")


async def test_many_events_are_sent_in_parts_and_keep_their_numbers(credits: CreditsClient) -> None:
    events: list[dict[str, Any]] = [{"user_id": "ada", "service": "chat"} for _ in range(250)]
    events[3] = events[120] = events[249] = {"service": "chat"}
    done = await credits.record_events(events)

    assert (done.accepted, done.duplicates) == (247, 0)
    assert [item.index for item in done.rejected] == [3, 120, 249]
    assert all("user_id" in item.error for item in done.rejected)


async def test_events_are_sent_again_without_counting_twice(credits: CreditsClient, line: Any) -> None:
    """The gateway recorded them, and its answer was lost."""
    line.failures = ["unanswered"]
    done = await credits.record_events([{"user_id": "ada", "service": "chat"}])

    assert (done.accepted, done.duplicates) == (0, 1)


async def test_an_event_that_is_no_mapping_is_named(credits: CreditsClient) -> None:
    wrong: Any = [{"user_id": "ada", "service": "chat"}, "chat"]
    with pytest.raises(InvalidError, match=r"events\[1\]"):
        await credits.record_events(wrong)


def test_the_sync_client_has_the_same_calls() -> None:
    with SyncFakeCredits(balance=10, pricing=one_credit) as credits:
        quoted = credits.quote("chat", "ada", usages=[GPT])
        with credits.use("chat", "ada", key="k") as use:
            use.add("gpt-4o", input_tokens=1)
        events = credits.record_events([{"user_id": "ada", "service": "chat", "id": "1"}] * 2)

        assert (quoted.credits, quoted.covered) == (1, True)
        assert (use.result.state, use.result.charged, use.usage_key) == ("settled", 1, "k")
        assert credits.balance("ada").free == 9
        assert (events.accepted, events.duplicates, len(credits.gateway.events)) == (1, 1, 1)


async def test_feedback_is_given_replaced_and_refused_as_the_gateway_says(
    credits: CreditsClient, gateway: Gateway
) -> None:
    await credits.settle_via_api("ai_chat_v1", user_id="ada", usage_key="chat-1", usages=[GPT])
    await credits.feedback("chat-1", 1, tags=["wrong"], text="no")
    await credits.feedback("chat-1", 4)

    (stored,) = (await gateway.get("/api/feedback")).data
    assert (stored["user_id"], stored["score"], stored["tags"], stored["text"]) == ("ada", 4, [], None)
    with pytest.raises(UnknownUsageKeyError):
        await credits.feedback("never", 4)
    with pytest.raises(InvalidError):
        await credits.feedback("chat-1", 6)


def test_the_fake_takes_feedback_as_the_gateway_does() -> None:
    with SyncFakeCredits(pricing=one_credit) as credits:
        credits.settle_via_api("chat", user_id="ada", usage_key="chat-1", usages=[GPT])
        credits.feedback("chat-1", 5, tags=["right"], text="good")

        assert credits.gateway.feedback["chat-1"] == {
            "usage_key": "chat-1",
            "score": 5,
            "tags": ["right"],
            "text": "good",
        }
        with pytest.raises(UnknownUsageKeyError):
            credits.feedback("never", 4)
        with pytest.raises(InvalidError):
            credits.feedback("chat-1", 0)
