"""Event loop in a background thread."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["BackgroundLoop"]

T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines on an event loop while the calling threads wait. Starts at the first call, and again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._thread: threading.Thread | None = None

    @property
    def is_current(self) -> bool:
        """Whether the caller is the loop's own thread; waiting there would block the loop."""
        return self._thread is threading.current_thread()

    @property
    def started_here(self) -> bool:
        """Whether the loop was started in this process, rather than in the parent before a fork."""
        return self._loop is not None and self._process == os.getpid()

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` on the loop and return its result. If this thread is interrupted, the work is cancelled."""
        future = asyncio.run_coroutine_threadsafe(work(), self._running_loop())
        return _result(future)

    def call_soon(self, work: Callable[[], T]) -> T:
        """Run a plain function on the loop and return its result."""

        async def whole() -> T:
            return work()

        return self.call(whole)

    def close(self) -> None:
        """Stop the loop."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._process == os.getpid():
            loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._loop = asyncio.new_event_loop()
                self._process = os.getpid()
                self._thread = threading.Thread(target=_run, args=[self._loop], name="faregate-client", daemon=True)
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _result(future: "Future[T]") -> T:
    try:
        return future.result()
    except BaseException:
        if not future.done():
            future.cancel()
            with suppress(CancelledError, Exception):
                future.result(timeout=5)
        raise
