"""Sees to it that what is owed to the gateway arrives: by the broker, by HTTP, or later from the spool."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

from faregate.client.errors import CreditsError, RateLimited, Unauthenticated, Unavailable
from faregate.client.request_bodies import END_PATH, LOG_PATH
from faregate.client.transport.broker import SETTLE_MULTIMODEL_QUEUE, USAGE_LOG_QUEUE, Broker
from faregate.client.transport.http import GatewayConnection, HttpCall
from faregate.client.transport.outage import OutageDebts
from faregate.client.transport.spool import Entry, Segment, SettlementSpool
from faregate.wire import exact_json

__all__ = ["SettlementDelivery"]

log = logging.getLogger("faregate.client")

_QUEUES = {END_PATH: SETTLE_MULTIMODEL_QUEUE, LOG_PATH: USAGE_LOG_QUEUE}
_TRANSIENT = (Unavailable, RateLimited, Unauthenticated)
"""Not the entry's fault: it stays in the spool. A key that is refused today may be put right tomorrow."""

By = Literal["broker", "gateway", "spool"]


class SettlementDelivery:
    """Takes entries and gets rid of them.

    Every entry is delivered at least once; the gateway counts each once, by its usage key.
    """

    def __init__(
        self,
        gateway: GatewayConnection,
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
        self._draining = asyncio.Lock()
        self._closed = False

    async def send(self, entry: Entry) -> By:
        """Hand `entry` to the broker, else to the gateway (`Prefer: respond-async`), else to the spool.

        Raises:
            CreditsError: the gateway refuses it.
            SpoolFullError: nobody takes it.
        """
        try:
            return await self._hand_over(entry)
        except Unavailable as error:
            log.warning("%s is kept until the gateway is back: %s", entry.path, error)
            await asyncio.to_thread(self.keep, entry)
        except asyncio.CancelledError:
            self.keep(entry)
            raise
        self.wake()
        return "spool"

    def keep(self, entry: Entry) -> None:
        """Put `entry` into the spool without waiting for anything: the task that held it is being cancelled."""
        self._spool.append(entry)
        if not self._closed:
            return
        self._spool.close()
        if not self._spool.durable:
            _log_lost(entry)

    def wake(self) -> None:
        """See to it that the spool is emptied in the background."""
        if not self._closed and self._spool.waiting() and (self._drainer is None or self._drainer.done()):
            self._drainer = asyncio.create_task(self._drain_until_empty())

    async def drain(self) -> bool:
        """Deliver what is in the spool; tell whether it is empty now."""
        async with self._draining:
            while (segment := await asyncio.to_thread(self._spool.oldest)) is not None:
                if not await self._deliver(segment):
                    return False
                await asyncio.to_thread(self._spool.done, segment)
            return True

    async def aclose(self, *, patience_seconds: float) -> int:
        """Try for a while to empty the spool; return how many entries are left in it."""
        self._closed = True
        if self._drainer is not None:
            self._drainer.cancel()
            await asyncio.wait({self._drainer})
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

    async def _hand_over(self, entry: Entry) -> By:
        if self._broker is not None:
            try:
                key = exact_json.mapping(entry.body).get("usage_key")
                await self._broker.publish(_QUEUES[entry.path], exact_json.dumps(entry.body), correlation_id=key)
            except Unavailable as error:
                log.warning("the broker does not take %s, the gateway is asked: %s", entry.path, error)
            else:
                return "broker"
        data = await self._gateway.post(HttpCall(entry.path, entry.body, {"prefer": "respond-async"}))
        if self._on_answer is not None:
            self._on_answer(data)
        return "gateway"

    async def _deliver(self, segment: Segment) -> bool:
        for entry in segment.entries:
            try:
                await self._hand_over(entry)
            except _TRANSIENT:
                return False
            except CreditsError as error:
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
    log.error("lost with this process: %s %s", entry.path, exact_json.dumps(entry.body).decode())
