"""Lease: a block of credits from which this process spends."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from faregate.client.errors import (
    FaregateError,
    InvalidError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from faregate.client.leases.block import LeaseBlock, short_credits
from faregate.client.leases.journal import LeaseJournal
from faregate.client.leases.request import LEASES_PATH, LeaseRequest, lease_path, report_body
from faregate.client.transport.call import HttpCall, IGateway
from faregate.client.transport.delivery import SettlementDelivery
from faregate.client.transport.spool import Entry
from faregate.wire.clock import monotonic_seconds
from faregate.wire.credits import to_credits, to_micros
from faregate.wire.ids import check_external_id, new_uuid7

__all__ = ["Lease"]

log = logging.getLogger("faregate.client")

_BATCH = 1000
_REPORTED_AT = 500
"""So many waiting uses are reported without waiting for the interval."""
_USABLE_PART = 0.9
"""Uses are decided in this part of the lease's time only, so that their report arrives while the gateway still holds them."""
_PAUSE_SECONDS = 0.05
_RETRY_TOP_UP_SECONDS = 1.0
_TRANSIENT = (UnavailableError, RateLimitedError, UnauthenticatedError)


class Lease:
    """A block of a user's credits from which uses of one feature are decided in this process.

    Made by `CreditsClient.lease`. `use` decides at once; uses are reported, and the block is renewed and topped up, in the
    background. One lease belongs to one process and one event loop; its `use` may be called from any thread.
    """

    def __init__(
        self, gateway: IGateway, delivery: SettlementDelivery, request: LeaseRequest, directory: Path | None
    ) -> None:
        self._gateway = gateway
        self._delivery = delivery
        self._request = request
        self._directory = directory
        self._journal: LeaseJournal | None = None
        self._block: LeaseBlock | None = None
        self._turn = asyncio.Lock()
        self._attention = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._renew_at = 0.0
        self._top_up_after = 0.0

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def lease_id(self) -> str:
        """The id of the lease, which is the usage key of its hold."""
        return self._request.lease_id

    @property
    def credits(self) -> Decimal:
        """The credits that can still be used without a top-up."""
        return short_credits(self._opened().left)

    @property
    def unreported(self) -> int:
        """How many uses are decided and not reported yet."""
        return self._opened().waiting

    async def open(self) -> Self:
        """Take the block; the caller must call `close` afterwards.

        Raises:
            InsufficientCreditsError: the wallet has fewer free credits than the block; `balance` tells how many.
            AccessRefusedError, UnknownFeatureError, UnavailableError.
        """
        began = monotonic_seconds()
        data = await self._gateway.post(HttpCall(LEASES_PATH, self._request.body()))
        self._journal = LeaseJournal(self._directory, self.lease_id, fsync=self._request.fsync)
        self._block = LeaseBlock(self.lease_id, self._journal)
        self._note(data, began)
        self._loop = asyncio.get_running_loop()
        self._keeper = asyncio.create_task(self._keep())
        return self

    def use(self, credits: Decimal | int = 1, *, key: str | None = None) -> str:
        """Decide one use locally and return its key; it is charged once, however often the same key is used.

        It is written to the journal before this returns, if the client has a `spool_dir`. Run what the use pays for afterwards.

        Raises:
            InsufficientCreditsError: the block does not cover it; `renew` tops it up.
            HoldClosedError: the lease has ended, or the gateway did not answer until its end.
            KeyConflictError: the key was used for another amount. InvalidError. OSError: the journal cannot be written.
        """
        block = self._opened()
        micros = to_micros(credits)
        if micros < 0:
            raise InvalidError("credits must not be negative", param="credits")
        usage_key = str(new_uuid7()) if key is None else check_external_id(key, param="key")
        if usage_key == self.lease_id:
            raise InvalidError("key is the id of the lease; give each use a key of its own", param="key")
        try:
            block.use(usage_key, micros)
        finally:
            self._call_for_attention(block)
        return usage_key

    async def report(self) -> None:
        """Report all uses that wait. It happens in the background, too."""
        block = self._opened()
        async with self._turn:
            while uses := block.batch(_BATCH):
                data = await self._gateway.post(HttpCall(lease_path(self.lease_id, "report"), report_body(uses)))
                self._delivery.note_refused(lease_path(self.lease_id, "report"), data)
                block.reported(uses, held=to_micros(data["credits"]))
                if data["status"] != "open":
                    block.end()

    async def renew(self) -> Decimal:
        """Extend the lease, top its block up to its size as far as the wallet has free credits, and return what is left.

        Raises:
            HoldClosedError: the lease has ended; take a new one. AccessRefusedError: the wallet is frozen. UnavailableError.
        """
        block = self._opened()
        async with self._turn:
            began = monotonic_seconds()
            credits = to_credits(self._request.micros + block.used)
            body: Mapping[str, Any] = {"ttl_seconds": self._request.ttl_seconds, "credits": credits}
            self._note(await self._gateway.post(HttpCall(lease_path(self.lease_id, "renew"), body)), began)
            if self._is_low(block):
                self._top_up_after = monotonic_seconds() + _RETRY_TOP_UP_SECONDS
        return short_credits(block.left)

    async def close(self) -> None:
        """End the lease: report what was used and return the rest of the block.

        While the gateway is unavailable, the uses go to the client's spool, and the block returns at its expiry.
        """
        block = self._block
        if block is None:
            return
        block.end()
        await self._stop_keeper()
        try:
            await self.report()
            await self._gateway.post(HttpCall(lease_path(self.lease_id, "release"), {}))
        except _TRANSIENT as error:
            log.warning("the lease %s is not released, it will expire: %s", self.lease_id, error)
        finally:
            self.abandon()
            self._delivery.wake()

    def abandon(self) -> None:
        """End the lease without a call: what was used goes to the client's spool, and the block returns at its expiry."""
        block, journal = self._block, self._journal
        if block is None or journal is None:
            return
        block.end()
        if self._keeper is not None:
            self._keeper.cancel()
        while uses := block.batch(_BATCH):
            self._delivery.keep(Entry(lease_path(self.lease_id, "report"), report_body(uses), self._request.feature))
            block.reported(uses, held=None)
        journal.remove()
        self._block = self._journal = None

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._request.report_seconds):
                    await self._attention.wait()
            await self._refresh()
            await asyncio.sleep(_PAUSE_SECONDS)
            self._attention.clear()

    async def _refresh(self) -> None:
        block = self._opened()
        try:
            await self.report()
            if monotonic_seconds() >= self._renew_at or self._wants_top_up(block):
                await self.renew()
        except (*_TRANSIENT, OSError) as error:
            log.warning("the lease %s is not refreshed, it goes on until its end: %s", self.lease_id, error)
        except FaregateError as error:
            self._renew_at = self._top_up_after = float("inf")
            log.warning("the lease %s cannot be renewed and goes on until its end: %s", self.lease_id, error)

    async def _stop_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})

    def _note(self, data: Mapping[str, Any], began: float) -> None:
        """Note what the gateway holds; its clock starts after ours, so that the block ends here before it ends there."""
        ttl = self._request.ttl_seconds
        self._renew_at = began + ttl / 2
        self._opened().renewed(
            to_micros(data["credits"]), until=began + ttl * _USABLE_PART, unbounded=data["charging"] == "recorded"
        )

    def _call_for_attention(self, block: LeaseBlock) -> None:
        if self._attention.is_set() or self._loop is None:
            return
        if block.waiting >= _REPORTED_AT or self._wants_top_up(block):
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._attention.set)

    def _wants_top_up(self, block: LeaseBlock) -> bool:
        return self._is_low(block) and monotonic_seconds() >= self._top_up_after

    def _is_low(self, block: LeaseBlock) -> bool:
        return not block.unbounded and block.left * 2 < self._request.micros

    def _opened(self) -> LeaseBlock:
        if self._block is None:
            raise InvalidError(
                "the lease is not open; use it within `async with credits.lease(…) as lease`", param="lease"
            )
        return self._block
