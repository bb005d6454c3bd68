"""LiteLLM in an environment of its own, and its proxy in processes that a test may kill.

Its proxy pins versions of rich and websockets that other parts of Faregate do not run with.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx2

from faregate.benchmarks.ports import free_port
from support.environments import fresh_environment

__all__ = ["MASTER_KEY", "Forks", "Proxy", "litellm_python"]

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "tests/integrations/litellm_proxy.txt"
FORKS = ROOT / "tests/integrations/programs/litellm_forks.py"
MASTER_KEY = "sk-faregate-test-3f9b2c7d1e5a4f60"


class Forks:
    """A process that has imported LiteLLM and forks for each program."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(litellm_python()), str(FORKS)],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, program: str, *arguments: str, cwd: Path, output: Path, **variables: str) -> int:
        """Run the `proxy`, or a program of Python; return the pid."""
        order = {"run": program, "arguments": arguments, "cwd": str(cwd), "output": str(output), "env": variables}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    async def run(self, program: str, *, cwd: Path, **variables: str) -> str:
        """Run a program to its end; return what it printed."""
        output = cwd / "output"
        pid = await asyncio.to_thread(self.start, program, cwd=cwd, output=output, **variables)
        while _lives(pid):
            await asyncio.sleep(0.02)
        return output.read_text()

    def close(self) -> None:
        """End it; what it started ends by itself or is killed."""
        self._process.communicate(timeout=10)


class Proxy:
    """One process of LiteLLM's proxy with `config.yaml` and the modules beside it."""

    def __init__(self, forks: Forks, directory: Path, variables: Mapping[str, str]) -> None:
        self._forks = forks
        self._directory = directory
        self._variables = variables
        self._pid = 0
        self.url = ""

    async def start(self) -> None:
        """Start it and wait until it answers."""
        port = str(free_port())
        log = self._directory / f"{port}.log"
        self.url = f"http://127.0.0.1:{port}"
        arguments = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", port]
        self._pid = await asyncio.to_thread(
            self._forks.start, "proxy", *arguments, cwd=self._directory, output=log, **self._variables
        )
        async with httpx2.AsyncClient() as http:
            while not await _answers(http, f"{self.url}/health/liveliness"):
                assert _lives(self._pid), log.read_text()
                await asyncio.sleep(0.05)

    @property
    def lives(self) -> bool:
        """Whether its process runs."""
        return bool(self._pid) and _lives(self._pid)

    def kill(self) -> None:
        """End it as the kernel ends a process that takes too much memory."""
        pid, self._pid = self._pid, 0
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def ask(
        self, http: httpx2.AsyncClient, path: str, body: object, *, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Make a call with the master key."""
        sent = {"authorization": f"Bearer {MASTER_KEY}", **(headers or {})}
        return await http.post(f"{self.url}{path}", json=body, headers=sent, timeout=60)


def litellm_python() -> Path:
    """Return the Python of the environment, which is made once for each version of its requirements."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    directory = ROOT / "build" / f"litellm-{name}"
    directory.parent.mkdir(exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the run may make it
        if not (directory / "complete").exists():
            fresh_environment(directory, "--requirement", str(REQUIREMENTS), "--compile-bytecode")
            (directory / "complete").touch()
    return directory / "bin/python"


def _environment() -> dict[str, str]:
    """Return the environment of programs that use this checkout's client and adapters with LiteLLM."""
    paths = [str(ROOT / f"libs/{name}/src") for name in ("wire", "client", "core", "integrations")]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": ":".join(paths), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 200
    except httpx2.TransportError:
        return False
