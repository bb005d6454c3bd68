"""PostgreSQL and RabbitMQ of one campaign, and their faults."""

import asyncio
import contextlib
import signal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiormq
import asyncpg
from aiormq.exceptions import AMQPError
from pamqp.commands import Basic

from faregate.core.db.embedded import EmbeddedServer
from faults.proxy import Proxy
from support.rabbitmq import RabbitServer
from support.servers import address, execute

__all__ = ["Engines"]

_QUEUES = ("credits_process_end_multimodel_queue", "credits_process_end_queue")
_RETRY_QUEUES = tuple(f"faregate.retry.{seconds}s" for seconds in (5, 30, 300, 3600))
_DEAD_QUEUE = "faregate.dead_letters"


class Engines:
    """Real servers with private data; fsync is on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = RabbitServer()
        self.broker_proxy = Proxy(lambda: asyncio.open_connection("127.0.0.1", self.broker.port))
        self.postgres_proxy = Proxy(lambda: asyncio.open_unix_connection(self._socket))
        self.postgres = self._server()
        self._name = "postgres"

    async def open(self) -> None:
        await asyncio.to_thread(self.postgres.start_now)
        await asyncio.to_thread(self.broker.start)
        await self.broker_proxy.listen()
        await self.postgres_proxy.listen(self._socket_beyond)

    async def close(self) -> None:
        await self.broker_proxy.close()
        await self.postgres_proxy.close()
        await asyncio.to_thread(self.broker.remove)
        await asyncio.to_thread(self.postgres.stop_now)

    @property
    def database_url(self) -> str:
        return address(self.postgres.url, self._name)

    def settings(self, *, beyond_proxies: bool = False) -> dict[str, str]:
        """Return the settings of a process that connects to its engines directly, or through the proxies."""
        if not beyond_proxies:
            return {"database_url": self.database_url, "broker_url": self.broker.url}
        url = self.database_url.replace(str(self._socket.parent), str(self._socket_beyond.parent))
        port = self.broker_proxy.port
        return {"database_url": url, "broker_url": f"amqp://guest:guest@127.0.0.1:{port}/"}

    async def new_database(self, name: str) -> None:
        """Start with an empty database and empty queues."""
        await execute(self.postgres.url, f"create database {name}")
        self._name = name
        for queue in (*_QUEUES, *_RETRY_QUEUES, _DEAD_QUEUE):
            await self._purge(queue)

    async def crash_postgres(self) -> None:
        """Stop PostgreSQL as a power failure does, and start it again; it recovers from its log."""
        await asyncio.to_thread(self.postgres.shut_down, signal.SIGQUIT)
        await asyncio.to_thread(self.postgres.stop_now)
        self.postgres = self._server()
        await asyncio.to_thread(self.postgres.start_now)

    async def kill_broker(self) -> None:
        await asyncio.to_thread(self.broker.kill)
        await asyncio.to_thread(self.broker.start)

    async def hold_wallets(self, seconds: float) -> None:
        """Hold row locks in a transaction of another application."""
        connection = await asyncpg.connect(self.database_url)
        try:
            with contextlib.suppress(asyncpg.DeadlockDetectedError):  # then the stranger had to give way
                async with connection.transaction():
                    await connection.execute("select 1 from faregate.wallet order by wallet_id limit 20 for update")
                    await asyncio.sleep(seconds)
        finally:
            await connection.close()

    async def waiting(self) -> int:
        """Return the number of messages on the broker, ready or waiting for a retry."""
        connection = await aiormq.connect(self.broker.url)
        try:
            return sum([await self._depth(connection, queue) for queue in (*_QUEUES, *_RETRY_QUEUES)])
        finally:
            await connection.close()

    async def dead_letters(self) -> list[bytes]:
        """Return the bodies in the dead-letter queue, which keeps them."""
        connection = await aiormq.connect(self.broker.url)
        try:
            channel = await connection.channel()
            bodies: list[bytes] = []
            while True:
                found = await channel.basic_get(_DEAD_QUEUE, timeout=10)
                if isinstance(found.delivery, Basic.GetEmpty):
                    return bodies
                bodies.append(bytes(found.body))
        finally:
            await connection.close()

    async def versions(self) -> dict[str, str]:
        postgres, broker = await asyncpg.connect(self.database_url), await aiormq.connect(self.broker.url)
        try:
            told = broker.server_properties
            return {
                "PostgreSQL": str(await postgres.fetchval("show server_version")),
                "RabbitMQ": str(_text(told["version"])),
            }
        finally:
            await postgres.close()
            await broker.close()

    def _server(self) -> EmbeddedServer:
        return EmbeddedServer(self.directory / "pg", options={"max_connections": "300", "shared_buffers": "256MB"})

    @property
    def _socket(self) -> Path:
        (host,) = parse_qs(urlsplit(self.postgres.url).query)["host"]
        return Path(host) / ".s.PGSQL.5432"

    @property
    def _socket_beyond(self) -> Path:
        beyond = self.directory / "beyond"
        beyond.mkdir(exist_ok=True)
        return beyond / ".s.PGSQL.5432"

    async def _depth(self, connection: aiormq.Connection, queue: str) -> int:
        with contextlib.suppress(AMQPError):
            channel = await connection.channel()
            return (await channel.queue_declare(queue, passive=True, timeout=10)).message_count or 0
        return 0

    async def _purge(self, queue: str) -> None:
        connection = await aiormq.connect(self.broker.url)
        try:
            with contextlib.suppress(AMQPError):
                await (await connection.channel()).queue_purge(queue)
        finally:
            await connection.close()


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
