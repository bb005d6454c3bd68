"""Trial: steady traffic through gateways and workers while one fault after the other befalls a cluster, then the verdict."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from faregate.benchmarks.ports import free_port
from faregate.core.container import engines
from faregate.core.db.migrate import upgrade
from faregate.core.errors import EngineUnavailableError
from faregate.core.messaging.interfaces import ITransport
from faregate.core.settings import isolated_settings
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.proof.verify import Verifier
from faregate.usage.values import Feature
from faregate.wire.queues import PUBLIC_QUEUES
from faregate.worker.container import WorkerContainer
from faults.cluster.faults import Act, Fault
from faults.cluster.judge import Verdict, judge, read
from faults.cluster.results import Result, Window
from faults.cluster.stalls import Stalls, longest_silence
from faults.cluster.uses import USERS, Refusal, Uses
from faults.processes import ProcessPool
from faults.roles import KEY
from faults.traffic import FEATURE, RICH_MICROS
from support.gateways import listening

__all__ = ["Trial"]

_CALM_SECONDS = 5
_WHOLE_SECONDS = 300
_BY_ITSELF_SECONDS = 90
"""After that, whoever runs the cluster restarts the machine's node, if the trial says how."""
_DRAIN_SECONDS = 60
_LATE_SECONDS = 2.0
_TOLD_SECONDS, _TOLD_MAX = 10, 12
"""Of a way that had no success for longer, the first refusals are told, so that it can be seen what was waited for."""


