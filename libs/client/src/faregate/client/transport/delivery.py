"""Delivery of settlements and logs by broker, HTTP or spool."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from threading import Lock
from typing import Any, Literal

from faregate.client.errors import FaregateError, RateLimitedError, UnauthenticatedError, UnavailableError
from faregate.client.request_bodies import END_PATH, LOG_PATH
from faregate.client.transport.broker import SETTLE_MULTIMODEL_QUEUE, USAGE_LOG_QUEUE, Broker
from faregate.client.transport.call import HttpCall, IGateway
from faregate.client.transport.outage import OutageDebts
from faregate.client.transport.per_loop import cancel_anywhere, is_running
from faregate.client.transport.spool import Entry, Segment, SettlementSpool
from faregate.wire import exact_json

__all__ = ["SettlementDelivery"]

log = logging.getLogger("faregate.client")

_QUEUES = {END_PATH: SETTLE_MULTIMODEL_QUEUE, LOG_PATH: USAGE_LOG_QUEUE}
_TRANSIENT = (UnavailableError, RateLimitedError, UnauthenticatedError)
"""Errors that do not concern the entry, which stays in the spool: a rejected key may be corrected later."""

_TURN_SECONDS = 0.01

By = Literal["broker", "gateway", "spool"]


class SettlementDelivery:
    """Delivers each entry at least once; the gateway counts each once, by its usage key."""

    def __init__(
        self,
        gateway: IGateway,
        broker: Broker | None,
        spool: SettlementSpool,
        debts: OutageDebts,
        *,
        pause_seconds: float,
        on_answer: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._gateway = gateway
        self._broker = broker
        self._spool = spool
        self._debts = debts
        self._pause_seconds = pause_seconds
        self._on_answer = on_answer
        self._drainer: asyncio.Task[None] | None = None
        self._draining = Lock()
        self._closed = False

    async def send(self, entry: Entry) -> By:
        """Hand `entry` to the broker, else to the gateway (`Prefer: respond-async`), else to the spool.

        Raises:
            FaregateError: the gateway refuses it.
            SpoolFullError: broker and gateway are unavailable and the spool is full.
        """
        try:
            return await self._hand_over(entry)
        except UnavailableError as error:
            log.warning("%s is written to the spool, the gateway is unavailable: %s", entry.path, error)
            await asyncio.to_thread(self.keep, entry)
        except asyncio.CancelledError:
            self.keep(entry)
            raise
        self.wake()
        return "spool"

    def keep(self, entry: Entry) -> None:
        """Write `entry` to the spool synchronously, so that it also works in a task that is being cancelled."""
        self._spool.append(entry)
        if not self._closed:
            return
        self._spool.close()
        if not self._spool.durable:
            _log_lost(entry)

    def note_refused(self, path: str, data: Mapping[str, Any]) -> None:
        """Write down the uses of a report that the gateway refused one by one (`code` and `detail` of each in its answer)."""
        for use in map(exact_json.mapping, data.get("uses", ())):
            if use.get("code") is not None:
                self._spool.refuse(Entry(path, {"usage_key": use["usage_key"]}), f"{use['code']}: {use['detail']}")

    def wake(self) -> None:
        """Start sending the spool in the background unless it is empty or being sent."""
        if not self._closed and self._spool.waiting() and not is_running(self._drainer):
            self._drainer = asyncio.create_task(self._drain_until_empty())

    async def drain(self) -> bool:
        """Deliver the entries of the spool; return whether it is empty afterwards."""
        async with self._turn():
            while (segment := await asyncio.to_thread(self._spool.oldest)) is not None:
                if not await self._deliver(segment):
                    return False
                await asyncio.to_thread(self._spool.done, segment)
            return True

    async def aclose(self, *, patience_seconds: float) -> int:
        """Send the spool for at most `patience_seconds`, close, and return the number of entries left."""
        self._closed = True
        drainer = self._drainer
        cancel_anywhere(drainer)
        if drainer is not None and drainer.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({drainer})
        if self._spool.waiting() and patience_seconds:
            try:
                async with asyncio.timeout(patience_seconds):
                    await self.drain()
            except TimeoutError:
                pass
        left = self._spool.waiting()
        if not self._spool.durable:
            for entry in left:
                _log_lost(entry)
        self._spool.close()
        if self._broker is not None:
            await self._broker.aclose()
        return len(left)

    def reopen(self) -> None:
        """Accept entries again after `aclose`, and send what waits."""
        self._closed = False
        self.wake()

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """Send the spool on one event loop at a time; loops cannot share an `asyncio.Lock`."""
        while not self._draining.acquire(blocking=False):  # noqa: ASYNC110  an asyncio.Event belongs to one loop
            await asyncio.sleep(_TURN_SECONDS)
        try:
            yield
        finally:
            self._draining.release()

    async def _hand_over(self, entry: Entry) -> By:
        if self._broker is not None and entry.path in _QUEUES:
            try:
                key = exact_json.mapping(entry.body).get("usage_key")
                await self._broker.publish(_QUEUES[entry.path], exact_json.dumps(entry.body), correlation_id=key)
            except UnavailableError as error:
                log.warning("the broker did not confirm %s, it is sent to the gateway: %s", entry.path, error)
            else:
                return "broker"
        data = await self._gateway.post(HttpCall(entry.path, entry.body, {"prefer": "respond-async"}))
        self.note_refused(entry.path, data)
        if self._on_answer is not None:
            self._on_answer(data)
        return "gateway"

    async def _deliver(self, segment: Segment) -> bool:
        for entry in segment.entries:
            try:
                await self._hand_over(entry)
            except _TRANSIENT:
                return False
            except FaregateError as error:
                await asyncio.to_thread(self._spool.refuse, entry, f"{error.code}: {error}")
            if entry.path == END_PATH:
                self._debts.settled(entry.body["usage_key"])
        return True

    async def _drain_until_empty(self) -> None:
        pause = self._pause_seconds
        while not await self.drain():
            await asyncio.sleep(pause)
            pause = min(pause * 2, 60 * self._pause_seconds)


def _log_lost(entry: Entry) -> None:
    log.error(
        "not sent and not stored, lost with this process: %s %s", entry.path, exact_json.dumps(entry.body).decode()
    )
