"""A small HTTP balancer in front of gateways: ready ones first, and another one if one closes the connection unanswered."""

import asyncio
import re
from itertools import count

__all__ = ["Balancer"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection: [^\r]*", re.IGNORECASE)
_NOBODY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 300


class Balancer:
    """Forwards each request over a connection of its own.

    A request that got no byte of an answer goes to the next gateway, as balancers do for calls that are safe to repeat. Gateways
    that say that they are not ready are used only if no other one is left.
    """

    def __init__(self) -> None:
        self.port = 0
        self.turned = 0
        """Requests that another gateway was given, because one refused or closed the connection."""
        self.ready: set[int] = set()
        self._ports: list[int] = []
        self._turns = count()
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        for each in (self._server, self._looking):
            if isinstance(each, asyncio.Task):
                each.cancel()
            elif each is not None:
                each.close()

    async def admit(self, port: int) -> None:
        """Send requests to this gateway, too, once it is ready."""
        self._ports.append(port)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while port not in self.ready:
                await asyncio.sleep(0.05)

    def dismiss(self, port: int) -> None:
        """Send no more requests to this gateway."""
        self._ports.remove(port)
        self.ready.discard(port)

    async def look(self) -> int:
        """Ask every gateway whether it is ready, and return how many are."""
        question = b"GET /readyz HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n"
        ports = list(self._ports)
        answers = await asyncio.gather(*(_asked(port, question) for port in ports))
        self.ready = {port for port, answer in zip(ports, answers, strict=True) if answer.startswith(b"HTTP/1.1 200")}
        return len(self.ready)

    async def _look(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            writer.write(await self._answer(_CONNECTION.sub(b"", head)[:-2] + b"connection: close\r\n\r\n" + body))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _answer(self, request: bytes) -> bytes:
        turn = next(self._turns)
        ports = self._ports[turn % len(self._ports) :] + self._ports[: turn % len(self._ports)]
        for port in sorted(ports, key=lambda each: each not in self.ready):
            answer = await _asked(port, request)
            if answer:
                return answer
            self.turned += 1
        return _NOBODY


async def _asked(port: int, request: bytes) -> bytes:
    """Return the whole answer, or nothing if the connection was refused or closed without one."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""
    try:
        writer.write(request)
        return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()
