"""A time limit costs no timer where nothing has to wait, and behaves like `asyncio.timeout` where something does."""

import asyncio

import pytest

from faregate.core.runtime.time_limit import within


async def _ready() -> str:
    return "ready"


async def _after(event: asyncio.Event, notes: list[str]) -> str:
    try:
        await event.wait()
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        notes.append("cancelled")
        raise
    finally:
        notes.append("finished")
    return "late"


async def test_what_is_ready_is_returned_without_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", None)

    assert await within(1, _ready()) == "ready"


async def test_what_has_to_wait_is_returned_when_it_comes() -> None:
    event, notes = asyncio.Event(), list[str]()
    asyncio.get_running_loop().call_soon(event.set)

    assert await within(5, _after(event, notes)) == "late"
    assert notes == ["finished"]


async def test_what_takes_too_long_is_cancelled_and_ends_before_the_error_is_raised() -> None:
    notes = list[str]()

    with pytest.raises(TimeoutError):
        await within(0.01, _after(asyncio.Event(), notes))
    assert notes == ["cancelled", "finished"]


@pytest.mark.parametrize(("inner", "outer"), [(0.01, 5), (5, 0.01)])
async def test_the_shorter_of_two_nested_limits_counts(inner: float, outer: float) -> None:
    async def waiting() -> str:
        try:
            return await within(inner, _after(asyncio.Event(), []))
        except TimeoutError:
            return "inner"

    if inner < outer:
        assert await within(outer, waiting()) == "inner"
    else:
        with pytest.raises(TimeoutError):
            await within(outer, waiting())


async def test_a_cancelled_caller_is_cancelled_and_not_timed_out() -> None:
    notes = list[str]()
    caller = asyncio.create_task(within(5, _after(asyncio.Event(), notes)))
    await asyncio.sleep(0)
    caller.cancel()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert notes == ["cancelled", "finished"]


async def test_an_error_passes_through() -> None:
    async def failing() -> None:
        await asyncio.sleep(0)
        raise LookupError("no")

    with pytest.raises(LookupError):
        await within(5, failing())
