"""Settle, void, expire, extend and refund with one key: all pairs, in both orders, from all states, by four schedules.

Real transactions on real connections, each stopped by a barrier where the schedule requires it. The result must equal that
of running the operations one after the other, by the table below, in the order in which they ended.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations, product

import asyncpg
import pytest

from faregate.core.clock import FixedClock, SystemClock
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.proof.verify import Verifier
from faregate.usage.values import Feature, FeatureRef, StartRequest
from support.servers import address, execute
from support.stages import FEATURE, OPERATIONS, Caller, Operation, Stop

PRICE, HOLD, GRANTED = Decimal(3), Decimal(5), Decimal(100)

CLOSED = {
    "void": ("=", "hold_closed"),
    "expire": ("=", "swept"),
    "extend": ("=", "hold_closed"),
    "refund": ("=", "nothing to refund"),
}
SETTLED = {
    "settle": ("=", "settled again"),
    "void": ("=", "already_settled"),
    "expire": ("=", "swept"),
    "extend": ("=", "already_settled"),
}
RUNNING = {
    "settle": ("settled", "settled"),
    "void": ("voided", "voided"),
    "expire": ("=", "swept"),
    "extend": ("extended", "extended"),
    "refund": ("=", "nothing to refund"),
}
ALLOWED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "unknown": {
        "settle": ("unstarted", "settled"),
        "void": ("=", "unknown_usage_key"),
        "expire": ("=", "swept"),
        "extend": ("=", "unknown_usage_key"),
        "refund": ("=", "unknown_usage_key"),
    },
    "open": RUNNING,
    "extended": RUNNING,
    "lapsed": {**CLOSED, "settle": ("late", "settled"), "expire": ("expired", "swept")},
    "expired": {**CLOSED, "settle": ("late", "settled")},
    "voided": {**CLOSED, "settle": ("late", "settled"), "void": ("=", "voided")},
    "settled": {**SETTLED, "refund": ("settled, refunded", "refunded")},
    "late": {**SETTLED, "refund": ("late, refunded", "refunded")},
    "unstarted": {**SETTLED, "refund": ("unstarted, refunded", "refunded")},
    **{f"{how}, refunded": {**SETTLED, "refund": ("=", "not_refundable")} for how in ("settled", "late", "unstarted")},
}
"""By state and operation: the next state ("=": unchanged), and the answer to the caller.

