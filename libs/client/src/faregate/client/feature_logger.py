"""Feature usage logs, sent in the background without failing the host."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from faregate.client.errors import FaregateError, UnavailableError
from faregate.client.request_bodies import LOG_PATH
from faregate.client.transport.broker import Broker
from faregate.client.transport.call import HttpCall
from faregate.client.transport.delivery import SettlementDelivery
from faregate.client.transport.http import GatewayConnection
from faregate.client.transport.outage import OutageDebts
from faregate.client.transport.per_loop import cancel_anywhere, is_running
from faregate.client.transport.retrying import Retry
from faregate.client.transport.spool import Entry, SettlementSpool, SpoolFullError
from faregate.wire import exact_json
from faregate.wire.clock import now
from faregate.wire.ids import new_uuid7

__all__ = ["FeatureLogger"]

log = logging.getLogger("faregate.client")

_BATCH = 100
_BATCH_BYTES = 768 * 1024
_RECORD_BYTES = 512 * 1024


class FeatureLogger:
    """Sends feature usage logs. Create one per process and close it (`async with FeatureLogger(…) as logger`).

    A record without `id` or `time` gets them, so that it counts once if it is sent again.

    Args:
        broker_url: with it, `dispatch_to_queue` publishes to the broker; without, it posts to the gateway in the background.
        spool_dir: the directory for records while gateway and broker are unavailable; None keeps them in memory.
        buffer_size: maximum number of records waiting to be sent; further ones are dropped, counted in `dropped` and logged.
        spool_limit_bytes: maximum size of the spool; beyond it, records are dropped.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        broker_url: str | None = None,
        spool_dir: Path | None = None,
        buffer_size: int = 1000,
        spool_limit_bytes: int = 16 * 1024 * 1024,
        timeout_seconds: float = 10,
        retry: Retry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.dropped = 0
        """Number of records that were dropped."""
        self._gateway = GatewayConnection(
            base_url, api_key, timeout_seconds=timeout_seconds, retry=retry or Retry(attempts=2), transport=transport
        )
        broker = Broker(broker_url, timeout_seconds=timeout_seconds) if broker_url else None
        spool = SettlementSpool(spool_dir, limit_bytes=spool_limit_bytes)
        self._delivery = SettlementDelivery(
            self._gateway, broker, spool, OutageDebts({}), pause_seconds=1.0, on_answer=self._count_rejected
        )
        self._buffer: deque[tuple[int, dict[str, Any]]] = deque()
        self._buffer_size = buffer_size
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._gateway.reopen()
        self._delivery.reopen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, *, patience_seconds: float = 5) -> None:
        """Send waiting records for at most about `patience_seconds`; the rest stays in the spool."""
        sender = self._sender
        if sender is not None and sender.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({sender}, timeout=patience_seconds)
            sender.cancel()
            await asyncio.wait({sender})  # what it was sending goes into the spool first
        cancel_anywhere(sender)
        for _, record in self._buffer:
            self._keep([record])
        await self._delivery.aclose(patience_seconds=patience_seconds)
        await self._gateway.aclose()

    def dispatch_to_queue(self, record: Mapping[str, Any]) -> bool:
        """Method A: buffer the record and return at once, with whether it was accepted. Never raises."""
        sized = self._checked(record)
        if sized is None:
            return False
        if len(self._buffer) >= self._buffer_size:
            self._drop("the buffer is full")
            return False
        self._buffer.append(sized)
        if not is_running(self._sender):
            self._sender = asyncio.create_task(self._send_all())
        return True

    async def dispatch_to_api(self, record: Mapping[str, Any]) -> str | None:
        """Method B: send the record now; return its id at the gateway, or None if that failed. Never raises.

        While the gateway is unavailable, the record is written to the spool and None is returned.
        """
        sized = self._checked(record)
        if sized is None:
            return None
        try:
            data = await self._gateway.post(HttpCall(LOG_PATH, sized[1]))
            return str(data.get("id"))
        except UnavailableError as error:
            log.warning("a feature log will be sent later: %s", error)
            self._keep([sized[1]])
        except FaregateError as error:
            self._drop(f"the gateway refuses it: {error}")
        return None

    def _checked(self, record: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        try:
            whole = {"id": str(new_uuid7()), "time": now(), **record}
            size = len(exact_json.dumps(whole))
        except (TypeError, ValueError, RecursionError) as error:
            self._drop(f"it has no JSON form: {error}")
            return None
        if size > _RECORD_BYTES:
            self._drop(f"it has {size} bytes, more than {_RECORD_BYTES}")
            return None
        return size, whole

    async def _send_all(self) -> None:
        while self._buffer:
            await self._send(self._batch())

    async def _send(self, records: list[dict[str, Any]]) -> None:
        try:
            await self._delivery.send(Entry(LOG_PATH, records))
        except FaregateError as error:
            self._drop(f"the gateway refuses it: {error}", len(records))
        except SpoolFullError as error:
            self._drop(f"the spool is full: {error}", len(records))
        except Exception as error:
            log.exception("feature logs cannot be sent")
            self._drop(f"it cannot be sent: {error!r}", len(records))

    def _batch(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        size = 0
        while self._buffer and len(records) < _BATCH and (not records or size + self._buffer[0][0] <= _BATCH_BYTES):
            taken, record = self._buffer.popleft()
            size += taken
            records.append(record)
        return records

    def _count_rejected(self, data: Mapping[str, Any]) -> None:
        """Count the records that the gateway rejected; the other records of the batch were stored."""
        rejected: Any = data.get("rejected") or ()
        if rejected:
            self._drop(f"the gateway refuses it: {rejected[0]}", len(rejected) + data.get("rejected_unlisted", 0))

    def _keep(self, records: list[dict[str, Any]]) -> None:
        try:
            self._delivery.keep(Entry(LOG_PATH, records))
        except (SpoolFullError, OSError) as error:
            self._drop(f"it cannot be written to the spool: {error}", len(records))

    def _drop(self, reason: str, number: int = 1) -> None:
        before, self.dropped = self.dropped, self.dropped + number
        if before == 0 or before // 1000 != self.dropped // 1000:
            log.warning("a feature log is dropped, %d in all: %s", self.dropped, reason)
