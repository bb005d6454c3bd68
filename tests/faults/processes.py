"""Forked processes of a campaign, and how they ended."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from faregate.core.settings import environment_without_settings

__all__ = ["ChildProcess", "ProcessPool"]


_NO_ENGINE = ("EngineUnavailableError", "DatabaseUnavailableError", "SystemExit: 3")
"""Errors of a worker or gateway that finds no engine at its start, and is started again by its supervisor. After its start
it survives the loss of an engine, and would end with an `ExceptionGroup`."""


class ChildProcess:
    """One forked process; `ended` is set with its exit code (negative: the signal that ended it)."""

    def __init__(self, number: int, order: dict[str, Any]) -> None:
        self.number = number
        self.order = order
        self.pid: int | None = None
        self.code: int | None = None
        self.error = ""
        self.stored: set[int] = set()
        self.strikes: list[str] = []
        self.counts = Counter[str]()
        self.told_to_end = False
        self.ended = asyncio.Event()

    def send(self, number: signal.Signals) -> None:
        """Send a signal if the process is still running."""
        if self.pid is not None and self.code is None:
            self.told_to_end = self.told_to_end or number in {signal.SIGKILL, signal.SIGTERM}
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ProcessPool:
    """Starts processes and counts how they end."""

    def __init__(self, log: Path) -> None:
        self.strikes: Counter[str] = Counter()
        self.crashes = 0
        self.refused = 0
        self.failures: list[str] = []
        self.children: dict[int, ChildProcess] = {}
        self._log = log
        self._started = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        environment = {
            **environment_without_settings(),
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "PYTHONWARNINGS": "ignore",
        }
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "faults.fork_server",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        assert self._process.stdout is not None
        await self._process.stdout.readline()
        self._reading = asyncio.create_task(self._read(self._process.stdout))

    async def close(self) -> None:
        for child in list(self.children.values()):
            child.send(signal.SIGCONT)
            child.send(signal.SIGKILL)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    def start(self, order: dict[str, Any]) -> ChildProcess:
        """Start a process with this order."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._started += 1
        child = ChildProcess(self._started, order)
        self.children[child.number] = child
        self._process.stdin.write(json.dumps({"child": child.number, **order}).encode() + b"\n")
        return child

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            message = json.loads(line)
            child = self.children[message["child"]]
            if "pid" in message:
                child.pid = message["pid"]
            if "stored" in message:
                child.stored.add(message["stored"])
            if "struck" in message:
                child.strikes.append(message["struck"])
            if "counts" in message:
                child.counts.update(message["counts"])
            if "error" in message:
                child.error = message["error"]
            if "ended" in message:
                self._end(child, message["ended"])

    def _end(self, child: ChildProcess, code: int) -> None:
        child.code = code
        del self.children[child.number]
        for name in child.strikes:
            self.strikes[f"{child.order['kind']}: {name}"] += 1
        if code < 0:
            self.crashes += 1
        elif code > 0 and child.order.get("faults") and child.error.startswith(_NO_ENGINE):
            self.refused += 1
        elif code > 0 and child.order["kind"] != "publisher":
            self.failures.append(f"{child.order['kind']} {child.number} ended unexpectedly with {code}: {child.error}")
        child.ended.set()
