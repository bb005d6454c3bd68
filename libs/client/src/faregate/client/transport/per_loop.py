"""Objects that belong to one event loop, closed at its end."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar

__all__ = ["PerLoop", "cancel_anywhere", "is_running"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Opened(Generic[T]):
    item: T
    guard: AsyncGenerator[None]
    """Suspended while the item is open. A loop closes its generators at its end, `asyncio.run` included, and so the item."""


class PerLoop(Generic[T]):
    """Opens an object on each event loop that needs one, such as a pool of connections, which cannot be used on another loop.

    Args:
        close: closes an object; called on the object's own loop.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._lock = Lock()
        self._opened: dict[asyncio.AbstractEventLoop, _Opened[T]] = {}

    async def get(self) -> T:
        """Return the object of the running loop."""
        loop = asyncio.get_running_loop()
        opened = self._opened.get(loop)
        return opened.item if opened is not None else await self._open(loop)

    async def aclose(self) -> None:
        """Close the objects of all loops; those of other loops as soon as these loops run."""
        with self._lock:
            opened, self._opened = self._opened, {}
        here = asyncio.get_running_loop()
        for loop, each in opened.items():
            if loop is here:
                await each.guard.aclose()
            else:
                _call_on(loop, partial(_close_soon, each.guard))

    async def _open(self, loop: asyncio.AbstractEventLoop) -> T:
        item = self._make()
        guard = self._guard(loop, item)
        with self._lock:
            for other in [other for other in self._opened if other.is_closed()]:
                del self._opened[other]
            self._opened[loop] = _Opened(item, guard)
        await anext(guard)
        return item

    async def _guard(self, loop: asyncio.AbstractEventLoop, item: T) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._opened.pop(loop, None)
            await self._close(item)


def is_running(task: asyncio.Task[Any] | None) -> bool:
    """Return whether a task will still run: it is not done, and its loop is not closed."""
    return task is not None and not task.done() and not task.get_loop().is_closed()


def cancel_anywhere(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task from any thread and loop."""
    if task is not None and is_running(task):
        _call_on(task.get_loop(), task.cancel)


_TASKS: set[asyncio.Task[None]] = set()
"""Closing tasks: an event loop itself keeps only weak references to them."""


def _close_soon(guard: AsyncGenerator[None]) -> None:
    task: asyncio.Task[None] = asyncio.ensure_future(guard.aclose())
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # closed meanwhile
        loop.call_soon_threadsafe(callback)
