"""Proxy between a process and its server that causes network faults.

It can stop forwarding in one direction or both, cut connections, and refuse them.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

__all__ = ["Proxy", "before_postgres"]

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens on a port or a Unix socket, and forwards every connection to the one that `connect` opens."""

    def __init__(self, connect: Callable[[], Awaitable[Opened]]) -> None:
        self._connect = connect
        self._flowing = {"there": asyncio.Event(), "back": asyncio.Event()}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._refuses = False
        self.accepted = 0
        """Connections forwarded so far, including closed ones."""
        self.port = 0
        self.thaw()

    async def listen(self, path: Path | None = None) -> None:
        if path is not None:
            self._server = await asyncio.start_unix_server(self._carry, path)
            path.chmod(0o777)
            return
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.thaw()
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Abort all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse(self) -> None:
        """Abort all connections, and refuse new ones until `admit`."""
        self._refuses = True
        self.cut()

    def admit(self) -> None:
        self._refuses = False

    def freeze(self, *ways: str) -> None:
        """Stop forwarding; connections stay open."""
        for way in ways or ("there", "back"):
            self._flowing[way].clear()

    def thaw(self) -> None:
        for flowing in self._flowing.values():
            flowing.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        self.accepted += 1
        self._writers |= {writer, there_writer}
        try:
            await asyncio.gather(
                self._pump(reader, there_writer, self._flowing["there"]),
                self._pump(there_reader, writer, self._flowing["back"]),
            )
        finally:
            for each in (writer, there_writer):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while data := await reader.read(65536):
                await flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def before_postgres(url: str) -> AsyncGenerator[tuple[Proxy, str]]:
    """Start a proxy for the PostgreSQL at `url`; yield it and the URL through it."""
    parts = urlsplit(url)
    (host,) = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])
    port = parts.port or 5432
    with tempfile.TemporaryDirectory(prefix="fg-proxy-") as directory:
        socket = f".s.PGSQL.{port}"
        if host.startswith("/"):
            proxy = Proxy(lambda: asyncio.open_unix_connection(f"{host}/{socket}"))
            await proxy.listen(Path(directory) / socket)
            beyond = url.replace(host, directory)
        else:
            proxy = Proxy(lambda: asyncio.open_connection(host, port))
            await proxy.listen()
            beyond = url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
        try:
            yield proxy, beyond
        finally:
            await proxy.close()
