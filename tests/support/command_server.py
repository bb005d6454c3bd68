"""Fork server for commands: a start takes milliseconds, not seconds.

The server has imported all commands and forks for each start. The child is like any other process: its own environment,
arguments, pipes and end, and nothing has run in it before `faregate` itself. Orders arrive by a socket, as JSON with four
descriptors: standard input, output and error, and the pipe for the exit code; or by the connection of a shim (`command_shim`),
without the pipe.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

from faregate import cli
from faregate.cli import __main__ as entry
from faregate.cli.main import COMMANDS, main, module_of

__all__ = ["serve"]

_PR_SET_PDEATHSIG = 1
_REAP_SECONDS = 0.02
_STANDARD = 3
"""Standard input, output and error."""


def serve(orders: socket.socket, shims: socket.socket) -> None:
    """Fork until `orders` is closed. Returns in the child only, ready to run `main`."""
    children = _Children()
    while True:
        ready = select.select([orders, shims, *children.connections], [], [], _REAP_SECONDS)[0]
        for each in ready:
            source = each.accept()[0] if each is shims else each
            message, files, _, _ = socket.recv_fds(source, 1 << 20, 4)
            if message:
                if not children.start(source, json.loads(message), files, [orders, shims]):
                    return
            elif source is orders:
                sys.exit(0)
            else:
                children.end(source)
        children.reap()


class _Children:
    """The forked processes, and where each one's exit code goes: a pipe, or the connection of a shim."""

    def __init__(self) -> None:
        self._statuses: dict[int, int] = {}
        self.connections: dict[socket.socket, int] = {}

    def start(self, source: socket.socket, order: dict[str, Any], files: list[int], ours: list[socket.socket]) -> bool:
        """Fork; return True in the parent, False in the child."""
        pid = os.fork()
        if pid == 0:
            for one in {*ours, source, *self.connections}:
                one.close()
            _become(order, files, list(self._statuses.values()))
            return False
        for descriptor in files[:3]:
            os.close(descriptor)
        if len(files) > _STANDARD:
            self._statuses[pid] = files[_STANDARD]
        else:
            self.connections[source] = pid
        source.send(str(pid).encode())
        return True

    def end(self, shim: socket.socket) -> None:
        """Kill the process whose shim was killed."""
        os.kill(self.connections.pop(shim), signal.SIGKILL)
        shim.close()

    def reap(self) -> None:
        while self._statuses or self.connections:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._tell(pid, str(os.waitstatus_to_exitcode(status)).encode())

    def _tell(self, pid: int, code: bytes) -> None:
        pipe = self._statuses.pop(pid, None)
        if pipe is not None:
            with suppress(BrokenPipeError):  # the other side has closed
                os.write(pipe, code)
            os.close(pipe)
        for shim in [shim for shim, its in self.connections.items() if its == pid]:
            del self.connections[shim]
            with suppress(OSError):
                shim.send(code)
            shim.close()


def _become(order: dict[str, Any], files: list[int], foreign: list[int]) -> None:
    """Set up this process as if it had just been started with these arguments."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, descriptor in enumerate(files[:_STANDARD]):
        os.dup2(descriptor, number)
    for descriptor in {*files, *foreign}:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    sys.argv = [str(entry.__file__), *order["arguments"]]


def _import_all() -> None:
    """Import all commands, and what they import only when they run."""
    for place, _ in COMMANDS.values():
        importlib.import_module(module_of(place).partition(":")[0])
    for module in pkgutil.walk_packages(cli.__path__, f"{cli.__name__}."):
        importlib.import_module(module.name)
    for servers in ("faregate.gateway.main", "faregate.worker.main"):
        importlib.import_module(servers)


def _run() -> NoReturn:
    """Run the command, and end without freeing its objects one by one: that copies all pages that are shared with the server."""
    try:
        main()
    except SystemExit as end:
        code = end.code
    assert isinstance(code, int)
    threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does, and `multiprocessing`
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()  # keeps memory pages shared with the forked processes
    serve(socket.socket(fileno=int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
    _run()
