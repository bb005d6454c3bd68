"""Quotas: each alert fires once, is stored in the history, and is retried until every channel has it."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from faregate.analytics.quotas.delivering import DELAYS
from faregate.analytics.quotas.errors import UnknownQuotaError
from faregate.analytics.quotas.levels import Level, Thresholds
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import AlertFilter
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from support.quotas import NOON, Inbox, Quotas, make_quotas, spec

STEADY = NOON.replace(day=1, hour=0)


async def levels(quotas: Quotas) -> list[str]:
    return [alert.level.value for alert in await quotas.service.alerts(AlertFilter())]


async def test_a_quota_of_100_fires_at_75_90_and_100_once_each(database: Database) -> None:
    """Scenario 60."""
    quotas = make_quotas(database, [Inbox()], now=NOON.replace(day=31, hour=20))
    await quotas.service.put(spec(100))
    fired: list[list[str]] = []
    for use in (0, 74, 1, 14, 1, 9, 1, 50):
        quotas.ledger.use(STEADY, use)
        fired.append([alert.level.value for alert in await quotas.service.check()])
        assert await quotas.service.check() == []

    assert fired == [[], [], ["warning"], [], ["critical"], [], ["exceeded"], []]


async def test_concurrent_checks_fire_each_level_once(database: Database) -> None:
    inbox = Inbox()
    quotas = make_quotas(database, [inbox])
    for number in range(5):
        await quotas.service.put(spec(100, owner_id=f"u{number}"))
    quotas.ledger.use(STEADY, 95)

    checks = await asyncio.gather(*(quotas.service.check() for _ in range(12)))
    delivered = await asyncio.gather(*(quotas.deliverer.deliver_due() for _ in range(6)))

    assert sum(len(fired) for fired in checks) == sum(delivered) == len(inbox.alerts) == 5
    assert sorted(await levels(quotas)) == ["critical"] * 5 + ["warning"] * 5


async def test_of_levels_passed_at_once_all_are_stored_and_the_most_urgent_is_delivered(
    database: Database,
) -> None:
    inbox = Inbox()
    quotas = make_quotas(database, [inbox])
    await quotas.service.put(spec(100))
    quotas.ledger.use(STEADY, 120)
    await quotas.service.check()
    await quotas.deliverer.deliver_due()

    assert [alert.level for alert in inbox.alerts] == [Level.EXCEEDED]
    history = {alert.level: alert.superseded for alert in await quotas.service.alerts(AlertFilter())}
    assert history == {Level.EXCEEDED: False, Level.CRITICAL: True, Level.WARNING: True}


async def test_a_new_period_fires_again(database: Database) -> None:
    quotas = make_quotas(database)
    await quotas.service.put(spec(10, period=QuotaPeriod.DAY))
    for day in (14, 15):
        quotas.ledger.use(datetime(2026, 5, day, 3, tzinfo=UTC), 8)
        assert [alert.level for alert in await quotas.service.check()] == [Level.WARNING]
        assert await quotas.service.check() == []
        quotas.clock.advance(days=1)


async def test_alerts_may_fire_again_after_a_raised_limit_but_not_for_the_same_quota(database: Database) -> None:
    quotas = make_quotas(database)
    first = await quotas.service.put(spec(100))
    quotas.ledger.use(STEADY, 80)
    await quotas.service.check()

    again = await quotas.service.put(spec(100))
    assert (again.id, again.revision, await quotas.service.check()) == (first.id, 1, [])
    raised = await quotas.service.put(spec(102))

    assert (raised.id, raised.revision) == (first.id, 2)
    assert [(alert.level, alert.limit) for alert in await quotas.service.check()] == [(Level.WARNING, 102)]


async def test_thresholds_of_a_quota_override_those_of_the_deployment(database: Database) -> None:
    quotas = make_quotas(database)
    await quotas.service.put(spec(100, thresholds=Thresholds(Decimal(10), Decimal("20.5"), Decimal(30))))
    quotas.ledger.use(STEADY, "20.5")

    assert [alert.level for alert in await quotas.service.check()] == [Level.CRITICAL]


async def test_a_steady_use_is_predicted_to_run_out_before_it_warns(database: Database) -> None:
    """50 of 100 by the 13th: used up on the 26th. The alert fires once, while no more urgent level is reached."""
    inbox = Inbox()
    quotas = make_quotas(database, [inbox], now=datetime(2026, 5, 13, 12, tzinfo=UTC))
    quota = await quotas.service.put(spec(100))
    for hour in range(300):
        quotas.ledger.use(STEADY + timedelta(hours=hour), "0.166666")

    status = await quotas.service.status(quota.id)
    assert (status.level, status.remaining, status.percent) == (None, Decimal("50.0002"), Decimal("49.99"))
    assert status.prediction is not None
    assert status.prediction.runs_out_at is not None
    assert status.prediction.runs_out_at.date() == datetime(2026, 5, 26, tzinfo=UTC).date()
    assert [alert.level for alert in await quotas.service.check()] == [Level.PREDICTED]
    assert await quotas.service.check() == []
    await quotas.deliverer.deliver_due()
    assert inbox.alerts[0].runs_out_at == status.prediction.runs_out_at


async def test_inactive_and_deleted_quotas_fire_no_alerts(database: Database) -> None:
    quotas = make_quotas(database)
    quota = await quotas.service.put(spec(1, active=False))
    quotas.ledger.use(STEADY, 5)
    assert await quotas.service.check() == []

    await quotas.service.remove(quota.id)
    for call in (quotas.service.remove, quotas.service.get, quotas.service.status):
        with pytest.raises(UnknownQuotaError):
            await call(quota.id)


async def test_quotas_are_listed_by_owner_and_page_by_page(database: Database) -> None:
    quotas = make_quotas(database)
    for owner in ("u1", "org:acme", "*"):
        for meter in ("api", "storage"):
            await quotas.service.put(spec(1, owner_id=owner, meter=meter))
    first = await quotas.service.quotas(limit=4)
    rest = await quotas.service.quotas(limit=4, after=first[-1].id)

    assert len({quota.id for quota in [*first, *rest]}) == 6
    assert [quota.spec.meter for quota in await quotas.service.quotas(owner_id="*")] == ["api", "storage"]


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"owner_id": "org:"}, "owner_id"),
        ({"owner_id": "a b"}, "owner_id"),
        ({"limit": Decimal(-1)}, "limit"),
        ({"limit": Decimal("nan")}, "limit"),
        ({"timezone": "Mars"}, "timezone"),
        ({"emails": ("nobody",)}, "emails"),
        ({"emails": ("a@b.c\nBcc: x@y.z",)}, "emails"),
    ],
)
async def test_an_invalid_quota_is_refused_by_field(database: Database, changed: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        await make_quotas(database).service.put(spec(**changed))

    assert refusal.value.param == param


async def test_an_unavailable_channel_gets_the_alert_later_and_the_others_at_once(database: Database) -> None:
    slow, fast = Inbox("slow", refusals=2), Inbox("fast")
    quotas = make_quotas(database, [slow, fast])
    await quotas.service.put(spec(1))
    quotas.ledger.use(STEADY, 1)
    await quotas.service.check()

    counts = [await quotas.deliverer.deliver_due()]
    for delay in DELAYS[:2]:
        assert await quotas.deliverer.deliver_due() == 0
        quotas.clock.advance(seconds=delay.total_seconds())
        counts.append(await quotas.deliverer.deliver_due())

    assert counts == [1, 0, 1]
    (alert, *_) = await quotas.service.alerts(AlertFilter(level=Level.EXCEEDED))
    sent = {delivery.channel: (delivery.status, delivery.attempts) for delivery in alert.deliveries}
    assert sent == {"fast": ("delivered", 1), "slow": ("delivered", 3)}


async def test_a_delivery_fails_with_the_reason_after_the_last_attempt(database: Database) -> None:
    quotas = make_quotas(database, [Inbox(refusals=99)])
    await quotas.service.put(spec(1))
    quotas.ledger.use(STEADY, 1)
    await quotas.service.check()
    for _ in range(len(DELAYS) + 3):
        await quotas.deliverer.deliver_due()
        quotas.clock.advance(days=1)

    (alert, *_) = await quotas.service.alerts(AlertFilter(level=Level.EXCEEDED))
    (delivery,) = alert.deliveries
    assert (delivery.status, delivery.attempts) == ("failed", len(DELAYS) + 1)
    assert delivery.last_error == "the inbox is closed"


async def test_the_history_is_read_by_owner_meter_level_and_time(database: Database) -> None:
    quotas = make_quotas(database)
    for owner in ("u1", "u2"):
        await quotas.service.put(spec(100, owner_id=owner))
    quotas.ledger.use(STEADY, 92)
    await quotas.service.check()
    first = (await quotas.service.alerts(AlertFilter(limit=1)))[0]

    async def count(**wanted: Any) -> int:
        return len(await quotas.service.alerts(AlertFilter(**wanted)))

    assert await count() == 4
    assert await count(owner_id="u1") == await count(level=Level.WARNING) == 2
    assert await count(before=first.id) == 3
    assert await count(meter="storage") == await count(quota_id=uuid4()) == await count(since=NOON + timedelta(1)) == 0
    assert await count(until=NOON) == 0
