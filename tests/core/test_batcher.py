"""Batching of concurrent calls; each caller gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from faregate.core.runtime.batcher import Batcher, bisect_failures


class Doubler:
    """Doubles numbers, one batch at a time, and records the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def run(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        await asyncio.sleep(0.01)
        return [ValueError(f"no {item}") if item < 0 else item * 2 for item in items]


async def test_concurrent_calls_share_batches_and_each_gets_its_own_answer() -> None:
    doubler = Doubler()
    batcher: Batcher[int, int] = Batcher(doubler.run, batch_size=50)

    answers = await asyncio.gather(*(batcher.submit(n) for n in range(120)))

    assert answers == [n * 2 for n in range(120)]
    assert [len(batch) for batch in doubler.batches] == [50, 50, 20]


async def test_a_single_call_does_not_wait_for_others() -> None:
    doubler = Doubler()
    batcher: Batcher[int, int] = Batcher(doubler.run)

    assert [await batcher.submit(n) for n in (1, 2)] == [2, 4]
    assert doubler.batches == [[1], [2]]


async def test_an_error_outcome_is_raised_to_its_caller_only() -> None:
    batcher: Batcher[int, int] = Batcher(Doubler().run)

    answers = await asyncio.gather(*(batcher.submit(n) for n in (1, -1, 3)), return_exceptions=True)

    assert [str(answer) for answer in answers] == ["2", "no -1", "6"]


async def test_a_failing_batch_fails_all_its_callers_and_the_next_one_runs() -> None:
    calls = 0

    async def run(items: Sequence[int]) -> Sequence[int | Exception]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("away")
        return list(items)

    batcher: Batcher[int, int] = Batcher(run)
    failed = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)

    assert [type(answer) for answer in failed] == [ConnectionError, ConnectionError]
    assert await batcher.submit(3) == 3


async def test_a_cancelled_caller_does_not_affect_the_others() -> None:
    batcher: Batcher[int, int] = Batcher(Doubler().run)
    impatient = asyncio.create_task(batcher.submit(1))
    patient = asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0.005)
    impatient.cancel()

    assert await patient == 4
    with pytest.raises(asyncio.CancelledError):
        await impatient


class Gates:
    """Runs batches that end on command, and records which run at the same time."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def run(self, items: Sequence[str]) -> Sequence[str | Exception]:
        self.begun.append(list(items))
        await self.gates.setdefault(items[0], asyncio.Event()).wait()
        return list(items)

    def open(self, first: str) -> None:
        self.gates.setdefault(first, asyncio.Event()).set()


async def test_later_batches_overtake_a_slow_one_except_for_its_own_keys() -> None:
    """Items that share a key with the slow batch wait for it; all others do not, neither earlier nor later ones."""
    gates = Gates()
    batcher: Batcher[str, str] = Batcher(gates.run, patience_seconds=0.01)
    stuck = asyncio.create_task(batcher.submit("stuck", lane_key="a"))
    async with asyncio.timeout(5):
        while gates.begun != [["stuck"]]:
            await asyncio.sleep(0.001)
    behind = asyncio.create_task(batcher.submit("behind", lane_key="a"))
    other = asyncio.create_task(batcher.submit("other", lane_key="b"))

    gates.open("other")
    assert await other == "other"
    gates.open("late")
    assert await batcher.submit("late", lane_key="b") == "late"
    assert gates.begun == [["stuck"], ["other"], ["late"]]

    gates.open("stuck")
    gates.open("behind")
    assert await asyncio.gather(stuck, behind) == ["stuck", "behind"]


async def test_at_most_as_many_batches_run_at_the_same_time_as_there_are_lanes() -> None:
    gates = Gates()
    batcher: Batcher[str, str] = Batcher(gates.run, batch_size=1, lanes=2, patience_seconds=0.001)
    waiting = [asyncio.create_task(batcher.submit(name, lane_key=name)) for name in "abcd"]
    async with asyncio.timeout(5):
        while len(gates.begun) < 2:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)  # a third batch would begin now
    assert gates.begun == [["a"], ["b"]]

    for name in "abcd":
        gates.open(name)
    assert await asyncio.gather(*waiting) == list("abcd")


async def test_items_of_one_key_never_run_at_the_same_time_and_keep_their_order() -> None:
    """Hundreds of items, of few keys, in batches that all exceed the patience."""
    running: list[int] = []
    done: list[int] = []

    async def run(items: Sequence[int]) -> Sequence[int | Exception]:
        assert not {item % 5 for item in items} & {item % 5 for item in running}
        running.extend(items)
        await asyncio.sleep(0.002)
        for item in items:
            running.remove(item)
        done.extend(items)
        return list(items)

    batcher: Batcher[int, int] = Batcher(run, batch_size=7, lanes=3, patience_seconds=0)
    numbers = range(300)
    assert await asyncio.gather(*(batcher.submit(n, lane_key=n % 5) for n in numbers)) == list(numbers)
    assert [[n for n in done if n % 5 == key] for key in range(5)] == [list(range(key, 300, 5)) for key in range(5)]


async def test_failing_items_are_isolated_by_halving_and_the_others_are_answered() -> None:
    async def run(items: Sequence[int]) -> Sequence[int | Exception]:
        if 7 in items:
            raise ValueError("poison")
        return [item * 2 for item in items]

    answers = await bisect_failures(list(range(20)), run, is_passing=lambda _: False)

    assert [n for n, answer in enumerate(answers) if isinstance(answer, ValueError)] == [7]
    assert [answer for n, answer in enumerate(answers) if n != 7] == [n * 2 for n in range(20) if n != 7]


async def test_a_temporary_failure_is_raised_and_not_assigned_to_an_item() -> None:
    async def run(_items: Sequence[int]) -> Sequence[int | Exception]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await bisect_failures([1, 2], run, is_passing=lambda error: isinstance(error, ConnectionError))
    assert await bisect_failures([], run, is_passing=lambda _: True) == []
