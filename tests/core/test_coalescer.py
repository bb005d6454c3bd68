"""Concurrent calls become batches; each caller gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from faregate.core.coalescer import Coalescer, run_apart


class Doubler:
    """Doubles numbers, a batch at a time, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def run(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        await asyncio.sleep(0.01)
        return [ValueError(f"no {item}") if item < 0 else item * 2 for item in items]


async def test_a_crowd_shares_batches_and_everybody_gets_the_own_answer() -> None:
    doubler = Doubler()
    coalescer: Coalescer[int, int] = Coalescer(doubler.run, batch_size=50, lanes=1)

    answers = await asyncio.gather(*(coalescer.submit(n) for n in range(120)))

    assert answers == [n * 2 for n in range(120)]
    assert [len(batch) for batch in doubler.batches] == [50, 50, 20]


async def test_who_comes_alone_does_not_wait_for_company() -> None:
    doubler = Doubler()
    coalescer: Coalescer[int, int] = Coalescer(doubler.run)

    assert [await coalescer.submit(n) for n in (1, 2)] == [2, 4]
    assert doubler.batches == [[1], [2]]


async def test_a_refusal_reaches_only_its_caller() -> None:
    coalescer: Coalescer[int, int] = Coalescer(Doubler().run)

    answers = await asyncio.gather(*(coalescer.submit(n) for n in (1, -1, 3)), return_exceptions=True)

    assert [str(answer) for answer in answers] == ["2", "no -1", "6"]


async def test_a_failing_batch_fails_all_its_callers_and_the_next_one_runs() -> None:
    calls = 0

    async def run(items: Sequence[int]) -> Sequence[int | Exception]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("away")
        return list(items)

    coalescer: Coalescer[int, int] = Coalescer(run)
    failed = await asyncio.gather(coalescer.submit(1), coalescer.submit(2), return_exceptions=True)

    assert [type(answer) for answer in failed] == [ConnectionError, ConnectionError]
    assert await coalescer.submit(3) == 3


async def test_a_caller_that_gives_up_leaves_the_others_alone() -> None:
    coalescer: Coalescer[int, int] = Coalescer(Doubler().run, lanes=1)
    impatient = asyncio.create_task(coalescer.submit(1))
    patient = asyncio.create_task(coalescer.submit(2))
    await asyncio.sleep(0.005)
    impatient.cancel()

    assert await patient == 4
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_items_of_one_lane_never_run_at_the_same_time() -> None:
    running = 0
    most = 0

    async def run(items: Sequence[int]) -> Sequence[int | Exception]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return list(items)

    coalescer: Coalescer[int, int] = Coalescer(run, batch_size=1, lanes=4)
    await asyncio.gather(*(coalescer.submit(n, lane_key="same") for n in range(10)))

    assert most == 1


async def test_poison_is_found_by_halving_and_its_neighbours_are_answered() -> None:
    async def run(items: Sequence[int]) -> Sequence[int | Exception]:
        if 7 in items:
            raise ValueError("poison")
        return [item * 2 for item in items]

    answers = await run_apart(list(range(20)), run, is_passing=lambda _: False)

    assert [n for n, answer in enumerate(answers) if isinstance(answer, ValueError)] == [7]
    assert [answer for n, answer in enumerate(answers) if n != 7] == [n * 2 for n in range(20) if n != 7]


async def test_a_passing_failure_concerns_no_item_and_is_raised() -> None:
    async def run(_items: Sequence[int]) -> Sequence[int | Exception]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await run_apart([1, 2], run, is_passing=lambda error: isinstance(error, ConnectionError))
    assert await run_apart([], run, is_passing=lambda _: True) == []
