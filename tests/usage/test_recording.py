"""Recording of usage events: each is counted once, and an invalid one does not affect the others."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.errors import InvalidError
from faregate.usage.errors import AlreadyCorrectedError, UnknownEventError
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest
from support.library import Library


@pytest.fixture
def recorder(library: Library) -> UsageRecorder:
    return library.usage.recorder()


def event(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "source": "test", "user_id": "anna", "service": "chat", **more}


async def total(library: Library, what: str = "count(*)") -> Any:
    async with library.database.transaction() as session:
        rows = await library.database.rows(session, f"select {what} as value from faregate.usage_event")
    return rows[0].value


async def test_the_same_source_and_id_never_counts_twice(library: Library, recorder: UsageRecorder) -> None:
    """Also if it is resent with another time, without one, or twice in one call."""
    now = datetime.now(UTC)
    first = await recorder.record([event(1, time=now - timedelta(days=3)), event(1), event(2)])
    again = await recorder.record([event(1, time=now), event(2), event(3), event(1, source="other")])

    assert (first.accepted, first.duplicates) == (2, 1)
    assert (again.accepted, again.duplicates) == (2, 2)
    assert await total(library) == 4


async def test_concurrent_senders_of_the_same_events_count_them_once(library: Library, recorder: UsageRecorder) -> None:
    batches = [[event(n) for n in sorted(range(300), key=lambda n: (n * 7 + shift) % 300)] for shift in range(8)]

    reports = await asyncio.gather(*(recorder.record(batch) for batch in batches))

    assert sum(report.accepted for report in reports) == await total(library) == 300
    assert sum(report.duplicates for report in reports) == 7 * 300


async def test_invalid_item_does_not_affect_the_others(library: Library, recorder: UsageRecorder) -> None:
    now = datetime.now(UTC)
    bad: list[dict[str, Any]] = [
        event(1, status=99),
        event(2, time=now - timedelta(days=36)),
        event(3, time=now + timedelta(minutes=6)),
        event(4, credits=Decimal("0.0000001")),
        event(5, quantity=3),
        event(6, colour="red"),
        event(7, user_id="org:x"),
        event(8, credits=1.5),
        {"user_id": "anna"},
    ]

    report = await recorder.record([event(10), *bad, event(11)])

    assert report.accepted == 2
    assert [item.index for item in report.rejected] == list(range(1, 10))
    words = [
        "status",
        "FAREGATE_LATE_EVENT_DAYS",
        "FAREGATE_FUTURE_EVENT_SECONDS",
        "credits",
        "quantity",
        "colour",
        "user_id",
        "credits",
        "service",
    ]
    assert [word for word, item in zip(words, report.rejected, strict=True) if word not in item.error] == []


async def test_use_is_settled_in_a_month_without_partitions(library: Library) -> None:
    """A host without a worker settles for years; partitions are created for its own transactions, too."""
    await library.grant("anna", 100)
    await library.feature(Feature("f", "token_priced"))
    async with library.database.transaction() as session:
        months = await library.database.rows(
            session,
            "select tablename from pg_tables where schemaname = 'faregate' and tablename like 'usage\\_event\\_y%'",
        )
        for (name,) in months:
            await library.database.rows(session, f"drop table faregate.{name}")

    async with library.database.transaction() as session:
        await library.service.record_usage("f", "anna", session=session)

    assert len(months) >= 3
    assert await total(library, "sum(requests)") == 1


async def test_use_counts_as_one_request_for_all_its_reports(library: Library, recorder: UsageRecorder) -> None:
    await library.grant("anna", 100)
    await library.feature(Feature("f", "token_priced"))
    await recorder.record([event(1, usage_key="use-1", latency_ms=120, country="de")])
    request = SettleRequest(
        "use-1", "anna", FeatureRef(value="f"), (ModelUsage("gpt-4o", tokens={"input_tokens": 900}),)
    )

    settled = await library.service.settle(request)
    await library.service.settle(request)
    late = await recorder.record(
        [event(2, usage_key="use-1"), {"user_id": "anna", "service": "x", "usage_key": "use-1"}]
    )

    assert late.duplicates == 2
    assert await total(library, "sum(requests)") == 1
    assert await total(library, "sum(credits)") == int(settled.consumed * 10**6)
    assert await total(library, "sum(input_tokens)") == 900


async def test_events_in_the_hosts_transaction_roll_back_with_it(library: Library, recorder: UsageRecorder) -> None:
    with pytest.raises(RuntimeError):
        async with library.database.transaction() as session:
            await recorder.record([event(1)], session=session)
            raise RuntimeError

    assert (await recorder.record([event(1)])).accepted == 1


async def test_status_of_every_event_can_be_read(library: Library, recorder: UsageRecorder) -> None:
    history = library.usage.history()
    await recorder.record([event(1, credits=2), event(2, status=1)])

    counted, rejected = await history.fate("test", "e1"), await history.fate("test", "e2")

    assert counted.status == "counted"
    assert (counted.event or {})["credits"] == 2
    assert (counted.counted_in or {})["hour"].minute == 0
    assert rejected.status == "rejected"
    assert "status" in str(rejected.reason)
    with pytest.raises(UnknownEventError):
        await history.fate("test", "e3")
    await recorder.record([event(2)])
    assert (await history.fate("test", "e2")).status == "counted"


async def test_corrections_reverse_exactly_what_was_counted(library: Library, recorder: UsageRecorder) -> None:
    history = library.usage.history()
    await recorder.record([event(n, credits=n, input_tokens=10) for n in range(1, 5)])

    await history.void("test", "e1", reason="test run")
    await history.void("test", "e1")
    replaced = await history.replace("test", "e2", {"user_id": "bob", "service": "chat", "credits": 50})
    await history.replace("test", "e2", {"user_id": "bob", "service": "chat", "credits": 50})
    again = await history.replace("test", "e2", {"user_id": "bob", "service": "chat", "credits": 51})

    assert await total(library, "sum(credits)") == (51 + 3 + 4) * 10**6
    assert await total(library, "sum(requests)") == 3
    assert await total(library, "sum(input_tokens)") == 20
    assert (await history.fate("test", "e1")).status == "voided"
    assert replaced.status == again.status == "corrected"
    assert again.event is not None
    assert (again.event["user_id"], again.event["version"]) == ("bob", 2)
    assert [c.action for c in again.corrections] == ["replaced", "replaced"]
    with pytest.raises(AlreadyCorrectedError):
        await history.replace("test", "e1", {"user_id": "bob", "service": "chat"})
    assert (await recorder.record([event(1)])).duplicates == 1


async def test_concurrent_corrections_of_one_event_take_effect_once(library: Library, recorder: UsageRecorder) -> None:
    history = library.usage.history()
    await recorder.record([event(1, credits=7)])

    await asyncio.gather(*(history.void("test", "e1") for _ in range(8)))

    assert await total(library, "sum(credits)") == 0
    assert await total(library) == 2


async def test_meter_event_without_a_quantity_counts_one(library: Library, recorder: UsageRecorder) -> None:
    await recorder.record(
        [
            {"user_id": "anna", "meter": "api"},
            {"user_id": "anna", "meter": "storage", "quantity": Decimal("2.5")},
        ]
    )

    assert await total(library, "sum(quantity)") == Decimal("3.5")
    assert await total(library, "sum(requests)") == 0


def test_event_is_validated_on_creation() -> None:
    with pytest.raises(ValueError, match="latency_ms"):
        UsageEvent(user_id="anna", service="chat", latency_ms=-1)


async def test_events_without_an_id_always_count(library: Library, recorder: UsageRecorder) -> None:
    nameless = {"user_id": "anna", "service": "chat"}

    assert (await recorder.record([nameless, nameless])).accepted == 2
    assert (await recorder.record([nameless])).accepted == 1
    with pytest.raises(InvalidError):
        await library.usage.history().replace("x", "y", {"user_id": "anna", "colour": 1})


async def test_every_value_is_stored_unchanged(library: Library, recorder: UsageRecorder) -> None:
    """Rows are written in PostgreSQL's binary format; PostgreSQL must read the intended values."""
    said = ["0", "5", "7", "9999", "10000", "1.50", "0.000000001", "123456789012.123456789", "20000.0001"]
    time = datetime.now(timezone(timedelta(hours=5, minutes=30))).replace(microsecond=123457) - timedelta(days=1)
    meters = [event(n, meter="api", quantity=Decimal(digits)) for n, digits in enumerate(said)]
    full = event(
        99, time=time, organization_id="acme", country="de", device="mobile", tags=["ü", "b"], metadata={"n": Decimal("1.5")},
        cost_usd=Decimal("0.000000000001"), credits=Decimal("999999999.999999"), status="failed", latency_ms=2**31 - 1,
    )  # fmt: skip

    report = await recorder.record([*meters, full])

    assert report.accepted == len(said) + 1
    async with library.database.transaction() as session:
        rows = await library.database.rows(
            session, "select quantity::text from faregate.usage_event where meter is not null order by external_id"
        )
        (row,) = await library.database.rows(session, "select * from faregate.usage_event where external_id = 'e99'")
    assert [found.quantity for found in rows] == said
    assert (row.time, row.country, row.device, row.status) == (time, "DE", "mobile", 500)
    assert (row.cost, row.credits, row.latency_ms) == (1, 10**15 - 1, 2**31 - 1)
    assert (row.tags, row.metadata) == (["ü", "b"], {"n": Decimal("1.5")})


async def test_a_credential_in_place_of_a_name_is_refused(recorder: UsageRecorder) -> None:
    secret = "sk-" + "a1" * 12
    found: list[dict[str, Any]] = [
        {"model": secret},
        {"id": f"x {secret}"},
        {"tags": ["fine", secret]},
        {"usage_key": "eyJhbGciOiJIUzI1NiJ9." + "a" * 9},
    ]
    long = [event(n, usage_key=f"a-long-but-harmless-key-{n}") for n in range(3)]

    report = await recorder.record([*long, *(event(10 + n, **fields) for n, fields in enumerate(found))])

    assert report.accepted == 3
    assert [item.error.split(":")[0] for item in report.rejected] == ["model", "id", "tags", "usage_key"]
    with pytest.raises(ValueError, match="model: looks like a credential"):
        UsageEvent(user_id="anna", service="chat", model=secret)
