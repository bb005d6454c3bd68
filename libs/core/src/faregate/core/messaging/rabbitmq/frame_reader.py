"""Reader of AMQP frames, between the socket and aiormq.

aiormq reads a frame in three steps, decodes it into objects and starts a task for each message: a quarter of what a settlement
cost. Deliveries go straight to the consumer instead, as many at a time as have arrived; all other frames go to aiormq.
"""

import asyncio
from collections.abc import Callable, Sequence

from faregate.core.messaging.rabbitmq.frames import DELIVER, HEADER, METHOD, repaired
from faregate.core.messaging.rabbitmq.received import Assembly, Received

__all__ = ["FrameReader"]

_HEAD = 7
_END = b"\xce"
_OTHER_VERSION = b"AMQP"
"""How the answer of a broker that speaks another version begins. It is no frame; aiormq recognises and refuses it."""
_PIECE = 256 * 1024
Deliver = Callable[[Sequence[Received]], None]

_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00" + _END


class FrameReader:
    """Reads from a `StreamReader` in the order of aiormq: a byte, the rest of a frame's head, then the frame.

    Frames are repaired (see `frames`). After deliveries that aiormq does not see it is given a heartbeat: it takes a broker
    that sends nothing for dead, and the broker sends no heartbeats while it delivers.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._ready = b""
        self._data = b""
        self._at = 0
        self._takers: dict[int, _Taker] = {}
        self._filled: list[_Taker] = []

    def deliver_to(self, deliver: Deliver, *, channel: int) -> None:
        """Pass the deliveries on `channel` to `deliver`; call it before consuming."""
        self._takers[channel] = _Taker(deliver)

    def forget(self, deliver: Deliver, *, channel: int) -> None:
        """End `deliver_to`, once the channel is closed; another channel may have its number already."""
        taker = self._takers.get(channel)
        if taker is not None and taker.deliver == deliver:
            del self._takers[channel]

    def at_eof(self) -> bool:
        return not self._ready and self._at == len(self._data) and self._reader.at_eof()

    async def readexactly(self, count: int) -> bytes:
        if not self._ready:
            self._ready = await self._frame()
        found, self._ready = self._ready[:count], self._ready[count:]
        return found

    async def read(self, count: int = -1) -> bytes:
        ready, self._ready = self._ready, b""
        return ready or await self._reader.read(count)

    async def _frame(self) -> bytes:
        """Return the next frame that is aiormq's."""
        while True:
            frame = self._next()
            if frame is None:
                if self._pass_on():
                    return _HEARTBEAT
                await self._read_more()
            elif not self._is_taken(frame):
                self._pass_on()
                return frame if frame.startswith(_OTHER_VERSION) else repaired(frame)

    def _next(self) -> bytes | None:
        """Return the next frame if it has arrived completely."""
        data, at = self._data, self._at
        if len(data) - at < _HEAD:
            return None
        end = at + _HEAD
        if not data.startswith(_OTHER_VERSION, at):
            end += int.from_bytes(data[at + 3 : end]) + 1
        if len(data) < end:
            return None
        self._at = end
        return data[at:end]

    async def _read_more(self) -> None:
        piece = await self._reader.read(_PIECE)
        left = self._data[self._at :]
        if not piece:
            raise asyncio.IncompleteReadError(left, None)
        self._data, self._at = left + piece, 0

    def _is_taken(self, frame: bytes) -> bool:
        """Take the frame if it is part of a delivery to a consumer."""
        taker = self._takers.get(int.from_bytes(frame[1:3]))
        if taker is None or frame[-1:] != _END:
            return False
        kind, payload, assembly = frame[0], frame[_HEAD:-1], taker.assembly
        if kind == METHOD:
            taker.assembly = Assembly(payload) if payload.startswith(DELIVER) else None
            return taker.assembly is not None
        if assembly is None:
            return False
        message = assembly.head(payload) if kind == HEADER else assembly.part(payload)
        if message is not None:
            if not taker.received:
                self._filled.append(taker)
            taker.received.append(message)
            taker.assembly = None
        return True

    def _pass_on(self) -> bool:
        """Pass on what was received, and return whether there was anything."""
        filled, self._filled = self._filled, []
        for taker in filled:
            received, taker.received = taker.received, []
            taker.deliver(received)
        return bool(filled)


class _Taker:
    """The consumer of one channel: the message that is arriving, and those that have arrived."""

    __slots__ = ("assembly", "deliver", "received")

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.assembly: Assembly | None = None
        self.received: list[Received] = []
