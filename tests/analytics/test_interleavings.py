"""Random interleavings: every answer equals the answer from the raw facts."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from analytics.conftest import Lab
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.facts.repository import RawRepository
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.rollups.job import Roller
from faregate.analytics.rollups.percentiles import percentile
from faregate.analytics.values import Measures
from faregate.core.errors import InvalidError

NOW = datetime.now(UTC)
TABLES = "usage_event, usage_event_key, usage_correction, usage_rollup, usage_active, usage_user"
STEPS = (
    "insert",
    "insert",
    "insert",
    "late",
    "void",
    "replace",
    "roll",
    "roll_some",
    "crash",
    "begin",
    "end",
    "rebuild",
)


class CrashError(Exception):
    """Simulates a process that crashes before it commits."""


class Life:
    """A random sequence of operations of a deployment."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.random = Random(seed)
        self.sent: list[str] = []
        self.open: list[tuple[AsyncExitStack, Any, list[str]]] = []

    async def step(self, name: str) -> None:
        await getattr(self, name)()

    def events(self, count: int, *, late: bool = False) -> list[dict[str, Any]]:
        r, found = self.random, []
        for _ in range(count):
            age = (
                timedelta(days=r.uniform(20, 34))
                if late
                else timedelta(hours=r.choice([0, 0, 1, 5, 30, 70]), seconds=r.randrange(3600))
            )
            kind = r.choice(["request", "line", "meter"])
            event: dict[str, Any] = {
                "id": f"e{r.getrandbits(60)}", "source": "s", "user_id": f"u{r.randrange(4)}", "time": NOW - age,
                "service": r.choice(["chat", "search"]), "credits": Decimal(r.randrange(1, 10**7)) / 10**6,
                "latency_ms": r.choice([None, 0, r.randrange(1, 60_000)]), "status": r.choice([None, 200, 404, 500]),
                "country": r.choice([None, "DE", "IN"]), "device": r.choice([None, "mobile"]),
                "organization_id": r.choice([None, "acme"]), "feature_key": r.choice([None, "f"]),
            }  # fmt: skip
            if kind == "meter":
                event |= {"meter": r.choice(["api", "storage"]), "quantity": Decimal(r.randrange(1, 100)) / 8}
            else:
                event["kind"] = kind
                event["usage_key"] = r.choice([None, f"k{r.randrange(30)}"])
                if kind == "line" or r.random() < 0.3:
                    event |= {
                        "model": r.choice(["m1", "m2"]),
                        "provider": r.choice([None, "p"]),
                        "input_tokens": 7,
                        "cost_usd": Decimal("0.000000000003"),
                    }
            found.append(event)
        return found

    async def insert(self) -> None:
        events = self.events(self.random.randrange(1, 12))
        await self.lab.recorder.record(events)
        await self.lab.recorder.record(events[:2])
        self.sent += [event["id"] for event in events]

    async def late(self) -> None:
        await self.lab.recorder.record(self.events(3, late=True))

    async def void(self) -> None:
        await self._correct(None)

    async def replace(self) -> None:
        (event,) = self.events(1)
        await self._correct({**event, "time": None})

    async def _correct(self, event: dict[str, Any] | None) -> None:
        history = self.lab.library.usage.history()
        if not self.sent:
            return
        name = self.sent.pop(self.random.randrange(len(self.sent)))
        if (await history.fate("s", name)).status not in {"counted", "corrected"}:
            return
        if event is None:
            await history.void("s", name)
        else:
            self.sent.append(name)
            with suppress(InvalidError):  # another event is already the request of this use
                await history.replace("s", name, event)

    async def roll(self) -> None:
        await self.lab.analytics.roller().run()

    async def roll_some(self) -> None:
        roller = Roller(self.lab.database, self.lab.analytics.partitions(), batch_facts=4)
        await self.lab.database.run(roller._run)

    async def crash(self) -> None:
        with pytest.raises(CrashError):
            async with self.lab.database.transaction() as session:
                await self.lab.analytics.roller()._run(session)
                raise CrashError

    async def begin(self) -> None:
        """The host writes events in a transaction that it leaves open."""
        if len(self.open) > 2:
            return
        stack, events = AsyncExitStack(), self.events(3)
        session = await stack.enter_async_context(self.lab.database.transaction())
        for event in events:
            event.update(user_id="u0", organization_id=None, usage_key=None)
        await self.lab.recorder.record(events, session=session)
        self.open.append((stack, session, [event["id"] for event in events]))

    async def end(self) -> None:
        if self.open:
            stack, session, names = self.open.pop(self.random.randrange(len(self.open)))
            if self.random.random() < 0.3:
                await session.rollback()
                await stack.aclose()
            else:
                await stack.aclose()
                self.sent += names

    async def rebuild(self) -> None:
        await self.lab.analytics.roller().rebuild()


DAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
RANGES = [
    TimeRange(DAY - timedelta(days=35), DAY + timedelta(days=1)),
    TimeRange(NOW - timedelta(days=3, minutes=7), NOW + timedelta(minutes=1)),
    TimeRange(DAY - timedelta(days=2, hours=5, minutes=30), DAY, "Asia/Kolkata"),
    TimeRange(DAY - timedelta(days=33), DAY + timedelta(hours=1), "America/New_York"),
    TimeRange(DAY - timedelta(days=31, minutes=15), NOW + timedelta(minutes=1), "Asia/Kathmandu"),
]
FILTERS = [
    Filters(),
    *(Filters(**{name: value}) for name, value in [
        ("service", "chat"), ("model", "m1"), ("provider", "p"), ("feature", "f"), ("organization_id", "acme"),
        ("country", "de"), ("device", "mobile"), ("status", "error"), ("status", "404"), ("user_id", "u1"), ("meter", "api"),
    ]),
    Filters(service="chat", country="IN"),
    Filters(model="m2", status="success"),
    Filters(service="search", organization_id="acme", device="mobile"),
]  # fmt: skip
BY: list[tuple[str, ...]] = [
    (), ("service",), ("model", "provider"), ("provider",), ("feature",), ("organization",), ("country",), ("device",),
    ("status",), ("meter",),
]  # fmt: skip


def _sums(top: list[tuple[int, Measures, datetime]]) -> list[tuple[int, Measures, datetime]]:
    """Leave out quantities, which cannot be added over several meters."""
    return [(subject_id, replace(measures, quantity=Decimal(0)), at) for subject_id, measures, at in top]


async def check(lab: Lab, questions: list[Question]) -> None:
    facts: FactReader = lab.analytics.facts()
    raw: RawRepository = lab.analytics.raw()
    async with lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        for question in questions:
            for by in BY:
                expected = {k: m for k, m in (await raw.measures(session, question, by)).items() if not m.empty}
                assert await facts.measures(session, question, by) == expected, (question, by)
            for unit in ("hour", "day", "week", "month"):
                seen = {k: m for k, m in (await facts.series(session, question, unit)).items() if not m.empty}
                points = {k: m for k, m in (await raw.series(session, question, unit)).items() if not m.empty}
                assert seen == points, (question, unit)
                shown = {
                    k: p for k, p in (await facts.points(session, question, unit)).items() if not p[0].empty or p[1]
                }
                full = {k: p for k, p in (await raw.points(session, question, unit)).items() if not p[0].empty or p[1]}
                assert shown == full, (question, unit)
            for order in ("credits", "input_tokens + output_tokens"):
                top = await facts.users(session, question, order, 3)
                ranked = await raw.users(session, question, order, 3)
                last = await raw.last_activity(session, question, [subject_id for subject_id, _, _ in ranked])
                every = [(subject_id, sums, last[subject_id]) for subject_id, sums, _ in ranked]
                assert _sums(top) == _sums(every), question
            totals, number, _ = await facts.overview(session, question, [50])
            whole, _, standing = await raw.overview(session, question)
            assert (totals, number) == (whole, standing), question
            for period in (None, "day", "hour", "week"):
                counted = await facts.unique_users(session, question, period)
                active = await raw.active(session, question, period)
                there = {k: n for k, users in active.items() if (n := sum(f > 0 for f in users.values()))}
                assert {k: n for k, n in counted.items() if n} == there, (question, period)
            counts = await raw.latencies(session, question)
            near = await facts.percentiles(session, question, [50, 95, 99])
            exact = [percentile(counts, percent) for percent in [50, 95, 99]]
            for one, other in zip(near, exact, strict=True):
                assert (one is None) == (other is None)
                assert one is None or other is None or abs(one - other) <= Decimal(other) / 100 + Decimal("0.001")


