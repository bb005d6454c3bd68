"""Uses for callbacks that are plain functions, with sync and async credits."""

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any, TypeVar

from faregate.integrations.charging import CallCharging
from faregate.integrations.open_use import OpenUse
from faregate.wire.errors import InvalidError

__all__ = ["Bridge"]

T = TypeVar("T")


class Bridge:
    """Opens and ends uses while the thread of a callback waits.

    LangChain runs plain callbacks of async calls in threads, so that the event loop is free to work for them. Async credits work
    on the loop in which the handler was made.
    """

    def __init__(self, charging: CallCharging) -> None:
        self._charging = charging
        self._asynchronous = inspect.iscoroutinefunction(charging.credits.quote)
        self._loop = _running_loop() if self._asynchronous else None

    def open(self, call: Any) -> OpenUse:
        """Hold the credits of a call.

        Raises:
            InvalidError: the credits are async, and there is no loop that could work for them.
        """
        if not self._asynchronous:
            return self._charging.open_now(call)
        return self._wait(self._charging.open(call))

    def finish(self, use: OpenUse, failure: BaseException | None) -> dict[str, str | None]:
        """Settle or void; return the receipt."""
        if not self._asynchronous:
            return use.finish_now(failure)
        return self._wait(use.finish(failure))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        loop = self._loop
        if loop is None or loop.is_closed() or loop is _running_loop():
            work.close()
            raise InvalidError(
                "async credits charge async calls only (`ainvoke`, `astream`), of a handler that is made in the same event "
                "loop; give a SyncCreditsClient or SyncFaregate, or make the handler within your async function",
                param="credits",
            )
        return asyncio.run_coroutine_threadsafe(work, loop).result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
