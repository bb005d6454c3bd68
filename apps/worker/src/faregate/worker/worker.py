"""Tasks of one worker process, and their shutdown."""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Protocol

from faregate.core.db.schedule import Schedule
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.core.runtime.failpoints import failpoint
from faregate.worker.consumer import Consumer

__all__ = ["ILoop", "Worker"]

log = get_logger(__name__)

_HEARTBEAT_SECONDS = 2.0


class ILoop(Protocol):
    """A task that runs until it is stopped."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; continue after the engines were unavailable."""
        ...


class Worker:
    """Consumers, scheduler and heartbeat, which run concurrently until they are stopped."""

    def __init__(
        self, consumers: Sequence[Consumer], schedule: Schedule, heartbeats: Heartbeats, *, loops: Sequence[ILoop] = ()
    ) -> None:
        self._consumers = consumers
        self._schedule = schedule
        self._heartbeats = heartbeats
        self._loops = loops
        self._instance = f"worker:{socket.gethostname()}:{os.getpid()}"

    @property
    def queues(self) -> Sequence[str]:
        """The names of the queues that it consumes."""
        return list(dict.fromkeys(consumer.queue for consumer in self._consumers))

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then drain: finish the current batch, and return messages that were only fetched."""
        log.info("worker_started", instance=self._instance, queues=self.queues)
        async with asyncio.TaskGroup() as tasks:
            for consumer in self._consumers:
                tasks.create_task(consumer.run(stop))
            for loop in self._loops:
                tasks.create_task(loop.run(stop))
            tasks.create_task(self._schedule.run_until(stop))
            tasks.create_task(self._beat(stop))
        log.info("worker_stopped", instance=self._instance)

    async def _beat(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                settling = [consumer for consumer in self._consumers if consumer.settles]
                settled_until = min([await consumer.settled_until() for consumer in settling])
                failpoint("beating")
                await self._heartbeats.report(self._instance, "worker", settled_until=settled_until)
            except EngineUnavailableError as error:
                log.warning("heartbeat_missed", reason=error.detail)
            try:
                await asyncio.wait_for(stop.wait(), _HEARTBEAT_SECONDS)
            except TimeoutError:
                continue
        try:
            await self._heartbeats.forget(self._instance)
        except EngineUnavailableError:
            log.warning("heartbeat_not_forgotten", instance=self._instance)