_LONG = settings.get_current_profile_name() == "long"


@settings(
    max_examples=60 if _LONG else 2,
    deadline=None,
    derandomize=not _LONG,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(STEPS), min_size=8, max_size=25), st.integers(0, 2**32))
async def test_every_answer_equals_the_answer_from_raw_facts(lab: Lab, steps: list[str], seed: int) -> None:
    """For any interleaving of inserts, resends, late events, corrections, open host transactions, runs and crashes."""
    async with lab.database.transaction() as session:
        await lab.database.rows(session, "set local lock_timeout = 0")  # autovacuum gives way, but not at once
        for table in TABLES.split(", "):
            await lab.database.rows(session, f"truncate faregate.{table}")
        await lab.database.rows(session, "update faregate.rollup_state set from_tx = 0, open_txs = '{}'")
    life = Life(lab, seed)
    try:
        for number, name in enumerate(steps):
            await life.step(name)
            if number % 6 == 5:
                await check(lab, [Question(life.random.choice(RANGES), life.random.choice(FILTERS)) for _ in range(3)])
    finally:
        while life.open:
            await life.end()
    await check(lab, [Question(span, wanted) for wanted in FILTERS for span in life.random.sample(RANGES, 1)])
    await life.roll()
    await check(lab, [Question(span) for span in RANGES])


async def test_the_watermark_skips_no_row_beside_a_long_transaction(lab: Lab) -> None:
    """A host's transaction is open while hundreds of others commit and are rolled up; its rows are counted when it ends,
    once, and the others never waited for it.
    """
    roller: Roller = lab.analytics.roller()
    everything = Question(TimeRange(NOW - timedelta(days=1), NOW + timedelta(days=1)))

    async def counted() -> tuple[int, int]:
        async with lab.database.transaction() as session:
            rows = await lab.database.rows(
                session,
                "select coalesce(sum(requests), 0) as n from faregate.usage_rollup where dimension = 0 and grain = 2",
            )
        return int(rows[0].n), (await lab.service.metrics(everything)).measures.requests

    event = {"user_id": "anna", "service": "chat"}
    await lab.recorder.record([event])
    async with lab.database.transaction() as host:
        await lab.recorder.record([event] * 5, session=host)
        for _ in range(10):
            await asyncio.gather(*(lab.recorder.record([event]) for _ in range(10)))
            await roller.run()
        assert await counted() == (101, 101)
    assert await counted() == (101, 106)
    await asyncio.gather(roller.run(), roller.run(), roller.run())
    assert await counted() == (106, 106)


async def test_a_database_restored_from_a_dump_rolls_up_again_without_losing_a_fact(lab: Lab) -> None:
    """Its rows have transaction numbers of another server, beyond those of this one."""
    event = {"user_id": "anna", "service": "chat"}
    await lab.recorder.record([event] * 3)
    await lab.analytics.roller().run()
    async with lab.database.transaction() as session:
        await lab.database.rows(session, "update faregate.usage_event set tx = tx + 1000000000")
        await lab.database.rows(session, "update faregate.rollup_state set from_tx = from_tx + 1000000000")
    await lab.recorder.record([event])

    await lab.analytics.roller().run()

    everything = Question(TimeRange(NOW - timedelta(days=1), NOW + timedelta(days=1)))
    assert (await lab.service.metrics(everything)).measures.requests == 4
