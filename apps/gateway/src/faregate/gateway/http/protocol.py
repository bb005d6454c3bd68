"""HTTP/1.1 protocol with limits on request line and headers.

uvicorn's fast parser has no such limits.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faregate.gateway.http.event_stream import ENDLESS
from faregate.gateway.http.gathered_writes import GatheredWrites

__all__ = ["BoundedProtocol"]

_HEAD_LIMIT_BYTES = 64 * 1024
_HEAD_SECONDS = 20.0

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\ncontent-length: 30\r\n\r\nThe request head is too large\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose request line and headers are larger than 64 KiB, or do not arrive within 20 s."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(GatheredWrites(transport, self.loop))  # type: ignore[arg-type]
        self._begin_head()
        self._limit_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        self._limit_head()
        if self._head_bytes > _HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def shutdown(self) -> None:
        """End an answer without an end of its own, as if its client had disconnected; others are finished."""
        super().shutdown()
        cycle: Any = self.cycle  # None until the first request
        if cycle is not None and not cycle.response_complete and cycle.scope.get("state", {}).get(ENDLESS):
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def _begin_head(self) -> None:
        self._in_head, self._head_bytes = True, 0

    def _limit_head(self) -> None:
        """Limit the time for the rest of a head; most arrive in one piece and need no timer."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(_HEAD_SECONDS, self._abandon)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _abandon(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
