"""Concurrent single records share transactions, and each is answered as if it were alone."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.errors import EngineUnavailableError
from faregate.credit.errors import InsufficientCreditsError, UsageKeyConflictError
from faregate.credit.proof.verify import Verifier
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.events.reports import IngestReport
from faregate.usage.values import FeatureKey, FeatureUsage
from support.library import Library

PAPER = FeatureKey.GENERATE_QUESTION_PAPER


async def _transactions(library: Library) -> int:
    """Return how many transactions have written charges."""
    async with library.database.transaction(read_only=True) as session:
        sql = "select count(distinct xmin::text) as n from faregate.charge"
        return int((await library.database.rows(session, sql))[0].n)


async def test_fifty_callers_of_one_wallet_are_each_charged_in_full_or_refused(library: Library) -> None:
    """Credits for 30 of 50: 30 are charged, 20 refused, none in part, in far fewer transactions than calls."""
    await library.grant("ada", 150)
    calls = [library.service.record_usage(PAPER, "ada", usage_key=f"k{n}", metadata={"n": n}) for n in range(50)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    used = [(n, outcome) for n, outcome in enumerate(outcomes) if isinstance(outcome, FeatureUsage)]
    assert len(used) == 30
    assert all((u.usage_key, u.metadata, u.credits_charged) == (f"k{n}", {"n": n}, 5) for n, u in used)
    assert sum(isinstance(outcome, InsufficientCreditsError) for outcome in outcomes) == 20
    assert await library.balance("ada") == 0
    assert await _transactions(library) < 10
    assert (await Verifier(library.database).verify()).drifts == ()


async def test_concurrent_calls_with_one_key_are_one_use(library: Library) -> None:
    """Uses, and debits with their actors: repetitions get the same answer, another user's call is a conflict."""
    for owner in ("ada", "bob"):
        await library.grant(owner, 100)
    same = [library.service.debit("ada", "print", Decimal(2), usage_key="d", actor="key-1") for _ in range(5)]
    uses = [library.service.record_usage(PAPER, user, usage_key="k") for user in ("ada", "bob", "ada")]
    *debits, first, other, again = await asyncio.gather(*same, *uses, return_exceptions=True)

    assert isinstance(first, FeatureUsage)
    assert again == first
    assert isinstance(other, UsageKeyConflictError)
    assert debits == [debits[0]] * 5
    assert (await library.balance("ada"), await library.balance("bob")) == (93, 100)
    assert [t.actor for t in (await library.service.story("d")).transactions] == ["key-1"]


async def test_use_in_the_callers_transaction_is_not_batched(library: Library) -> None:
    """It is committed and rolled back with the surrounding transaction; so are events."""
    await library.grant("ada", 100)
    recorder = library.usage.recorder()

    async def work(_session: Any) -> None:
        await library.service.record_usage(PAPER, "ada", usage_key="k")
        await library.service.debit("ada", "print", Decimal(2), usage_key="d")
        await recorder.record([UsageEvent(user_id="ada", service="s", id="e", source="t")])
        raise LookupError

    with pytest.raises(LookupError):
        await library.database.run_joined(work)
    assert await library.balance("ada") == 100
    assert (await recorder.record([UsageEvent(user_id="ada", service="s", id="e", source="t")])).accepted == 1


async def test_each_call_gets_the_report_of_its_own_events(library: Library) -> None:
    recorder = library.usage.recorder()
    event = {"user_id": "ada", "service": "chat", "source": "t"}
    calls: list[list[dict[str, Any]]] = [[{**event, "id": str(n)}] for n in range(30)]
    calls += [
        [{**event, "id": "0"}],
        [{**event, "id": "x"}, {"service": "chat"}, {**event, "id": "x"}, {**event, "id": "y"}],
        [],
        [{"service": "chat"}],
    ]
    reports = await asyncio.gather(*map(recorder.record, calls))

    counts = [(report.accepted, report.duplicates, [r.index for r in report.rejected]) for report in reports]
    assert counts[:30] == [(1, 0, [])] * 30
    assert counts[30:] == [(0, 1, []), (2, 1, [1]), (0, 0, []), (0, 0, [0])]
    async with library.database.transaction(read_only=True) as session:
        sql = "select count(*) as events, count(distinct xmin::text) as transactions from faregate.usage_event"
        ((events, transactions),) = await library.database.rows(session, sql)
    assert events == 32
    assert transactions < 5


async def test_call_that_cannot_be_written_fails_alone(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other calls in the transaction are recorded; if the database is unavailable, all of them fail."""
    recorder = library.usage.recorder()
    write = UsageRecorder._subject_ids

    async def failing(self: UsageRecorder, session: Any, events: Any) -> Any:
        users = set(events.values("user_id"))
        if "poison" in users:
            raise RuntimeError("a defect")
        if "away" in users:
            raise EngineUnavailableError("away")
        return await write(self, session, events)

    monkeypatch.setattr(UsageRecorder, "_subject_ids", failing)
    good = UsageEvent(user_id="ada", service="s")
    calls = [[good], [UsageEvent(user_id="poison", service="s")], [good]]
    first, poison, last = await asyncio.gather(*map(recorder.record, calls), return_exceptions=True)
    away = await asyncio.gather(
        *map(recorder.record, [[good], [UsageEvent(user_id="away", service="s")]]), return_exceptions=True
    )

    assert (first, last) == (IngestReport(1), IngestReport(1))
    assert isinstance(poison, RuntimeError)
    assert all(isinstance(each, EngineUnavailableError) for each in away)