class Trial:
    """Runs gateways and workers, traffic and faults on started engines.

    `settings` are those of the processes, by the name of their way to the database: a gateway and a worker for each. `publish_with`
    is the transport of the publishers that are no gateways; by default, that of the first settings. `restart` restarts the node of
    a machine that does not come back to its cluster.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        settings: Mapping[str, Mapping[str, Any]],
        judge_url: str,
        is_whole: Callable[[], Awaitable[bool]],
        *,
        seed: int,
        say: Callable[[str], None],
        publish_with: ITransport | None = None,
        restart: Act | None = None,
    ) -> None:
        self._name = name
        self._publish_with = publish_with
        self._restart = restart
        self._settings = settings
        self._judge_url = judge_url
        self._is_whole = is_whole
        self._seed = seed
        self._say = say
        self._pool = ProcessPool(directory / f"{name.replace(', ', '-').replace(' ', '-')}.log")
        self._problems: list[str] = []
        self._stalls = Stalls()

    async def run(self, faults: Sequence[Fault]) -> Result:
        began = time.time()
        container = WorkerContainer(settings=self._as_settings(next(iter(self._settings))))
        core = container.core.container
        async with engines(core.database(), core.transport()):
            await self._prepare(container)
            await self._pool.open()
            try:
                uses = Uses(self._seed, await self._processes(), self._publish_with or core.transport())
                uses.begin()
                watching = asyncio.create_task(self._stalls.watch())
                windows = [await self._suffer(fault) for fault in faults]
                watching.cancel()
                await uses.end()
                await self._drain(container)
                await self._end_processes()
            finally:
                await self._pool.close()
                if self._publish_with is not None:
                    await self._publish_with.close()
            verdict = await self._verdict(uses, container)
        self._say(f"{self._name}: {dict(verdict.faults) or 'clean'} {dict(verdict.examples)}")
        return Result(self._name, await self._measured(windows, uses), self._counts(uses), verdict, time.time() - began)

    def _as_settings(self, way: str, **more: Any) -> Any:
        return isolated_settings(server_api_key=KEY, **self._settings[way], **more)

    async def _prepare(self, container: WorkerContainer) -> None:
        core, usage = container.core.container, container.usage.container
        await upgrade(core.database())
        await usage.catalog().save(Feature(FEATURE, "token_priced", min_credits=Decimal(0)))
        for user in USERS:
            await usage.wallets().grant(user, GrantSpec(RICH_MICROS, GrantSource.PURCHASE))

    async def _processes(self) -> dict[str, str]:
        """Start a gateway and a worker for each way to the database; they must survive everything."""
        gateways: dict[str, str] = {}
        for number, (way, settings) in enumerate(self._settings.items()):
            port = free_port()
            gateways[way] = f"http://127.0.0.1:{port}"
            order = {"seed": number, "log_level": "warning"}
            self._pool.start({**order, "kind": "gateway", "settings": {**settings, "port": port}})
            self._pool.start({**order, "kind": "worker", "settings": dict(settings)})
            await listening(port)
        return gateways

    async def _suffer(self, fault: Fault) -> Window:
        await asyncio.sleep(_CALM_SECONDS)
        machine = await fault.choose()
        self._say(f"{self._name}: {fault.name} ({machine})")
        window = Window(fault, machine, time.time())
        await fault.befall(machine)
        await asyncio.sleep(fault.seconds)
        await fault.mend(machine)
        window.mended = time.time()
        if self._restart is not None and not await self._whole_within(_BY_ITSELF_SECONDS):
            window.restarted = True
            await self._restart(machine)
        if not await self._whole_within(_WHOLE_SECONDS):
            self._problems.append(f"{fault.name}: the cluster is not whole after {_WHOLE_SECONDS} s")
        window.whole = time.time()
        await asyncio.sleep(_CALM_SECONDS)
        window.ended = time.time()
        return window

    async def _whole_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not await self._is_whole():
                    await asyncio.sleep(2)  # to ask starts a program that takes a processor for a second
        except TimeoutError:
            return False
        return True

    async def _drain(self, container: WorkerContainer) -> None:
        """Wait until nothing waits on any queue."""
        transport, outbox = container.transport(), container.outbox()
        left: dict[str, int] = {}
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not left or any(left.values()):
                    with contextlib.suppress(EngineUnavailableError):
                        left = {queue: (await transport.backlog(queue)).depth for queue in PUBLIC_QUEUES}
                        left["outbox"] = sum([(await outbox.backlog(queue)).depth for queue in PUBLIC_QUEUES])
                    await asyncio.sleep(0.5)
        except TimeoutError:
            self._problems.append(f"after {_DRAIN_SECONDS} s still waiting: {left}")

    async def _end_processes(self) -> None:
        children = list(self._pool.children.values())
        for child in children:
            child.send(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*(child.ended.wait() for child in children)), 60)
        self._problems += [f"{child.order['kind']} ended with {child.code}" for child in children if child.code]
        self._problems += self._pool.failures

    async def _verdict(self, uses: Uses, container: WorkerContainer) -> Verdict:
        self._found = await read(self._judge_url)
        verdict = judge(uses.told, self._found)
        checked = await Verifier(container.database()).verify()
        verdict.blame("drifts that verify found", [str(drift) for drift in checked.drifts])
        dead = [letter async for letter in container.transport().dead_letters()]
        verdict.blame("dead letters", [f"{letter.reason}: {letter.body[:200]!r}" for letter in dead])
        verdict.blame("problems", self._problems)
        return verdict

    async def _measured(self, windows: list[Window], uses: Uses) -> list[Window]:
        settled = {key: row["at"] for key, row in self._found.charges.items() if row["at"] is not None}
        queued = {key: use for key, use in uses.told.uses.items() if use.way == "queue"}
        moments = {**uses.told.answers, "settled by queue": [settled[key] for key in queued if key in settled]}
        for window in windows:
            bounds = window.began, window.ended
            window.silences = {way: longest_silence(m, *bounds, self._stalls) for way, m in moments.items()}
            window.stalled_seconds = self._stalls.within(*bounds)
            inside = {k: u.at for k, u in queued.items() if window.began < u.at < window.ended and k in settled}
            window.lag_seconds = max((settled[key] - at for key, at in inside.items()), default=0)
            late = [settled[key] for key, at in inside.items() if settled[key] - at > _LATE_SECONDS]
            window.back_seconds = max(0, max(late, default=0) - window.mended)
            refused = [refusal for refusal in uses.told.refusals if window.began < refusal.at < window.ended]
            window.refusals = Counter(f"{refusal.way}: {refusal.what}" for refusal in refused)
            self._tell(window, refused)
        return windows

    def _tell(self, window: Window, refused: Sequence[Refusal]) -> None:
        """Say what long silences waited for."""
        long = {way for way, seconds in window.silences.items() if window.fault.quorum and seconds > _TOLD_SECONDS}
        for refusal in [refusal for refusal in refused if any(way in refusal.way for way in long)][:_TOLD_MAX]:
            self._say(f"{window.fault.name}, {refusal.at - window.began:.1f} s: {refusal.way}: {refusal.text}")

    def _counts(self, uses: Uses) -> dict[str, int]:
        ways = Counter(use.way for use in uses.told.uses.values())
        settled = {f"settled, acknowledged by {way}": count for way, count in sorted(ways.items())}
        told = uses.told
        records = {"logs confirmed": len(told.logs), "events confirmed": len(told.events)}
        return {
            "holds acknowledged": len(told.started),
            **settled,
            **records,
            "charges found": len(self._found.charges),
        }
