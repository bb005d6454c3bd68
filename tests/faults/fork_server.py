"""Fork server: starts processes in milliseconds, since it has imported everything.

It reads orders from standard input, one JSON object per line, and reports events on standard output in the same way.
"""

import ctypes
import gc
import json
import os
import random
import select
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from faregate.core.logging import configure_logging
from faregate.core.runtime import event_loop
from faregate.core.runtime.failpoints import arm
from faults import controls
from faults.lease_roles import spend
from faults.roles import feed, hold, serve, work
from faults.strikes import Strike, Striker, track_connections

__all__ = ["main"]

KINDS: dict[str, Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], Awaitable[None]]] = {
    "worker": work,
    "publisher": feed,
    "gateway": serve,
    "job holder": hold,
    "lease client": spend,
}
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork until standard input ends."""
    report = os.dup(1)
    os.dup2(2, 1)  # output of the processes goes to the log
    gc.collect()
    gc.freeze()
    children: dict[int, int] = {}
    _tell(report, {"ready": os.getpid()})
    pending = b""
    while True:
        if select.select([0], [], [], 0.01)[0]:
            read = os.read(0, 65536)
            if not read:
                return
            *orders, pending = (pending + read).split(b"\n")
            for order in map(json.loads, orders):
                children[_fork(order, report)] = order["child"]
        _reap(children, report)


def _fork(order: dict[str, Any], report: int) -> int:
    pid = os.fork()
    if pid:
        _tell(report, {"child": order["child"], "pid": pid})
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        _run(order, report)
        code = 0
    except BaseException as error:  # noqa: BLE001  a child process must never return from here
        traceback.print_exc()
        _tell(report, {"child": order["child"], "error": _told(error)[:500]})
    finally:
        sys.stderr.flush()
        os._exit(code)


def _told(error: BaseException) -> str:
    """Return an error as one line, with the errors of a group."""
    parts = [_told(part) for part in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    return f"{type(error).__name__}: {error}" + (f" [{'; '.join(parts)}]" if parts else "")


def _run(order: dict[str, Any], report: int) -> None:
    random.seed(order["seed"])
    configure_logging(style="json", level=order.get("log_level", "error"))
    track_connections()
    controls.apply(order.get("control"))

    def tell(more: dict[str, Any]) -> None:
        _tell(report, {"child": order["child"], **more})

    if order.get("point"):
        strike = Strike(order["point"], order["how"])
        rng = random.Random(order["seed"])
        arm([strike.point], Striker(strike, order["nth"], rng, lambda name: tell({"struck": name})))
    event_loop.run(KINDS[order["kind"]](order, tell))  # type: ignore[arg-type]


def _reap(children: dict[int, int], report: int) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _tell(report, {"child": children.pop(pid), "ended": os.waitstatus_to_exitcode(status)})


def _tell(report: int, message: dict[str, Any]) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
