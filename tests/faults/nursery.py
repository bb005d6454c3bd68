"""The other side of the zygote: lives to order, and what became of each."""

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

__all__ = ["Life", "Nursery"]


_NO_ENGINE = ("EngineUnavailableError", "SystemExit: 3")
"""How worker and gateway end that find no engine when they start, for their supervisor to start them again; one that has
started outlasts the loss, and would end with an `ExceptionGroup`."""


class Life:
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
        """Send a signal, if it still lives."""
        if self.pid is not None and self.code is None:
            self.told_to_end = self.told_to_end or number in {signal.SIGKILL, signal.SIGTERM}
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """Starts lives and counts how they end."""

    def __init__(self, log: Path) -> None:
        self.strikes: Counter[str] = Counter()
        self.crashes = 0
        self.refused = 0
        self.failures: list[str] = []
        self.lives: dict[int, Life] = {}
        self._log = log
        self._born = 0
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
                "faults.zygote",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        assert self._process.stdout is not None
        await self._process.stdout.readline()
        self._reading = asyncio.create_task(self._read(self._process.stdout))

    async def close(self) -> None:
        for life in list(self.lives.values()):
            life.send(signal.SIGCONT)
            life.send(signal.SIGKILL)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    def bear(self, order: dict[str, Any]) -> Life:
        """Start a life."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._born += 1
        life = Life(self._born, order)
        self.lives[life.number] = life
        self._process.stdin.write(json.dumps({"life": life.number, **order}).encode() + b"\n")
        return life

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            message = json.loads(line)
            life = self.lives[message["life"]]
            if "pid" in message:
                life.pid = message["pid"]
            if "stored" in message:
                life.stored.add(message["stored"])
            if "struck" in message:
                life.strikes.append(message["struck"])
            if "counts" in message:
                life.counts.update(message["counts"])
            if "error" in message:
                life.error = message["error"]
            if "ended" in message:
                self._end(life, message["ended"])

    def _end(self, life: Life, code: int) -> None:
        life.code = code
        del self.lives[life.number]
        for name in life.strikes:
            self.strikes[f"{life.order['kind']}: {name}"] += 1
        if code < 0:
            self.crashes += 1
        elif code > 0 and life.order.get("faults") and life.error.startswith(_NO_ENGINE):
            self.refused += 1
        elif code > 0 and life.order["kind"] != "publisher":
            self.failures.append(f"{life.order['kind']} {life.number} ended by itself with {code}: {life.error}")
        life.ended.set()
