"""A primary with a streaming standby, for tests."""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from faregate.core.clock import Deadline
from faregate.core.db import embedded
from faregate.core.db.embedded import EmbeddedServer, postgres_program
from support.servers import address, in_memory

__all__ = ["Standby", "replicated"]

_OPTIONS = {"fsync": "off", "shared_buffers": "32MB", "max_connections": "200", "max_standby_streaming_delay": "0"}


class Standby:
    """A standby of `primary`, whose replay tests stop and continue."""

    def __init__(self, primary: EmbeddedServer, directory: Path) -> None:
        self.primary = primary
        self._directory = directory
        self._cluster = directory / "standby"
        self._process: subprocess.Popen[Any] | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._directory}&port=5432"

    def of(self, database_url: str) -> str:
        """Return the address of the same database on the standby."""
        return address(self.url, database_url.partition("?")[0].rpartition("/")[2])

    def copy(self) -> None:
        """Copy the primary, so that `start` continues from there."""
        source = self.primary.data_dir
        command = [str(postgres_program("pg_basebackup")), "-D", str(self._cluster), "-R", "-c", "fast", "-X", "stream"]
        options = ["-h", str(source), "-p", "5432", "-U", "postgres"]
        subprocess.run([*command, *options], check=True, capture_output=True, cwd=self._directory, **_as_owner())

    def start(self) -> None:
        """Start it, and wait until it can be read."""
        flags = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        place = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self._directory}", "-c", "port=5432"]
        with (self._directory / "standby.log").open("ab") as output:
            process = self._process = subprocess.Popen[Any](
                [str(postgres_program("postgres")), "-D", str(self._cluster), *flags, *place],
                stdout=output, stderr=output, cwd=self._directory, **_as_owner(),
            )  # fmt: skip
        deadline, ready = (
            Deadline(60),
            [str(postgres_program("pg_isready")), "-h", str(self._directory), "-p", "5432", "-q"],
        )
        while subprocess.run(ready, check=False).returncode:
            ended = process.poll() is not None or deadline.passed
            assert not ended, (self._directory / "standby.log").read_text()

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    async def run(self, statement: str) -> Any:
        """Run a statement on the standby, and return its value."""
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def pause(self) -> None:
        """Stop replaying: what is committed from now on is missing here."""
        await self.run("select pg_wal_replay_pause()")
        async with asyncio.timeout(10):
            while await self.run("select pg_get_wal_replay_pause_state()") != "paused":
                await asyncio.sleep(0.005)

    async def resume(self) -> None:
        await self.run("select pg_wal_replay_resume()")

    async def caught_up(self) -> None:
        """Wait until it has replayed everything that the primary has written."""
        connection = await asyncpg.connect(self.primary.url)
        try:
            position = await connection.fetchval("select pg_current_wal_flush_lsn()::text")
        finally:
            await connection.close()
        async with asyncio.timeout(30):
            while not await self.run(f"select pg_last_wal_replay_lsn() >= '{position}'"):
                await asyncio.sleep(0.01)


@contextmanager
def replicated(options: Mapping[str, str] | None = None) -> Generator[Standby]:
    """Run a primary and its standby within the block."""
    with tempfile.TemporaryDirectory(prefix="fg-st-", dir=in_memory(), ignore_cleanup_errors=True) as directory:
        place = Path(directory)
        place.chmod(0o777)
        settings = {"synchronous_commit": "on", "shared_buffers": "32MB", "hot_standby_feedback": "off"}
        primary = EmbeddedServer(place / "primary", durable=False, options={**settings, **(options or {})})
        primary.start_now()
        standby = Standby(primary, place)
        try:
            standby.copy()
            standby.start()
            yield standby
        finally:
            standby.stop()
            primary.stop_now()


def _as_owner() -> dict[str, Any]:
    """The system user that runs servers if the tests run as root."""
    if os.geteuid() != 0:
        return {}
    return embedded._as_owner()  # pyright: ignore[reportPrivateUsage]
