"""Buffered recorder: collects events in memory and writes them in batches."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.events.reports import IngestReport
from faregate.usage.events.spool import EventSpool
from faregate.wire.ids import new_uuid7

__all__ = ["BufferedRecorder"]

log = get_logger(__name__)

_RETRY_SECONDS = 1.0
_SOURCE = f"buffer:{os.getpid()}"


class BufferedRecorder:
    """A recorder for hosts: `async with BufferedRecorder(recorder) as usage:` around the lifetime of the application.

    An event without an id gets one, so that writing it again is safe. Leaving the block writes all waiting events; leave it
    on SIGTERM, as servers do in their lifespan, so that no event is lost. While the database is unavailable, events are
    written to the spool (and from there to the database once it is available, even after a restart); without a spool they
    wait in memory.

    Args:
        batch_size: number of events that are written at once (USAGE_BATCH_SIZE).
        batch_timeout_seconds: longest time an event waits (USAGE_BATCH_TIMEOUT).
        capacity: largest number of events in memory; when it is reached, `record` waits and `record_nowait` returns False.
        spool: a directory on the host's local disk.
        spool_file: a file in such a directory (USAGE_BATCH_FILE); each process adds its id to the name.
    """

    def __init__(
        self,
        recorder: UsageRecorder,
        *,
        batch_size: int = 100,
        batch_timeout_seconds: float = 5,
        capacity: int = 100_000,
        spool: Path | None = None,
        spool_file: Path | None = None,
    ) -> None:
        self._recorder = recorder
        self._batch_size = batch_size
        self._batch_timeout_seconds = batch_timeout_seconds
        self._capacity = max(capacity, batch_size)
        self._spool = _spool(spool, spool_file)
        self._waiting: deque[UsageEvent] = deque()
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.dropped = 0
        """Number of events that `record_nowait` refused because the buffer was full."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def record_nowait(self, event: UsageEvent) -> bool:
        """Accept an event without waiting; return False, and drop the event, if the buffer is full."""
        if len(self._waiting) >= self._capacity:
            self.dropped += 1
            return False
        self._waiting.append(event if event.id is not None else _named(event))
        if len(self._waiting) >= self._batch_size:
            self._wake.set()
        return True

    async def record(self, event: UsageEvent) -> None:
        """Accept an event; wait while the buffer is full."""
        while len(self._waiting) >= self._capacity:
            self._room.clear()
            self._wake.set()
            await self._room.wait()
        self.record_nowait(event)

    async def flush(self) -> None:
        """Write all waiting events.

        Raises:
            EngineUnavailableError: the database is unavailable and there is no spool; the events keep waiting.
        """
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]
            await self._write(batch)
            self._room.set()
        if self._spool is not None and not self._spool.empty:
            await self._replay(self._spool)

    async def close(self) -> None:
        """Write all waiting events and stop."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None
        await self.flush()

    async def _run(self) -> None:
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._batch_timeout_seconds)
            self._wake.clear()
            try:
                await self.flush()
            except EngineUnavailableError as error:
                log.warning("usage_events_wait", events=len(self._waiting), reason=error.detail)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self, batch: list[UsageEvent]) -> None:
        try:
            report = await self._recorder.record(batch)
        except EngineUnavailableError:
            if self._spool is None:
                self._waiting.extendleft(reversed(batch))
                raise
            self._spool.add(batch)
            log.warning("usage_events_spooled", events=len(batch))
            return
        _warn(report, [event.id for event in batch])

    async def _replay(self, spool: EventSpool) -> None:
        paths: set[Path] = set()
        try:
            for path, events in spool.batches():
                report = await self._recorder.record(events)
                paths.add(path)
                _warn(report, [event.get("id") for event in events])
        except EngineUnavailableError:
            return  # the events stay in the spool; those already written are safe to write again
        for path in paths:
            spool.forget(path)


def _warn(report: IngestReport, ids: Sequence[str | None]) -> None:
    for item in report.rejected:
        log.warning("usage_event_rejected", event_id=ids[item.index], reason=item.error)


def _named(event: UsageEvent) -> UsageEvent:
    return event.model_copy(update={"id": str(new_uuid7()), "source": event.source or _SOURCE})


def _spool(directory: Path | None, file: Path | None) -> EventSpool | None:
    if file is not None:
        return EventSpool(file.parent, file.name)
    return EventSpool(directory) if directory is not None else None
