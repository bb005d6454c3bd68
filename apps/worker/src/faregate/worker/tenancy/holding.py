"""Tenants in the memory of a worker.

They are made at their first turn, and dropped when they change or are no longer served.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from faregate.core.clock import Deadline
from faregate.core.logging import get_logger
from faregate.core.tenants.values import Tenant, Tenants
from faregate.worker.tenancy.held import Make, TenantWorker

__all__ = ["Holding"]

log = get_logger(__name__)

_PAUSE_SECONDS_MAX = 60.0


class Holding:
    """Keeps one `TenantWorker` for each tenant that has turns. A tenant whose turns fail is left alone for up to a minute."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._tenants = Tenants([])
        self._held: dict[str, TenantWorker] = {}
        self._running: Counter[TenantWorker] = Counter()
        self._leaving: set[TenantWorker] = set()
        self._making = asyncio.Lock()
        self._failures: Counter[str] = Counter()
        self._paused: dict[str, Deadline] = {}

    @property
    def held(self) -> Sequence[TenantWorker]:
        """Those in memory."""
        return list(self._held.values())

    @property
    def tenants(self) -> Sequence[Tenant]:
        """The tenants that are served, by key."""
        return self._tenants.active

    async def update(self, tenants: Tenants) -> None:
        """Take over the present state of all tenants."""
        self._tenants = tenants
        for key, held in list(self._held.items()):
            if tenants.by_key.get(key) != held.tenant or not held.tenant.is_active:
                self._leaving.add(self._held.pop(key))
        for held in [each for each in self._leaving if not self._running[each]]:
            await self._close(held)

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncGenerator[TenantWorker | None]:
        """Keep a tenant for one turn; None if it has none now. An error of the turn is logged, and ends here."""
        tenant = self._tenants.by_key.get(key)
        if tenant is None or not tenant.is_active or not self._paused.get(key, Deadline(0)).passed:
            yield None
            return
        try:
            held = await self._of(tenant)
            self._running[held] += 1
            try:
                yield held
            finally:
                self._running[held] -= 1
            self._failures.pop(key, None)
        except Exception as error:  # noqa: BLE001  it is logged, and must not stop the turns of the others
            self._pause(key, error)

    async def close(self) -> None:
        """Drop all; turns have ended."""
        for held in [*self._held.values(), *self._leaving]:
            await self._close(held)
        self._held.clear()

    async def _of(self, tenant: Tenant) -> TenantWorker:
        async with self._making:
            held = self._held.get(tenant.key)
            if held is None:
                held = self._held[tenant.key] = await self._make(tenant)
            return held

    def _pause(self, key: str, error: Exception) -> None:
        self._failures[key] += 1
        seconds = min(_PAUSE_SECONDS_MAX, 2.0 ** self._failures[key])
        self._paused[key] = Deadline(seconds)
        log.error("tenant_turn_failed", tenant=key, seconds=seconds, exc_info=error)

    async def _close(self, held: TenantWorker) -> None:
        self._leaving.discard(held)
        await held.engines.aclose()
