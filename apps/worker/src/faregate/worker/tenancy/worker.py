"""Worker of a deployment with many tenants.

Once a second one statement asks what waits at whom; notifications say it earlier. A tenant with something to do gets turns in
lanes: messages, scheduled jobs, webhooks, reports. So the tasks and connections of a worker do not grow with the number of tenants.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from structlog.contextvars import bind_contextvars, reset_contextvars

from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.messaging.wake_ups import LOST, WakeUps
from faregate.core.tenants.registry import TenantRegistry
from faregate.core.tenants.values import Tenant
from faregate.worker.tenancy.held import TenantWorker
from faregate.worker.tenancy.holding import Holding
from faregate.worker.tenancy.lanes import Lane
from faregate.worker.tenancy.pace import JobPace
from faregate.worker.tenancy.probing import Probing

__all__ = ["TenantsWorker"]

log = get_logger(__name__)

_PULSE_SECONDS = 1.0
_BEAT_SECONDS = 5.0
_REPORT_SECONDS = 5.0
_JOBS_AT_ONCE = 2
_WEBHOOKS_AT_ONCE = 8
"""A delivery waits for its receiver for up to 15 seconds."""
_REPORTS_AT_ONCE = 2
_OPENED_AT_ONCE = 10
"""Tenants whose queues of RabbitMQ a worker begins to consume in one second."""
_GRACE_SECONDS = 20.0
_JOB_GRACE_SECONDS = 5.0
"""A job that is cut off is due again at once."""


class TenantsWorker:
    """All tasks of one worker process; `width` is how many tenants' messages it handles at the same time."""

    def __init__(
        self,
        registry: TenantRegistry,
        holding: Holding,
        probing: Probing,
        wake_ups: WakeUps,
        *,
        width: int,
        streams: bool,
    ) -> None:
        """`streams`: tenants consume from RabbitMQ, and are kept in memory for it."""
        self._streams = streams
        self._registry = registry
        self._holding = holding
        self._probing = probing
        self._wake_ups = wake_ups
        self._pace = JobPace()
        self._ready: dict[str, set[str]] = {}
        self._stop = asyncio.Event()
        self._messages = Lane(width, self._consume, grace_seconds=_GRACE_SECONDS)
        self._jobs = Lane(_JOBS_AT_ONCE, self._run_jobs, grace_seconds=_JOB_GRACE_SECONDS)
        self._webhooks = Lane(_WEBHOOKS_AT_ONCE, self._deliver, grace_seconds=_GRACE_SECONDS)
        self._reports = Lane(_REPORTS_AT_ONCE, self._report, grace_seconds=_GRACE_SECONDS)
        self._reported: dict[str, Deadline] = {}
        self._channels: dict[str, str] = {}
        self._instance = f"worker:{socket.gethostname()}:{os.getpid()}"

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; finish the turns that have begun."""
        self._stop = stop
        log.info("worker_started", instance=self._instance, tenants=True)
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in (self._messages, self._jobs, self._webhooks, self._reports):
                    tasks.create_task(lane.run(stop))
                tasks.create_task(self._pulse(stop))
                tasks.create_task(self._beat(stop))
        finally:
            await self._holding.close()
        with contextlib.suppress(EngineUnavailableError):
            await self._probing.forget(self._instance, self._holding.tenants)
        log.info("worker_stopped", instance=self._instance)

    async def look(self) -> None:
        """Ask what waits at whom, and offer turns."""
        await self._holding.update(await self._registry.current())
        tenants = self._holding.tenants
        await self._listen()
        for key, waiting in (await self._probing.waiting(tenants)).items():
            if waiting.ready:
                self._offer_messages(key, waiting.ready)
            if waiting.has_webhooks:
                self._pace.was_busy(key)
                self._webhooks.offer(key)
        keys = [tenant.key for tenant in tenants]
        held = {each.tenant.key for each in self._holding.held}
        missing = [key for key in keys if key not in held][:_OPENED_AT_ONCE] if self._streams else []
        for key in dict.fromkeys([*self._pace.due(keys), *missing]):
            self._jobs.offer(key)
            if self._reported.get(key, Deadline(0)).passed:
                self._reported[key] = Deadline(_REPORT_SECONDS)
                self._reports.offer(key)

    async def _pulse(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.look()
            except EngineUnavailableError as error:
                log.warning("tenants_wait", reason=error.detail)
            except Exception:
                log.error("tenants_not_looked_at", exc_info=True)
            await _until(stop, _PULSE_SECONDS)

    async def _beat(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                moments = await self._probing.settled_until(self._holding.tenants)
                await self._probing.report(
                    self._instance, await self._with_streams(moments) if self._streams else moments
                )
            except EngineUnavailableError as error:
                log.warning("heartbeat_missed", reason=error.detail)
            except Exception:
                log.error("heartbeat_failed", exc_info=True)
            await _until(stop, _BEAT_SECONDS)

    async def _with_streams(self, moments: Sequence[tuple[Tenant, datetime]]) -> Sequence[tuple[Tenant, datetime]]:
        """Return the moments with what waits on RabbitMQ; a tenant that is not consumed yet is left out."""
        held = {each.tenant.key: each for each in self._holding.held}
        known = [(tenant, until, held[tenant.key]) for tenant, until in moments if tenant.key in held]
        return [(tenant, min(until, await each.streamed_until() or until)) for tenant, until, each in known]

    async def _listen(self) -> None:
        """Listen on the channels of all tenants; without notifications the next look finds what waits."""
        with contextlib.suppress(*LOST):
            self._channels = {f"faregate_{tenant.schema}": tenant.key for tenant in self._holding.tenants}
            await self._wake_ups.listen(self._channels, self._hear)

    def _hear(self, _connection: object, _pid: int, channel: str, queue: object) -> None:
        key = self._channels.get(channel)
        if key is not None:
            self._offer_messages(key, [str(queue)])

    def _offer_messages(self, key: str, queues: Sequence[str]) -> None:
        self._ready.setdefault(key, set()).update(queues)
        self._pace.was_busy(key)
        self._messages.offer(key)

    async def _consume(self, key: str) -> bool:
        queues = self._ready.pop(key, set())
        more = False
        async with self._turn(key) as held:
            if held is not None and queues:
                more = await held.consume(sorted(queues), self._stop)
        if more:
            self._ready.setdefault(key, set()).update(queues)
        return more

    async def _run_jobs(self, key: str) -> bool:
        async with self._turn(key) as held:
            if held is not None:
                await held.schedule.run_due()
        return False

    async def _deliver(self, key: str) -> bool:
        sent = 0
        async with self._turn(key) as held:
            if held is not None:
                sent = await held.webhooks.deliver_due()
        return sent > 0

    async def _report(self, key: str) -> bool:
        async with self._turn(key) as held:
            if held is not None and held.reports is not None:
                await held.reports.run_due(self._stop)
        return False

    @contextlib.asynccontextmanager
    async def _turn(self, key: str) -> AsyncGenerator[TenantWorker | None]:
        bound = bind_contextvars(tenant=key)
        try:
            async with self._holding.turn(key) as held:
                yield held
        finally:
            reset_contextvars(**bound)


async def _until(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
