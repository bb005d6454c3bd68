"""Strikes at failpoints: ways to kill a process."""

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
    """SIGKILL at a point ("at once") or at a random moment of the commit, publish or acknowledgement that follows it
    ("in flight"), or the end of the transaction's PostgreSQL backend while it commits ("backend").
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
"""Strikes at which a worker with a deliberate defect loses or doubles messages."""
PUBLISHER_STRIKES = (Strike("publishing", "in flight"), Strike("published"))
GATEWAY_STRIKES = (Strike("written"), Strike("committed"), Strike("publishing", "in flight"), Strike("published"))


class Striker:
    """Handler for `arm`: strikes at the n-th passage; backends are ended at every n-th one."""

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
        signal.setitimer(signal.ITIMER_REAL, delay)  # SIGALRM has no handler, so the kernel ends the process

    def _end_backends(self, delay: float) -> None:
        for connection in _open_connections:
            if not connection.is_closed() and connection.is_in_transaction():
                self._tell(self._strike.name)
                asyncio.get_running_loop().call_later(delay, _terminate, connection.get_server_pid())


def track_connections() -> None:
    """Record each connection to PostgreSQL that this process opens, so that its backend can be ended."""
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
