"""Transport that sends the head and the body of an answer together.

The server writes them one after the other, and each write is a system call, a packet, and a wake-up of the client.
"""

import asyncio
from typing import Any

__all__ = ["GatheredWrites"]


class GatheredWrites:
    """Holds a first write until the second one, at most until the event loop's next turn; all else is the transport's."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` after what is held, or hold it."""
        if self._held is None:
            self._held = data
            self._loop.call_soon(self._send_held)
            return
        held, self._held = self._held, b""
        if held:
            self._transport.writelines([held, data])
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """Send what is held, then close the connection."""
        self._send_held()
        self._transport.close()

    def _send_held(self) -> None:
        held, self._held = self._held, None
        if held and not self._transport.is_closing():
            self._transport.write(held)