`lapsed` is open after its expiry: the next operation finds it expired, whether or not a sweep has run."""

STATES = ("unknown", "open", "voided", "expired", "settled")
SCHEDULES = ("one after the other", "both before the lock", "one waits for the lock", "the first dies with the lock")


@dataclass
class Stage:
    """Two callers, and the order in which they ended, with the moments."""

    callers: tuple[Caller, Caller]
    clock: FixedClock
    log: list[tuple[str, datetime]]
    onlooker: "asyncpg.Connection[asyncpg.Record]"
    cases: int = 0


@pytest.fixture(scope="module")
async def stage(server_url: str, template: str) -> AsyncGenerator[Stage]:
    await execute(server_url, f"create database {template}_races template {template}")
    url = address(server_url, f"{template}_races")
    log: list[tuple[str, datetime]] = []
    clock = FixedClock(SystemClock().now())  # usage events have partitions for about now
    one, other = (Caller(name, url, clock, lambda *ended: log.append(ended)) for name in ("one", "other"))
    await one.database.open()
    await other.database.open()
    onlooker = await asyncpg.connect(url)
    await one.usage.catalog().save(Feature(FEATURE, "fixed", parameters={"credits": PRICE}, min_credits=Decimal(0)))
    yield Stage((one, other), clock, log, onlooker)
    await onlooker.close()
    await one.database.close()
    await other.database.close()
    await execute(server_url, f"drop database {template}_races with (force)")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("state", STATES)
async def test_concurrent_pair_has_the_result_of_a_serial_order(stage: Stage, state: str, schedule: str) -> None:
    """25 pairs of operations for each pair of a state and a schedule: 500 cases."""
    for first, second in product(OPERATIONS, OPERATIONS):
        stage.cases += 1
        case = f"{first} and {second} of a key that is {state}, {schedule}"
        key, user = f"key-{stage.cases}", f"user-{stage.cases}"
        await _bring_into(stage, state, key, user)
        stage.log.clear()

        lapses_at = stage.clock.now() + timedelta(seconds=60)
        told = await _play(stage, schedule, (first, second), key, user)

        order = [(who, at >= lapses_at) for who, at in stage.log]
        last = ("nobody", stage.clock.now() >= lapses_at)
        operations: dict[str, Operation] = {"one": first, "other": second}
        outcomes = [_one_after_the_other(state, [*o, last], operations) for o in _orders(schedule, order)]
        states = [expected for expected, answers in outcomes if answers == told]
        assert states, f"{case}: {order}: {told} is in none of {outcomes}"
        assert await _found(stage, key, user) in [(s, *_money(s)) for s in states], f"{case}: {order}"


def _orders(schedule: str, order: list[tuple[str, bool]]) -> list[tuple[tuple[str, bool], ...]]:
    """Return the orders in which the calls can have taken effect: two concurrent calls may be answered in either order."""
    return [tuple(order)] if schedule == SCHEDULES[0] else list(permutations(order))


async def test_ledger_verifies_after_all_pairs(stage: Stage) -> None:
    found = await Verifier(stage.callers[0].database).verify()
    assert (found.drifts, found.wallets) == ((), stage.cases)


def _one_after_the_other(
    state: str, order: Sequence[tuple[str, bool]], operations: Mapping[str, Operation]
) -> tuple[str, dict[str, str]]:
    """Return the final state by the table, and the expected answers to both callers."""
    answers: dict[str, str] = {}
    for who, is_late in order:
        state = "lapsed" if state == "open" and is_late else state
        if who == "nobody":
            continue
        then, answers[who] = ALLOWED[state][operations[who]]
        state = state if then == "=" else then
    return "expired" if state == "lapsed" else state, answers


def _money(state: str) -> tuple[Decimal, Decimal, int]:
    """Return the expected balance, held credits and number of priced lines of a state."""
    done = state.startswith(("settled", "late", "unstarted"))
    paid = PRICE if done and not state.endswith("refunded") else Decimal(0)
    return GRANTED - paid, HOLD if state in {"open", "extended"} else Decimal(0), int(done)


async def _play(stage: Stage, schedule: str, pair: tuple[Operation, Operation], key: str, user: str) -> dict[str, str]:
    one, other = stage.callers
    told: dict[str, str] = {}

    async def do(caller: Caller, operation: Operation) -> None:
        if operation == "expire":
            stage.clock.advance(seconds=120)
        told[caller.name] = await caller.do(operation, key, user)

    first, second = (lambda: do(one, pair[0])), (lambda: do(other, pair[1]))
    await {
        SCHEDULES[0]: _in_turn,
        SCHEDULES[1]: _both_before_the_lock,
        SCHEDULES[2]: _one_waits,
        SCHEDULES[3]: _one_dies,
    }[schedule](stage, first, second)
    return told


Play = Callable[[], Awaitable[None]]


async def _in_turn(_stage: Stage, first: Play, second: Play) -> None:
    await first()
    await second()


async def _both_before_the_lock(stage: Stage, first: Play, second: Play) -> None:
    """Both have read the state before either has the lock; then they continue one after the other."""
    tasks = [await _until(stage.callers[0], "before the lock", first)]
    tasks.append(await _until(stage.callers[1], "before the lock", second))
    for caller, task in zip(stage.callers, tasks, strict=True):
        caller.database.go_on()
        await task


async def _one_waits(stage: Stage, first: Play, second: Play) -> None:
    """The second starts after the first has written and before it commits."""
    await _collide(stage, first, second, dies=False)


async def _one_dies(stage: Stage, first: Play, second: Play) -> None:
    """The first is aborted before it commits; its caller repeats the call."""
    await _collide(stage, first, second, dies=True)


async def _collide(stage: Stage, first: Play, second: Play, *, dies: bool) -> None:
    one, other = stage.callers
    task = await _until(one, "before the commit", first)
    other.database.prepare(None)
    waiting = asyncio.ensure_future(second())
    while not waiting.done() and not await _someone_waits(stage):
        await asyncio.sleep(0.001)
    died = dies and not task.done()
    one.database.go_on(dies=died)
    await task
    await waiting
    if died:
        one.database.prepare(None)
        await first()


async def _until(caller: Caller, stop: Stop, play: Play) -> "asyncio.Future[None]":
    """Start a caller; return when it has reached the barrier, or has ended before."""
    caller.database.prepare(stop)
    task = asyncio.ensure_future(play())
    reached = asyncio.ensure_future(caller.database.reached.wait())
    await asyncio.wait([task, reached], return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    with suppress(asyncio.CancelledError):
        await reached
    return task


async def _someone_waits(stage: Stage) -> bool:
    waits = (
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')"
    )
    return bool(await stage.onlooker.fetchval(waits))


async def _bring_into(stage: Stage, state: str, key: str, user: str) -> None:
    caller = stage.callers[0]
    caller.database.prepare(None)
    await caller.usage.wallets().grant(user, GrantSpec(int(GRANTED) * 1_000_000, GrantSource.PURCHASE))
    if state == "unknown":
        return
    hold = StartRequest(user, FeatureRef(value=FEATURE), key, estimated_credits=HOLD, ttl_seconds=60)
    await caller.service.authorize(hold)
    if state == "expired":
        stage.clock.advance(seconds=120)
    how: dict[str, Operation] = {"voided": "void", "expired": "expire", "settled": "settle"}
    if state in how:
        await caller.do(how[state], key, user)


async def _found(stage: Stage, key: str, user: str) -> tuple[str, Decimal, Decimal, int]:
    """Return the stored state of the key, and the amounts, as of now."""
    caller = stage.callers[0]
    caller.database.prepare(None)
    wallet = (await caller.usage.wallets().get(user))[0]
    if key not in await caller.database.run(lambda session: caller.credit.service().find_started(session, [key])):
        return "unknown", wallet.balance, wallet.held, 0
    story = await caller.service.story(key)
    charge, kinds = story.charge, [transaction.kind for transaction in story.transactions]
    state = charge.status
    if charge.status == "settled":
        state = "late" if "late" in charge.flags else "unstarted" if "no_hold" in charge.flags else "settled"
        assert kinds.count("charge") == 1
    elif charge.status == "open" and charge.expires_at is not None:
        state = "extended" if (charge.expires_at - charge.created_at).total_seconds() >= 3600 else "open"
    assert kinds.count("refund") <= 1
    return state + (", refunded" if "refund" in kinds else ""), wallet.balance, wallet.held, len(story.lines)
