"""LiteLLM in an environment of its own, and its proxy in processes that a test may kill.

Its proxy pins versions of rich and websockets that other parts of Faregate do not run with.
"""

import asyncio
import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import httpx2

from support.environments import fresh_environment

__all__ = ["MASTER_KEY", "Proxy", "environment", "python", "started"]

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "tests/integrations/litellm_proxy.txt"
MASTER_KEY = "sk-faregate-test-3f9b2c7d1e5a4f60"


@cache
def python() -> Path:
    """Return the Python of the environment, which is made once for each version of its requirements."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    directory = ROOT / "build" / f"litellm-{name}"
    if not (directory / "complete").exists():
        fresh_environment(directory, "--requirement", str(REQUIREMENTS), "--compile-bytecode")
        (directory / "complete").touch()
    return directory / "bin/python"


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a program that uses this checkout's client and adapters with LiteLLM."""
    paths = [str(ROOT / f"libs/{name}/src") for name in ("wire", "client", "core", "integrations")]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": ":".join([*paths, "."]), "LITELLM_LOCAL_MODEL_COST_MAP": "True", **more}


class Proxy:
    """One process of LiteLLM's proxy with `config.yaml` and the modules beside it."""

    def __init__(self, directory: Path, variables: Mapping[str, str]) -> None:
        self._directory = directory
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / f"proxy-{id(self)}.log"
        self.url = ""

    async def start(self) -> None:
        """Start it and wait until it answers."""
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        program = str(python().with_name("litellm"))
        command = [program, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._directory, env=environment(**self._variables), stdout=log, stderr=log
            )
        async with httpx2.AsyncClient() as http:
            while not await _answers(http, f"{self.url}/health/liveliness"):
                assert self._process.poll() is None, self.said()
                await asyncio.sleep(0.05)

    def said(self) -> str:
        """Return what it has printed."""
        return self._log.read_text()

    def kill(self) -> None:
        """End it as the kernel ends a process that takes too much memory."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    async def ask(
        self, http: httpx2.AsyncClient, path: str, body: object, *, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Make a call with the master key."""
        sent = {"authorization": f"Bearer {MASTER_KEY}", **(headers or {})}
        return await http.post(f"{self.url}{path}", json=body, headers=sent, timeout=60)


async def started(proxies: Sequence[Proxy]) -> None:
    """Start several proxies at once."""
    await asyncio.gather(*(proxy.start() for proxy in proxies))


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 200
    except httpx2.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
