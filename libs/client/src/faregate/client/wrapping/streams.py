"""Observation of the HTTP responses of an SDK: what the host reads passes by here, and its end is told once.

A response stays the SDK's own; its `iter_bytes` and its `close` are replaced. Streams of events, raw responses and
`with_streaming_response` all read by the one and end by the other.
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
    """What sync and async share: whether the response is over."""

    def __init__(self, reader: BodyReader, abandon: Callable[[], None] | None) -> None:
        self._reader = reader
        self._abandon = abandon
        self._process = os.getpid()
        self.inside = False
        self.over = False

    def ends(self, failure: BaseException | None, *, whole: bool) -> bool:
        """Tell whether this is the end, for the first time: a body that is read out closes before its last bytes."""
        if self.inside or self.over:
            return False
        self.over = True
        self._reader.end(failure, whole=whole)
        return True

    def lost(self) -> None:
        """End a response that nobody holds any more; a forked process leaves it to its parent."""
        if os.getpid() != self._process or not self.ends(None, whole=False):
            return
        log.warning("a stream was neither read to its end nor closed; it is settled by what came")
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
    """Observe `response`; `finish` is awaited at its end, with its failure if it has one.

    `abandon` is called instead, on any thread, when the response is collected as garbage without an end.
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
    """Observe `response`; `finish` is called at its end, with its failure if it has one; for `abandon` see above."""
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
    """Read what the host did not: the reply is complete and paid, and only its end says what it used."""
    try:
        async for _ in chunks:
            pass
    except Exception as error:  # noqa: BLE001  the host is closing and waits for no bytes
        log.warning("a reply that was not read could not be read for its usage: %r", error)


def _read_out(chunks: Iterator[bytes]) -> None:
    try:
        for _ in chunks:
            pass
    except Exception as error:  # noqa: BLE001  the host is closing and waits for no bytes
        log.warning("a reply that was not read could not be read for its usage: %r", error)
