"""Fork server for commands: a start takes milliseconds, not seconds.

The server has imported all commands and forks for each start. The child is like any other process: its own environment,
arguments, pipes and end, and nothing has run in it before `faregate` itself. Orders arrive by a socket, as JSON with three
descriptors: standard output, standard error, and the pipe for the exit code.
"""

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
from contextlib import suppress
from typing import Any

from faregate import cli
from faregate.cli import __main__ as entry
from faregate.cli.main import COMMANDS, main, module_of

__all__ = ["serve"]

_PR_SET_PDEATHSIG = 1
_REAP_SECONDS = 0.02


def serve(orders: socket.socket) -> None:
    """Fork until the socket is closed. Returns in the child only, ready to run `main`."""
    statuses: dict[int, int] = {}
    while True:
        if select.select([orders], [], [], _REAP_SECONDS)[0]:
            message, pipes, _, _ = socket.recv_fds(orders, 1 << 20, 3)
            if not message:
                sys.exit(0)
            out, err, status = pipes
            pid = os.fork()
            if pid == 0:
                orders.close()
                _become(json.loads(message), out, err, [status, *statuses.values()])
                return
            os.close(out)
            os.close(err)
            statuses[pid] = status
            orders.send(str(pid).encode())
        _reap(statuses)


def _become(order: dict[str, Any], out: int, err: int, foreign: list[int]) -> None:
    """Set up this process as if it had just been started with these arguments."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in {out, err, *foreign}:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    sys.argv = [str(entry.__file__), *order["arguments"]]


def _reap(statuses: dict[int, int]) -> None:
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        pipe = statuses.pop(pid)
        with suppress(BrokenPipeError):  # the other side has closed
            os.write(pipe, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(pipe)


def _import_all() -> None:
    """Import all commands, and what they import only when they run."""
    for place, _ in COMMANDS.values():
        importlib.import_module(module_of(place).partition(":")[0])
    for module in pkgutil.walk_packages(cli.__path__, f"{cli.__name__}."):
        importlib.import_module(module.name)
    for servers in ("faregate.gateway.main", "faregate.worker.main"):
        importlib.import_module(servers)


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()  # keeps memory pages shared with the forked processes
    serve(socket.socket(fileno=int(sys.argv[1])))
    main()
