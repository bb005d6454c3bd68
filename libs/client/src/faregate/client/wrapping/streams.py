"""Observer of an SDK's HTTP responses and of their end.

The response remains the SDK's own object; its `iter_bytes` and `close` are replaced. Streams of events, raw responses and
`with_streaming_response` all read through `iter_bytes` and end with `close`. The end is reported once.
"""

import logging
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

from faregate.client.wrapping.readers import BodyReader

__all__ = ["watch_async_response", "watch_response"]

log = logging.getLogger("faregate.client")


class _Watch:
    """Base of both observers: whether the response has ended."""

    def __init__(self, reader: BodyReader, abandon: Callable[[], None] | None) -> None:
        self._reader = reader
        self._abandon = abandon
        self._process = os.getpid()
        self.inside = False
        self.over = False

    def ends(self, failure: BaseException | None, *, whole: bool) -> bool:
        """Record the end of the response; return whether this is the first report.

        SDKs close a body before they return its last bytes; a close during a read is therefore not the end.
        """
        if self.inside or self.over:
            return False
        self.over = True
        self._reader.end(failure, whole=whole)
        return True

    def lost(self) -> None:
        """End a response that was garbage-collected. A forked process does nothing: the response belongs to its parent."""
        if os.getpid() != self._process or not self.ends(None, whole=False):
            return
        log.warning("a stream was neither read to its end nor closed; it is settled with the usage observed so far")
        if self._abandon is not None:
            self._abandon()


class _AsyncWatch(_Watch):
    def __init__(
        self,
        reader: BodyReader,
        finish: Callable[[BaseException | None], Awaitable[None]] | None,
        abandon: Callable[[], None] | None,
    ) -> None:
        super().__init__(reader, abandon)
        self._finish = finish

    async def end(self, failure: BaseException | None, *, whole: bool) -> None:
        if self.ends(failure, whole=whole) and self._finish is not None:
            await self._finish(self._reader.failure)

    async def items(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        failure: BaseException | None = None
        whole = False
        try:
            while True:
                self.inside = True
                try:
                    chunk = await anext(source)
                except StopAsyncIteration:
                    whole = True
                    break
                finally:
                    self.inside = False
                passed = self._reader.feed(chunk)
                if passed:
                    yield passed
            rest = self._reader.rest()
            if rest:
                yield rest
        except Exception as error:
            failure = error
            raise
        finally:
            await self.end(failure, whole=whole)


class _SyncWatch(_Watch):
    def __init__(
        self,
        reader: BodyReader,
        finish: Callable[[BaseException | None], None] | None,
        abandon: Callable[[], None] | None,
    ) -> None:
        super().__init__(reader, abandon)
        self._finish = finish

    def end(self, failure: BaseException | None, *, whole: bool) -> None:
        if self.ends(failure, whole=whole) and self._finish is not None:
            self._finish(self._reader.failure)

    def items(self, source: Iterator[bytes]) -> Iterator[bytes]:
        failure: BaseException | None = None
        whole = False
        try:
            while True:
                self.inside = True
                try:
                    chunk = next(source)
                except StopIteration:
                    whole = True
                    break
                finally:
                    self.inside = False
                passed = self._reader.feed(chunk)
                if passed:
                    yield passed
            rest = self._reader.rest()
            if rest:
                yield rest
        except Exception as error:
            failure = error
            raise
        finally:
            self.end(failure, whole=whole)


def watch_async_response(
    response: Any,
    reader: BodyReader,
    finish: Callable[[BaseException | None], Awaitable[None]] | None,
    abandon: Callable[[], None] | None,
) -> None:
    """Observe `response`; `finish` is awaited at its end, with its failure or None.

    If the response is garbage-collected before its end, `abandon` is called instead, on any thread.
    """
    watch = _AsyncWatch(reader, finish, abandon)
    kind = cast("Any", type(response))

    def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        return watch.items(kind.aiter_bytes(response, chunk_size))

    async def aclose() -> None:
        if reader.needs_the_rest and not (watch.inside or watch.over or response.is_stream_consumed):
            await _read_out_async(aiter_bytes())
        await kind.aclose(response)
        await watch.end(None, whole=False)

    response.aiter_bytes, response.aclose = aiter_bytes, aclose
    weakref.finalize(response, watch.lost)


def watch_response(
    response: Any,
    reader: BodyReader,
    finish: Callable[[BaseException | None], None] | None,
    abandon: Callable[[], None] | None,
) -> None:
    """Observe `response`; `finish` is called at its end. See `watch_async_response`."""
    watch = _SyncWatch(reader, finish, abandon)
    kind = cast("Any", type(response))

    def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
        return watch.items(kind.iter_bytes(response, chunk_size))

    def close() -> None:
        if reader.needs_the_rest and not (watch.inside or watch.over or response.is_stream_consumed):
            _read_out(iter_bytes())
        kind.close(response)
        watch.end(None, whole=False)

    response.iter_bytes, response.close = iter_bytes, close
    weakref.finalize(response, watch.lost)


async def _read_out_async(chunks: AsyncIterator[bytes]) -> None:
    """Read the rest that the host did not: the reply is complete and paid for, and only its end reports the usage."""
    try:
        async for _ in chunks:
            pass
    except Exception as error:  # noqa: BLE001  the host is closing the response and expects no data
        log.warning("the rest of an unread reply, which reports its usage, could not be read: %r", error)


def _read_out(chunks: Iterator[bytes]) -> None:
    try:
        for _ in chunks:
            pass
    except Exception as error:  # noqa: BLE001  the host is closing the response and expects no data
        log.warning("the rest of an unread reply, which reports its usage, could not be read: %r", error)
