"""Private deployment for benchmarks, and a description of the machine.

It has its own PostgreSQL with fsync on, and funded wallets.
"""

import asyncio
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from faregate.core.clock import SystemClock
from faregate.core.db.embedded import EmbeddedServer, postgres_program
from faregate.core.db.migrate import upgrade
from faregate.core.errors import InvalidError
from faregate.core.settings import Settings, environment_without_settings, isolated_settings
from faregate.credit.services.opening_balances import OpeningBalance
from faregate.usage.service import UsageService
from faregate.usage.values import Feature, FeatureRef
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from faregate.worker.container import WorkerContainer

__all__ = ["FEATURE", "KEY", "MODEL", "Ground", "broker_versions", "machine", "private_ground", "user"]

FEATURE = FeatureRef(value="bench")
MODEL = "gpt-4o-mini"
KEY = "fg_bench_0123456789abcdef"

_FUNDS_MICROS = 10**12
_FSYNC_SECONDS = 1
_CLOCK = SystemClock()
_VERSION = re.compile(rb"\x07versionS.{4}([\w.+-]+)", re.DOTALL)
"""A field in the first frame of a broker, after the length of the frame."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Deployment that a benchmark runs on."""

    settings: Settings
    library: WorkerContainer
    server: EmbeddedServer

    @property
    def usage(self) -> UsageService:
        """The usage service in this process."""
        return self.library.usage_service()

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment of processes on the same deployment."""
        broker = {"FAREGATE_BROKER_URL": self.settings.broker_url} if self.settings.broker_url else {}
        return {
            **environment_without_settings(),
            **broker,
            "FAREGATE_DATA_DIR": str(self.settings.data_dir),
            "FAREGATE_SERVER_API_KEY": KEY,
            "FAREGATE_LOG_LEVEL": "warning",
            "FAREGATE_RATE_LIMIT_KEY": "0",
        }

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start `faregate …` on this deployment."""
        command = [sys.executable, "-m", "faregate.cli", *arguments]
        return subprocess.Popen(command, env={**self.environment, **environment})


@asynccontextmanager
async def private_ground(*, wallets: int, broker_url: str | None = None, **options: str) -> AsyncGenerator[Ground]:
    """Create a database with `wallets` funded wallets (`user(0)` …) and the feature `bench`; remove it at the end.

    `options` are settings of the server.

    Raises:
        InvalidError: the settlement queue of `broker_url` is not empty; benchmarks do not mix with real messages.
    """
    with tempfile.TemporaryDirectory(prefix="faregate-bench-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        settings = isolated_settings(
            broker_url=broker_url,
            data_dir=Path(directory),
            db_pool_size=20,
            db_statement_timeout_seconds=60,
        )
        server = EmbeddedServer(Path(directory), options={"track_commit_timestamp": "on", **options})
        await server.start()
        try:
            async with _furnished(settings, wallets) as library:
                yield Ground(settings, library, server)
        finally:
            await server.stop()


@asynccontextmanager
async def _furnished(settings: Settings, wallets: int) -> AsyncGenerator[WorkerContainer]:
    library = WorkerContainer(settings=settings)
    async with library.engines() as database:
        await upgrade(database)
        if (await library.transport().backlog(SETTLE_MULTIMODEL_QUEUE)).depth:
            raise InvalidError(f"{SETTLE_MULTIMODEL_QUEUE} is not empty; use a broker that serves this benchmark only")
        await _furnish(library, wallets)
        yield library


def user(number: int) -> str:
    """Return the id of a funded user."""
    return f"bench-{number}"


def machine(ground: Ground) -> Mapping[str, str]:
    """Return a description of the machine and its software, and the synchronous writes per second of its disk."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "cpu": f"{os.cpu_count()} x {cpu}",
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": subprocess.run(
            [postgres_program("postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1],
        "faregate": version("faregate"),
        "fsync": _fsync(ground),
    }


async def broker_versions(ground: Ground) -> Mapping[str, str]:
    """Return the versions of RabbitMQ and of its client; empty if PostgreSQL is the queue."""
    if ground.settings.broker_url is None:
        return {}
    return {"rabbitmq": await _broker_version(ground.settings.broker_url), "aiormq": version("aiormq")}


async def _broker_version(url: str) -> str:
    """Return the properties that the broker announces before login."""
    parts = urlsplit(url)
    tls = parts.scheme == "amqps"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (5671 if tls else 5672), ssl=tls)
    try:
        writer.write(b"AMQP\x00\x00\x09\x01")
        found = _VERSION.search(await reader.read(4096))
    finally:
        writer.close()
    return found[1].decode() if found else "unknown"


def _fsync(ground: Ground) -> str:
    """Return how many synchronous writes per second this disk completes: one page, as PostgreSQL writes its log."""
    with tempfile.TemporaryFile(dir=ground.settings.data_dir) as probe:
        done, began = 0, _CLOCK.monotonic()
        while (seconds := _CLOCK.monotonic() - began) < _FSYNC_SECONDS:
            os.pwrite(probe.fileno(), bytes(8192), 0)
            os.fdatasync(probe.fileno())
            done += 1
    return f"{done / seconds:,.0f} fdatasync/s"


async def _furnish(library: WorkerContainer, wallets: int) -> None:
    feature = Feature(key="bench", name="Bench", min_credits=Decimal("0.01"), strategy="token_priced")
    await library.catalog().save(feature)
    openings = [OpeningBalance(user(number), _FUNDS_MICROS, None, "bench") for number in range(wallets)]
    await library.openings().run(openings, actor="bench")
