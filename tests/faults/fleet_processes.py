"""Processes of a fleet: forked from this checkout, or started from another revision of it."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from faregate.core.settings.reading import environment_without_settings
from faults.processes import ChildProcess, ProcessPool
from faults.roles import KEY

__all__ = [
    "ForkedLauncher",
    "Launcher",
    "OldLauncher",
    "Process",
    "extracted",
    "last_before_migration",
    "revision_name",
]

ROOT = Path(__file__).parents[2]
_VERSIONS = "libs/core/src/faregate/core/migrations/versions"


class Process(Protocol):
    """A gateway or a worker."""

    code: int | None
    ended: asyncio.Event

    def send(self, number: signal.Signals) -> None: ...


class Launcher(Protocol):
    """Starts gateways and workers of one revision."""

    async def start(self, kind: str, settings: Mapping[str, Any]) -> Process: ...


class ForkedLauncher:
    """Starts processes of this checkout, in milliseconds."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    async def start(self, kind: str, settings: Mapping[str, Any]) -> ChildProcess:
        return self._pool.start({"kind": kind, "settings": dict(settings), "seed": 1})


class _Command:
    """A process of the command line of another revision."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.code: int | None = None
        self.ended = asyncio.Event()
        self._process = process
        self._waiting = asyncio.create_task(self._wait())

    def send(self, number: signal.Signals) -> None:
        if self.code is None:
            self._process.send_signal(number)

    async def _wait(self) -> None:
        self.code = await self._process.wait()
        self.ended.set()


class OldLauncher:
    """Starts the commands of the checkout in `directory`, with the dependencies of this one."""

    def __init__(self, directory: Path, log: Path) -> None:
        self._sources = os.pathsep.join(map(str, sorted(directory.glob("*/*/src"))))
        self._log = log

    async def start(self, kind: str, settings: Mapping[str, Any]) -> _Command:
        return _Command(await self._run(kind, settings))

    async def migrate(self, settings: Mapping[str, Any]) -> None:
        process = await self._run("migrate", settings)
        assert await process.wait() == 0, self._log.read_text()[-2000:]

    async def _run(self, command: str, settings: Mapping[str, Any]) -> asyncio.subprocess.Process:
        given = {f"FAREGATE_{name.upper()}": str(value) for name, value in settings.items()}
        own = {"FAREGATE_SERVER_API_KEY": KEY, "PYTHONPATH": self._sources, "FAREGATE_LOG_LEVEL": "error"}
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-W", "ignore", "-m", "faregate.cli", command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment_without_settings(), **own, **given},
            )  # fmt: skip


def last_before_migration() -> str:
    """Return the newest revision of this repository that has all migrations but the newest one, or at least not that."""
    newest = _migrations("HEAD")[-1]
    revisions = _git(f"rev-list HEAD -- {_VERSIONS}").decode().split()
    return next(revision for revision in revisions if newest not in _migrations(revision))


def _migrations(revision: str) -> list[str]:
    return sorted(_git(f"ls-tree --name-only {revision} {_VERSIONS}/").decode().split())


def revision_name(revision: str) -> str:
    """Return a short name of a revision with its time."""
    return _git(f"log -1 --format='%h of %cs' {revision}").decode().strip()


def extracted(revision: str, directory: Path) -> Path:
    """Write the sources of a revision to `directory`."""
    with tarfile.open(fileobj=BytesIO(_git(f"archive {revision} libs apps benchmarks pyproject.toml"))) as archive:
        archive.extractall(directory)  # noqa: S202  it is of our own repository; `filter` came with Python 3.11.4
    return directory


def _git(arguments: str) -> bytes:
    return subprocess.run(["git", *shlex.split(arguments)], cwd=ROOT, check=True, capture_output=True).stdout
