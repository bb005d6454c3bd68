"""Quotas over usage events: counted from facts; hard quotas refuse starts, soft ones only fire alerts."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest

from faregate.analytics.quotas.container import QuotasContainer
from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.quotas.totals import FactTotals
from faregate.analytics.quotas.values import UsageQuestion
from faregate.core.clock import SystemClock
from faregate.core.container import CoreContainer
from faregate.core.db.database import Database
from faregate.credit.container import CreditContainer
from faregate.usage.container import UsageContainer
from faregate.usage.errors import QuotaExceededError
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest, StartRequest
from faregate.wire import exact_json
from support.library import Library
from support.mentions import mentions
from support.quotas import spec

NOW = SystemClock().now()
ENDPOINT = """
insert into faregate.webhook_endpoint (endpoint_id, url, events, secret, created_by)
values (gen_random_uuid(), 'https://x.example', array['usage.alert'], 'whsec_x', 'test')
"""


@pytest.fixture
async def shop(database: Database, settings: Any) -> tuple[Library, QuotaService]:
    core = CoreContainer(settings=settings, database=database)
    quotas = QuotasContainer(settings=settings, database=database, subjects=core.subjects, clock=core.clock)
    credit = CreditContainer(
        settings=settings, database=core.database, subjects=core.subjects, outbox=core.outbox, progress=core.heartbeats
    )
    usage = UsageContainer(
        settings=settings,
        database=core.database,
        subjects=core.subjects,
        credit=credit.service,
        clock=core.clock,
        quotas=quotas.gate,
    )
    library = Library(core, credit, usage)
    await library.feature(Feature(key="chat", name="Chat", min_credits=Decimal(1), strategy="token_priced"))
    for user in ("ada", "ben"):
        await library.grant(user, 1000)
    return library, quotas.service()


async def ride(library: Library, user: str, key: str) -> None:
    await library.service.authorize(StartRequest(user_id=user, feature=FeatureRef("chat", "chat"), usage_key=key))
    await library.service.settle(
        SettleRequest(
            user_id=user,
            feature=FeatureRef("chat", "chat"),
            usage_key=key,
            usages=(ModelUsage("gpt-4o", tokens={"input_tokens": 100, "output_tokens": 50}),),
        )
    )


async def test_a_hard_quota_refuses_starts_and_a_soft_one_only_fires_alerts(shop: tuple[Library, QuotaService]) -> None:
    library, quotas = shop
    hard = await quotas.put(spec(2, owner_id="ada", meter="requests", hard=True))
    await quotas.put(spec(1, owner_id="ben", meter="requests"))
    for number in range(2):
        await ride(library, "ada", f"a{number}")
        await ride(library, "ben", f"b{number}")

    await ride(library, "ben", "b-more")
    with pytest.raises(QuotaExceededError) as refusal:
        await ride(library, "ada", "a-more")

    assert (refusal.value.facts["used"], refusal.value.facts["limit"]) == (2, 2)
    assert (await quotas.status(hard.id)).level is Level.EXCEEDED
    assert {alert.owner_id for alert in await quotas.check()} == {"ada", "ben"}


async def test_a_begun_use_is_settled_after_the_quota_is_used_up(
    shop: tuple[Library, QuotaService],
) -> None:
    library, quotas = shop
    await library.service.authorize(StartRequest(user_id="ada", feature=FeatureRef("chat", "chat"), usage_key="begun"))
    await quotas.put(spec(0, owner_id="ada", meter="requests", hard=True))
    settled = await library.service.settle(
        SettleRequest(
            user_id="ada",
            feature=FeatureRef("chat", "chat"),
            usage_key="begun",
            usages=(ModelUsage("gpt-4o", tokens={"input_tokens": 1000}),),
        )
    )

    assert settled.charged > 0


async def test_a_raised_limit_lets_the_next_use_begin(
    shop: tuple[Library, QuotaService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.core.db.versioned_cache._CHECK_SECONDS", 0)
    monkeypatch.setattr("faregate.analytics.quotas.gate._REMEMBER_SHARED_SECONDS", 0)
    library, quotas = shop
    await quotas.put(spec(1, owner_id="*", meter="requests", hard=True, period=QuotaPeriod.YEAR))
    await ride(library, "ada", "k1")
    with pytest.raises(QuotaExceededError):
        await ride(library, "ada", "k2")
    await quotas.put(spec(10_000, owner_id="*", meter="requests", hard=True, period=QuotaPeriod.YEAR))

    await ride(library, "ada", "k3")


async def test_totals_count_each_measure_for_each_kind_of_owner(lab: Any) -> None:
    await lab.recorder.record(
        [
            {"user_id": "ada", "organization_id": "acme", "service": "chat", "model": "m", "input_tokens": 10, "output_tokens": 5, "credits": Decimal("1.5"), "cost_usd": Decimal("0.25"), "usage_key": "k1"},
            {"user_id": "ben", "organization_id": "acme", "service": "chat", "model": "m", "input_tokens": 1, "output_tokens": 1, "credits": 2, "usage_key": "k2"},
            {"user_id": "eve", "meter": "storage", "quantity": Decimal("0.5")},
            {"user_id": "ada", "meter": "storage", "quantity": 2},
        ]
    )  # fmt: skip
    quotas = QuotasContainer(
        settings=lab.library.core.settings(),
        database=lab.database,
        subjects=lab.library.core.subjects,
        clock=lab.library.core.clock,
    ).service()

    async def used(owner: str, meter: str) -> Decimal:
        quota = await quotas.put(spec(100, owner_id=owner, meter=meter, period=QuotaPeriod.YEAR))
        return (await quotas.status(quota.id)).used

    assert [await used("ada", name) for name in ("requests", "tokens", "credits", "cost_usd", "storage")] == [
        1, 15, Decimal("1.5"), Decimal("0.25"), 2,
    ]  # fmt: skip
    assert [await used("org:acme", name) for name in ("requests", "tokens", "credits", "storage")] == [
        2, 17, Decimal("3.5"), 0,
    ]  # fmt: skip
    assert [await used("*", name) for name in ("requests", "storage", "database")] == [2, Decimal("2.5"), 0]


@pytest.mark.parametrize(("claim", "used"), [("member", 4), ("trusted", 7)])
async def test_a_user_who_is_not_a_member_uses_up_no_quota_of_an_organisation(
    lab: Any, claim: Literal["member", "trusted"], used: int
) -> None:
    """Events may name any organisation; others must not use up its hard quota with their reports."""
    await lab.library.usage.organizations().change("acme", join=["ada"])
    await lab.recorder.record(
        [
            {"user_id": "ada", "organization_id": "acme", "meter": "storage", "quantity": 4},
            {"user_id": "eve", "organization_id": "acme", "meter": "storage", "quantity": 2},
            {"user_id": "ben", "organization_id": "acme", "meter": "storage", "quantity": 1},
            {"user_id": "eve", "organization_id": "elsewhere", "meter": "storage", "quantity": 5},
        ]
    )
    totals = FactTotals(lab.database, claim=claim)
    async with lab.database.transaction() as session:
        numbers = await lab.library.core.subjects().numbers(session, ["org:acme", "org:elsewhere"])
        span = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        found = await totals.totals(
            session, [UsageQuestion(number, True, "storage", *span) for number in numbers.values()]
        )

    assert dict(zip(numbers, found, strict=True)) == {"org:acme": used, "org:elsewhere": 5}


async def test_settlements_of_former_members_count_for_their_organisation(lab: Any) -> None:
    """The payer was decided by the membership at the start of the use."""
    library = lab.library
    await library.usage.organizations().change("acme", join=["ada"])
    await library.grant("ada", 100)
    await library.service.record_usage("GENERATE_QUESTION_PAPER", "ada", usage_key="K")
    await library.usage.organizations().change("acme", leave=["ada"])
    async with lab.database.transaction() as session:
        numbers = await library.core.subjects().numbers(session, ["org:acme"])
        span = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        question = UsageQuestion(numbers["org:acme"], True, "requests", *span)
        (found,) = await FactTotals(lab.database).totals(session, [question])

    assert found == 1


async def test_subscribers_of_usage_alert_get_a_webhook(lab: Any) -> None:
    """One delivery for each alert and endpoint, written in the transaction that fires it, without personal data."""
    core = lab.library.core
    quotas = QuotasContainer(
        settings=core.settings(),
        database=lab.database,
        subjects=core.subjects,
        clock=core.clock,
        announcer=core.announcer,
    ).service()
    async with lab.database.transaction() as session:
        await lab.database.rows(session, ENDPOINT)
    await quotas.put(spec(10, owner_id="ada", meter="storage"))
    await lab.recorder.record([{"user_id": "ada", "meter": "storage", "quantity": 8}])
    await quotas.check()
    await quotas.check()

    async with lab.database.transaction() as session:
        rows = await lab.database.rows(session, "select event_type, payload from faregate.webhook_delivery")
    ((kind, payload),) = [(row.event_type, exact_json.loads(row.payload)) for row in rows]
    assert (kind, payload["data"]["level"], payload["data"]["used"]) == ("usage.alert", "warning", 8)
    assert list(payload["people"]) == ["owner_id"]
    assert not mentions(rows[0].payload, "ada")
