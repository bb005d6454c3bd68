"""The facade, on PostgreSQL and in memory: the same calls, answers and errors."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from host.conftest import OPENAI

from faregate.client import (
    AccessRefusedError,
    HoldClosedError,
    InsufficientCreditsError,
    InvalidError,
    KeyConflictError,
    ModelUsage,
    UnknownFeatureError,
    UnknownUsageKeyError,
)
from faregate.core.clock import SystemClock
from faregate.credit.errors import NotRefundableError
from faregate.host import Faregate
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.errors import NotAMemberError, UnknownOrganizationError


async def test_a_charge_counts_once_per_key(fare: Faregate) -> None:
    first = await fare.charge("image", "ada", key="K", metadata={"images": 2})
    again = await fare.charge("image", "ada", key="K", metadata={"images": 2})

    assert (first.credits_charged, first) == (Decimal(6), again)
    assert (await fare.balance("ada")).free == 14


async def test_one_key_for_two_prices_is_a_conflict(fare: Faregate) -> None:
    await fare.charge("image", "ada", key="K")

    with pytest.raises(KeyConflictError):
        await fare.charge("image", "ada", key="K", metadata={"images": 2})
    with pytest.raises(KeyConflictError):
        await fare.charge("image", "bela", key="K")


async def test_what_cannot_be_paid_is_refused_and_nothing_is_written(fare: Faregate) -> None:
    with pytest.raises(InsufficientCreditsError) as refused:
        await fare.charge("image", "ada", key="K", metadata={"images": 7})

    assert (refused.value.balance, refused.value.required) == (20, 21)
    assert (await fare.balance("ada")).balance == 20
    with pytest.raises(UnknownUsageKeyError):
        await fare.usage.story("K")


async def test_charges_at_the_same_time_never_overspend(fare: Faregate) -> None:
    charges = [fare.charge("image", "ada") for _ in range(20)]
    outcomes = await asyncio.gather(*charges, return_exceptions=True)

    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 6
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)} == {InsufficientCreditsError}
    assert (await fare.balance("ada")).free == 2


async def test_unknown_features_and_wrong_ids_are_named(fare: Faregate) -> None:
    with pytest.raises(UnknownFeatureError, match="Did you mean 'image'"):
        await fare.charge("imge", "ada")
    with pytest.raises(InvalidError) as wrong:
        await fare.charge("image", "no spaces please")
    assert wrong.value.param == "user_id"


async def test_a_block_holds_while_it_runs_and_settles_what_it_observed(fare: Faregate) -> None:
    async with fare.use("ai_chat_v1", "ada", key="K", estimate=5, metadata={"page": 1}) as use:
        held = await fare.balance("ada")
        use.observe(OPENAI)

    story = await fare.usage.story("K")
    assert (held.held, held.free, held.balance) == (5, 15, 20)
    assert (story.charge.status, story.charge.credits_charged) == ("settled", Decimal("0.42"))
    assert [line.usage.model for line in story.lines] == ["gpt-4o"]
    assert story.charge.metadata == {"page": 1}
    assert (await fare.balance("ada")).free == Decimal("19.58")


async def test_a_block_that_fails_before_it_used_anything_is_voided(fare: Faregate) -> None:
    with pytest.raises(RuntimeError):
        async with fare.use("ai_chat_v1", "ada", key="K"):
            raise RuntimeError

    charge = (await fare.usage.story("K")).charge
    assert (charge.status, charge.reason) == ("voided", "RuntimeError")
    assert (await fare.balance("ada")).free == 20


async def test_a_quote_says_what_a_use_would_hold_and_cost(fare: Faregate) -> None:
    usage = ModelUsage("gpt-4o", input_tokens=1000, output_tokens=100)
    chat = await fare.quote("ai_chat_v1", "ada", usages=[usage], estimate=5)
    image = await fare.quote("image", "ada", metadata={"images": 7})

    assert (chat.credits, chat.hold, chat.free, chat.covered) == (Decimal("0.42"), 5, 20, True)
    assert (image.credits, image.covered, chat.lines[0]["ai_model"]) == (21, False, "gpt-4o")
    assert (await fare.balance("ada")).status == "new"


async def test_a_block_is_refused_before_it_runs(fare: Faregate) -> None:
    ran = False
    with pytest.raises(InsufficientCreditsError):
        async with fare.use("ai_chat_v1", "ada", estimate=21):
            ran = True

    assert not ran


async def test_a_block_whose_key_is_settled_is_refused(fare: Faregate) -> None:
    async with fare.use("ai_chat_v1", "ada", key="K") as use:
        use.add("gpt-4o", input_tokens=1000, output_tokens=100)

    with pytest.raises(HoldClosedError):
        async with fare.use("ai_chat_v1", "ada", key="K"):
            pass


async def test_a_grant_counts_once_per_key(fare: Faregate) -> None:
    first = await fare.grant("ada", Decimal("5.5"), key="order-7", reason="thanks")
    again = await fare.grant("ada", Decimal("5.5"), key="order-7", reason="thanks")

    assert (first.id, first.credits, first.source) == (again.id, Decimal("5.5"), "purchase")
    assert (await fare.balance("ada")).free == Decimal("25.5")
    with pytest.raises(KeyConflictError):
        await fare.grant("ada", 6, key="order-7")


async def test_grants_are_used_by_priority_and_only_for_their_features(fare: Faregate) -> None:
    await fare.grant("ada", 3, key="chat", features=["ai_chat_v1"], priority=10)
    await fare.grant("ada", 4, key="first", priority=1)
    await fare.charge("image", "ada")
    left = {grant.key: grant.remaining for grant in await fare.container.wallets().grants("ada")}

    assert left == {"initial": 20, "chat": 3, "first": 1}


@pytest.mark.parametrize(
    ("credits", "source", "param"),
    [
        (1.5, "purchase", "credits"),
        (0, "purchase", "credits"),
        (Decimal("0.0000001"), "purchase", "credits"),
        (1, "gift", "source"),
    ],
)
async def test_wrong_grants_are_named(fare: Faregate, credits: Decimal, source: str, param: str) -> None:
    with pytest.raises(InvalidError) as wrong:
        await fare.grant("ada", credits, key="k", source=source)
    assert wrong.value.param == param


async def test_an_expired_grant_is_not_free(fare: Faregate) -> None:
    soon = SystemClock().now() + timedelta(seconds=1)
    await fare.grant("ada", 5, key="promo", source="bonus", expires_at=soon)
    assert (await fare.balance("ada")).free == 25

    async with asyncio.timeout(5):
        while (await fare.balance("ada")).free != 20:
            await asyncio.sleep(0.05)


async def test_a_refund_returns_a_use_once_to_the_grants_that_paid(fare: Faregate) -> None:
    await fare.grant("ada", 2, key="first", priority=1)
    await fare.charge("image", "ada", key="K")
    refunds = [await fare.refund("K", reason="bad picture") for _ in range(2)]
    left = {grant.key: grant.remaining for grant in await fare.container.wallets().grants("ada")}

    assert [refund.credits for refund in refunds] == [3, 3]
    assert refunds[0].transactions == refunds[1].transactions
    assert left == {"initial": 20, "first": 2}


async def test_parts_of_a_use_are_refunded_up_to_its_price(fare: Faregate) -> None:
    await fare.charge("image", "ada", key="K")
    await fare.refund("K", 1, reason="late")
    await fare.refund("K", 1, reason="late again", refund_key="second")
    with pytest.raises(NotRefundableError):
        await fare.refund("K", Decimal("1.5"), reason="too much")

    assert (await fare.refund("K", reason="the rest")).credits == 1
    assert (await fare.balance("ada")).free == 20


async def test_a_refund_reaches_what_the_credit_limit_paid(fare: Faregate) -> None:
    """A use paid from grants and from the limit has two charges; both are returned, the debt first."""
    await fare.charge("image", "ada", metadata={"images": 6})
    await fare.container.wallets().change("ada", _limit(10))
    await fare.charge("image", "ada", key="K")
    partly = await fare.refund("K", Decimal("1.5"), reason="half")
    debt = (await fare.container.wallets().get("ada"))[0].debt
    rest = await fare.refund("K", reason="all")

    assert [t.amount for t in partly.transactions] == [1, Decimal("0.5")]
    assert (debt, rest.credits) == (0, Decimal("1.5"))
    assert (await fare.balance("ada")).balance == 2


async def test_unknown_uses_cannot_be_refunded(fare: Faregate) -> None:
    with pytest.raises(UnknownUsageKeyError):
        await fare.refund("none", reason="bad")


async def test_an_organisation_pays_for_its_members_or_only_records(fare: Faregate) -> None:
    await fare.organizations.define("acme", policy="pooled", join=["ada"])
    await fare.grant("org:acme", 10, key="order-1")
    pooled = await fare.charge("image", "ada")
    await fare.organizations.define("acme", policy="recorded")
    recorded = await fare.charge("image", "ada", organization="acme")

    assert (pooled.organization_id, pooled.credits_charged) == ("acme", 3)
    assert (recorded.credits_consumed, recorded.credits_charged) == (3, 0)
    assert (await fare.balance("org:acme")).free == 27
    assert (await fare.organizations.get("acme")).members == ["ada"]


async def test_membership_is_checked(fare: Faregate) -> None:
    await fare.organizations.define("acme", join=["ada"])
    with pytest.raises(NotAMemberError) as stranger:
        await fare.charge("image", "bela", organization="acme")
    with pytest.raises(UnknownOrganizationError):
        await fare.charge("image", "bela", organization="acne")
    with pytest.raises(InvalidError, match="recorded or pooled"):
        await fare.organizations.define("acme", policy="shared")

    assert isinstance(stranger.value, AccessRefusedError)


async def test_a_balance_is_known_before_the_first_use(fare: Faregate) -> None:
    new, used = await fare.balance("ada"), await fare.charge("image", "ada")

    assert (new.free, new.status, used.credits_charged) == (20, "new", 3)
    assert (await fare.balance("ada")).status == "active"


async def test_uses_are_listed_page_by_page(fare: Faregate) -> None:
    for number in range(3):
        await fare.charge("image", "ada", key=f"K{number}")
    page = await fare.usage.list(user="ada", feature="image", limit=2)
    rest = await fare.usage.list(user="ada", before=page[-1])

    assert [use.usage_key for use in (*page, *rest)] == ["K2", "K1", "K0"]
    assert await fare.usage.list(user="bela") == []


async def test_an_event_counts_once(fare: Faregate) -> None:
    event = {"id": "1", "source": "s3", "user_id": "ada", "kind": "meter", "meter": "storage", "quantity": 3}
    report = await fare.usage.record([event, event, {"id": "2"}])

    assert (report.accepted, report.duplicates, [r.index for r in report.rejected]) == (1, 1, [2])


async def test_tokens_are_priced_in_a_charge(fare: Faregate) -> None:
    used = await fare.charge("ai_chat_v1", "ada", usages=[ModelUsage("gpt-4o", input_tokens=1000, output_tokens=100)])

    assert used.credits_charged == Decimal("0.42")


def _limit(credits: int) -> WalletChange:
    return WalletChange({"credit_limit": Decimal(credits)})


@pytest.mark.parametrize("estimate", [5.5, float("nan"), Decimal("NaN"), -1, True, "5.5", [5]])
async def test_an_estimate_that_cannot_be_read_is_refused(fare: Faregate, estimate: Any) -> None:
    """Ignored, the hold would be too small for what it is to cover."""
    with pytest.raises(InvalidError, match="Decimal or a whole number") as wrong:
        fare.use("ai_chat_v1", "ada", estimate=estimate)
    with pytest.raises(InvalidError):
        await fare.quote("ai_chat_v1", "ada", estimate=estimate)

    assert wrong.value.param == "estimate"


async def test_an_empty_key_is_no_missing_one(fare: Faregate) -> None:
    with pytest.raises(InvalidError, match="usage_key"):
        async with fare.use("image", "ada", key=""):
            pass
    with pytest.raises(InvalidError, match="usage_key"):
        await fare.charge("image", "ada", key="")


@pytest.mark.parametrize("wrong", [42, None, b"ada"])
async def test_an_id_that_is_no_text_is_named(fare: Faregate, wrong: Any) -> None:
    for call in (fare.charge("image", wrong), fare.balance(wrong), fare.grant(wrong, 5, key="k")):
        with pytest.raises(InvalidError, match="must be a text"):
            await call


async def test_one_text_is_no_list_of_names(fare: Faregate) -> None:
    """Each of its letters would become a member, or a feature."""
    with pytest.raises(InvalidError, match="join must be a list"):
        await fare.organizations.define("acme", policy="pooled", join="kim")
    with pytest.raises(InvalidError, match="features must be a list"):
        await fare.grant("ada", 5, key="k", features="image")


@pytest.mark.parametrize(
    "metadata", ["text", {"a": {1, 2}}, {"a": float("nan")}, {"at": datetime(2026, 1, 1)}, {"a": "\ud800"}]
)
async def test_metadata_that_json_cannot_hold_is_refused_by_name(fare: Faregate, metadata: Any) -> None:
    with pytest.raises(InvalidError) as charged:
        await fare.charge("image", "ada", metadata=metadata)
    with pytest.raises(InvalidError) as used:
        fare.use("image", "ada", metadata=metadata)

    assert (charged.value.param, used.value.param) == ("metadata", "metadata")


async def test_a_nul_in_metadata_is_replaced_as_over_http(fare: Faregate) -> None:
    await fare.charge("image", "ada", key="K", metadata={"title": "a\0b", "list": ["\0"]})

    assert (await fare.usage.story("K")).charge.metadata == {"title": "a\ufffdb", "list": ["\ufffd"]}


async def test_a_moment_without_a_time_zone_is_refused_by_name(fare: Faregate) -> None:
    naive = datetime(2026, 1, 1)
    with pytest.raises(InvalidError, match="expires_at must be a datetime with a time zone"):
        await fare.grant("ada", 5, key="k", expires_at=naive)
    with pytest.raises(InvalidError, match="since must be a datetime with a time zone"):
        await fare.usage.list(since=naive)


async def test_a_use_that_is_free_because_nothing_was_observed_is_logged(
    fare: Faregate, caplog: pytest.LogCaptureFixture
) -> None:
    async with fare.use("ai_chat_v1", "ada", key="K", estimate=5) as use:
        pass

    assert use.result.charged == 0
    assert "K of ada is free, though 5.000000 credits were held for ai_chat_v1: nothing was observed" in caplog.text
