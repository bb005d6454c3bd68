"""Faregate's commands in separate processes."""

import asyncio
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from weakref import finalize

__all__ = ["Command", "Finished", "command_path", "run_command", "start_command"]

_LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


class Command:
    """A running command, with the interface of `asyncio.subprocess.Process`; it was forked by the command server."""

    def __init__(self, pid: int, out: int, err: int, status: int) -> None:
        """`out` and `err` are the files in memory that it writes to, `status` is the pipe for its exit code."""
        self.pid = pid
        self._out, self._err, self._status = out, err, status
        self._code: int | None = None
        finalize(self, _close, out, err, status)

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs; the negative signal number if a signal ended it."""
        if self._code is None:
            with suppress(BlockingIOError):
                self._code = int(os.read(self._status, 20))
        return self._code

    def said(self) -> str:
        """Return what it has written to standard error so far."""
        return _all_of(self._err).decode()

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return all its output, once it has ended."""
        await self.wait()
        return _all_of(self._out), _all_of(self._err)

    async def wait(self) -> int:
        """Return its exit code, once it has ended."""
        while (code := self.returncode) is None:
            await asyncio.sleep(_LOOK_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        if self.returncode is not None:
            raise ProcessLookupError(f"the command has ended with {self.returncode}")
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def start_command(*arguments: str, **environment: str) -> Command:
    """Start `faregate …` and return its process."""
    order = {"arguments": arguments, "environment": _environment(environment), "directory": str(Path.cwd())}
    out, err = os.memfd_create("out"), os.memfd_create("err")
    status, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    orders = _server().orders
    socket.send_fds(orders, [json.dumps(order).encode()], [nothing, out, err, told])
    _close(nothing, told)
    return Command(int(orders.recv(20)), out, err, status)


async def run_command(*arguments: str, **environment: str) -> Finished:
    """Run `faregate …` to its end."""
    process = await start_command(*arguments, **environment)
    out, err = await process.communicate()
    return Finished(await process.wait(), out.decode(), err.decode())


def _all_of(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAREGATE_")}
    return {**kept, "PYTHONWARNINGS": "default", **more}


@cache
def command_path() -> str:
    """Return a PATH for shells whose `faregate` is forked by the command server; the other programs are this environment's."""
    shim = Path(__file__).with_name("command_shim.py")
    directory = _server().directory
    program = Path(directory) / "faregate"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {shim} {directory}/socket "$@"\n')
    program.chmod(0o755)
    return os.pathsep.join([directory, str(Path(sys.executable).parent), os.environ["PATH"]])


@dataclass(frozen=True)
class _Server:
    """A command server, the socket to it, and the directory of its shim; it ends when our side of the socket is closed."""

    orders: socket.socket
    process: subprocess.Popen[bytes]
    directory: str

    def close(self) -> None:
        """End the server, and with it the commands that still run."""
        self.orders.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@cache
def _server() -> _Server:
    """Return the server of this test process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shims = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    directory = tempfile.mkdtemp(prefix="fg-commands-")
    shims.bind(f"{directory}/socket")
    shims.listen()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    command = [sys.executable, "-m", "support.command_server", str(theirs.fileno()), str(shims.fileno())]
    environment = {**_environment({}), "PYTHONPATH": str(Path(__file__).parents[1])}
    with theirs, shims:
        pipes = [theirs.fileno(), shims.fileno()]
        server = _Server(ours, subprocess.Popen(command, env=environment, pass_fds=pipes), directory)
    atexit.register(server.close)
    return server
