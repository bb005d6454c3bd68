"""Time limit that starts no timer for what is ready at once."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar, cast

__all__ = ["within"]

T = TypeVar("T")


async def within(seconds: float, waited: Awaitable[T]) -> T:
    """Return the result of `waited`, as `asyncio.timeout` does, but at no cost if it does not have to wait.

    The body of most requests has arrived before it is asked for; a timer for each of them costs more than parsing it.

    Raises:
        TimeoutError: it has waited for so many seconds.
    """
    steps = waited.__await__()
    try:
        first = next(steps)
    except StopIteration as end:
        return cast("T", end.value)
    async with asyncio.timeout(seconds):
        return await _Resumed(steps, first)


class _Resumed(Awaitable[T]):
    """What is left of an awaitable whose first step was made: it repeats what that step yielded, then goes on."""

    def __init__(self, steps: Generator[Any, Any, T], first: Any) -> None:
        self._steps = steps
        self._first = [first]

    def __await__(self) -> Generator[Any, Any, T]:
        return cast("Generator[Any, Any, T]", self)  # it has the methods of a generator that `await` uses

    def __iter__(self) -> "_Resumed[T]":
        return self

    def __next__(self) -> Any:
        return self._first.pop() if self._first else next(self._steps)

    def send(self, value: Any) -> Any:
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        return self._steps.throw(*error)

    def close(self) -> None:
        self._steps.close()
