"""Faults of servers, network and peers at set stages of a campaign."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable

from faults.engines import Engines
from faults.plans import Plan
from faults.processes import ProcessPool

__all__ = ["Disasters"]


class Disasters:
    """Causes one fault at a time; `counts` holds the number of each."""

    def __init__(self, seed: int, engines: Engines, pool: ProcessPool) -> None:
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._engines = engines
        self._pool = pool
        self._mishaps = {
            "connections to PostgreSQL cut": self._cut_postgres,
            "connections to RabbitMQ cut": self._cut_broker,
            "PostgreSQL silent for 1 to 4 s": self._silence_postgres,
            "RabbitMQ silent for 1 to 4 s": self._silence_broker,
            "a worker frozen for 1 to 4 s": self._freeze_worker,
            "wallets locked by a stranger for 1 to 8 s": self._hold_wallets,
        }

    @property
    def mishaps(self) -> int:
        """Number of faults that needed no restart of a server."""
        return sum(self.counts[name] for name in self._mishaps)

    async def strike(self, plan: Plan, progress: Callable[[], float]) -> None:
        """Cause each fault of the plan when its stage is reached."""
        names = ["PostgreSQL crashed"] * plan.postgres_crashes + ["RabbitMQ killed"] * plan.broker_kills
        kinds = list(self._mishaps)
        names += [kinds[number % len(kinds)] for number in range(plan.mishaps)]
        self._random.shuffle(names)
        for number, name in enumerate(names):
            while progress() < (number + 0.5) / len(names):
                await asyncio.sleep(0.05)
            await self._happen(name)
            self.counts[name] += 1

    async def mend(self) -> None:
        """Restore connections and servers after any interruption."""
        self._engines.broker_proxy.thaw()
        self._engines.postgres_proxy.thaw()
        if self._engines.postgres.server_pid() is None:
            await self._engines.crash_postgres()
        if not self._engines.broker.running:
            await asyncio.to_thread(self._engines.broker.start)

    async def _happen(self, name: str) -> None:
        if name == "PostgreSQL crashed":
            await asyncio.shield(self._engines.crash_postgres())
        elif name == "RabbitMQ killed":
            await asyncio.shield(self._engines.kill_broker())
        else:
            await self._mishaps[name]()

    async def _cut_postgres(self) -> None:
        self._engines.postgres_proxy.cut()

    async def _cut_broker(self) -> None:
        self._engines.broker_proxy.cut()

    async def _silence_postgres(self) -> None:
        self._engines.postgres_proxy.freeze(*self._ways())
        await self._a_while(4)
        self._engines.postgres_proxy.thaw()

    async def _silence_broker(self) -> None:
        self._engines.broker_proxy.freeze(*self._ways())
        await self._a_while(4)
        self._engines.broker_proxy.thaw()

    async def _freeze_worker(self) -> None:
        workers = [child for child in self._pool.children.values() if child.order["kind"] == "worker"]
        if workers:
            frozen = self._random.choice(workers)
            frozen.send(signal.SIGSTOP)
            await self._a_while(4)
            frozen.send(signal.SIGCONT)

    async def _hold_wallets(self) -> None:
        await self._engines.hold_wallets(self._random.uniform(1, 8))

    def _ways(self) -> list[str]:
        return self._random.choice([["there", "back"], ["there"], ["back"]])

    async def _a_while(self, seconds: float) -> None:
        await asyncio.sleep(self._random.uniform(1, seconds))
