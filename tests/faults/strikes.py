"""How a process is struck at a failpoint."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg

__all__ = [
    "CONTROL_STRIKES",
    "GATEWAY_STRIKES",
    "PUBLISHER_STRIKES",
    "WORKER_STRIKES",
    "Strike",
    "Striker",
    "track_connections",
]

How = Literal["at once", "in flight", "backend"]

_SOON_SECONDS = 0.006
_open_connections: "list[asyncpg.Connection[Any]]" = []


@dataclass(frozen=True)
class Strike:
    """SIGKILL at a point ("at once"), at a random moment of what follows it ("in flight": a commit, a publish, an
    acknowledgement), or the end of the database's side of the transaction while it commits ("backend").
    """

    point: str
    how: How = "at once"

    @property
    def name(self) -> str:
        return self.point if self.how == "at once" else f"{self.point}, {self.how}"


WORKER_STRIKES = (
    Strike("taken"),
    Strike("priced"),
    Strike("written"),
    Strike("written", "in flight"),
    Strike("written", "backend"),
    Strike("committed"),
    Strike("handled"),
    Strike("copied"),
    Strike("acknowledging", "in flight"),
    Strike("acknowledged"),
    Strike("relayed"),
    Strike("beating"),
    Strike("sweeping"),
)
CONTROL_STRIKES = (Strike("taken"), Strike("priced"), Strike("written"), Strike("committed"), Strike("handled"))
"""Where a worker that is broken on purpose must lose or double."""
PUBLISHER_STRIKES = (Strike("publishing", "in flight"), Strike("published"))
GATEWAY_STRIKES = (Strike("written"), Strike("committed"), Strike("publishing", "in flight"), Strike("published"))


class Striker:
    """What `arm` is given: strikes at the n-th passage, a backend again at each n-th one."""

    def __init__(self, strike: Strike, nth: int, rng: random.Random, tell: Callable[[str], None]) -> None:
        self._strike = strike
        self._nth = nth
        self._random = rng
        self._tell = tell
        self._passages = 0

    def __call__(self, _point: str) -> None:
        self._passages += 1
        if self._passages % self._nth:
            return
        delay = self._random.uniform(0.0001, _SOON_SECONDS)
        if self._strike.how == "backend":
            self._end_backends(delay)
            return
        self._tell(self._strike.name)
        if self._strike.how == "at once":
            os.kill(os.getpid(), signal.SIGKILL)
        signal.setitimer(signal.ITIMER_REAL, delay)  # nobody handles SIGALRM: the kernel ends the process

    def _end_backends(self, delay: float) -> None:
        for connection in _open_connections:
            if not connection.is_closed() and connection.is_in_transaction():
                self._tell(self._strike.name)
                asyncio.get_running_loop().call_later(delay, _terminate, connection.get_server_pid())


def track_connections() -> None:
    """Remember each connection to PostgreSQL that this process opens, so that its other end can be ended."""
    connect = asyncpg.connect

    async def tracked(*arguments: Any, **named: Any) -> Any:
        connection = await connect(*arguments, **named)
        _open_connections[:] = [known for known in _open_connections if not known.is_closed()]
        _open_connections.append(connection)
        return connection

    asyncpg.connect = tracked


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
