"""Standing at a stream of an SDK: each item is observed, and its end, however it comes, is told once.

The stream object stays the SDK's own. Its items pass a generator of ours; its early end is seen where every way of
closing it leads, at the close of its HTTP response.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

from faregate.client.observer import Observer

__all__ = ["watch_async_stream", "watch_stream"]


class _Watch:
    """What sync and async share: whether the stream is over, and what the host may see of it."""

    def __init__(self, source: Any, observer: Observer, finish: Callable[..., Any] | None, *, hide_usage: bool) -> None:
        self._source = source
        self._observer = observer
        self._finish = finish
        self._hide_usage = hide_usage
        self._inside = False
        self._over = False

    def passes(self, item: Any) -> bool:
        """Observe `item`; tell whether the host is to see it."""
        self._observer.see(item)
        return not (self._hide_usage and getattr(item, "usage", None) and not getattr(item, "choices", True))

    def ends(self) -> bool:
        """Tell whether this is the end, for the first time: a body that is read out closes before its last items."""
        if self._inside or self._over or self._finish is None:
            return False
        self._over = True
        return True


class _AsyncWatch(_Watch):
    async def items(self) -> AsyncGenerator[Any]:
        failure: BaseException | None = None
        try:
            async for item in self._from_inside():
                if self.passes(item):
                    yield item
        except Exception as error:
            failure = error
            raise
        finally:
            await self.end(failure)

    async def end(self, failure: BaseException | None = None) -> None:
        if self.ends() and self._finish is not None:
            await self._finish(failure)

    async def _from_inside(self) -> AsyncGenerator[Any]:
        while True:
            self._inside = True
            try:
                item = await anext(self._source)
            except StopAsyncIteration:
                return
            finally:
                self._inside = False
            yield item


class _SyncWatch(_Watch):
    def items(self) -> Generator[Any]:
        failure: BaseException | None = None
        try:
            for item in self._from_inside():
                if self.passes(item):
                    yield item
        except Exception as error:
            failure = error
            raise
        finally:
            self.end(failure)

    def end(self, failure: BaseException | None = None) -> None:
        if self.ends() and self._finish is not None:
            self._finish(failure)

    def _from_inside(self) -> Generator[Any]:
        while True:
            self._inside = True
            try:
                item = next(self._source)
            except StopIteration:
                return
            finally:
                self._inside = False
            yield item


def watch_async_stream(
    stream: Any,
    observer: Observer,
    finish: Callable[[BaseException | None], Awaitable[None]] | None,
    *,
    hide_usage: bool = False,
) -> None:
    """Observe `stream`; `finish` is awaited at its end, with its failure if it has one."""
    watch = _AsyncWatch(stream._iterator, observer, finish, hide_usage=hide_usage)  # noqa: SLF001  no other seam
    close = stream.response.aclose

    async def closed() -> None:
        await close()
        await watch.end()

    stream._iterator = watch.items()  # noqa: SLF001
    stream.response.aclose = closed


def watch_stream(
    stream: Any, observer: Observer, finish: Callable[[BaseException | None], None] | None, *, hide_usage: bool = False
) -> None:
    """Observe `stream`; `finish` is called at its end, with its failure if it has one."""
    watch = _SyncWatch(stream._iterator, observer, finish, hide_usage=hide_usage)  # noqa: SLF001  no other seam
    close = stream.response.close

    def closed() -> None:
        close()
        watch.end()

    stream._iterator = watch.items()  # noqa: SLF001
    stream.response.close = closed
