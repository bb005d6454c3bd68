"""What befalls the servers, the network and frozen peers, at set stages of a campaign."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable

from faults.engines import Engines
from faults.nursery import Nursery
from faults.plans import Plan

__all__ = ["Disasters"]


class Disasters:
    """One at a time; `counts` says how many there were of each."""

    def __init__(self, seed: int, engines: Engines, nursery: Nursery) -> None:
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._engines = engines
        self._nursery = nursery
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
        """How many there were that no server had to be started again for."""
        return sum(self.counts[name] for name in self._mishaps)

    async def strike(self, plan: Plan, progress: Callable[[], float]) -> None:
        """Let each disaster of the plan happen when its stage is reached."""
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
        """Put everything back into order, whatever was interrupted."""
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
        workers = [life for life in self._nursery.lives.values() if life.order["kind"] == "worker"]
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
