"""Applications of the tenants, each made when it is first called."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.tenants.registry import TenantRegistry
from faregate.core.tenants.values import Tenant, Tenants
from faregate.gateway.observability.metrics import GatewayMetrics

__all__ = ["HeldApp", "OpenedApp", "TenantApps"]

log = get_logger(__name__)

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class OpenedApp:
    """The application of one tenant, and its metrics."""

    app: ASGIApp
    metrics: GatewayMetrics


@dataclass(slots=True, eq=False)
class HeldApp:
    """An application in use; `ended` is set when the tenant is no longer served, so that endless answers end."""

    tenant: Tenant
    opened: OpenedApp
    engines: AsyncExitStack
    idle: Deadline
    running: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


Make = Callable[[Tenant], AbstractAsyncContextManager[OpenedApp]]


class TenantApps:
    """Makes, keeps and drops the applications of tenants.

    One is dropped when the tenant has changed, is suspended or deleted, or was not called for `idle_seconds`; requests that run
    are finished before its engines are closed.
    """

    def __init__(
        self, registry: TenantRegistry, make: Make, close: Callable[[], Awaitable[None]], *, idle_seconds: float
    ) -> None:
        """`close`: closes what all of them share."""
        self._registry = registry
        self._make = make
        self._close_shared = close
        self.known: Sequence[Tenant] = ()
        self._idle_seconds = idle_seconds
        self._held: dict[str, HeldApp] = {}
        self._leaving: set[HeldApp] = set()
        self._making: dict[str, asyncio.Lock] = {}

    @property
    def held(self) -> list[HeldApp]:
        """The applications in memory that new requests get."""
        return list(self._held.values())

    async def current(self) -> Tenants:
        """Return all tenants of the deployment."""
        tenants = await self._registry.current()
        self.known = tenants.all
        return tenants

    @asynccontextmanager
    async def of(self, tenant: Tenant) -> AsyncGenerator[HeldApp]:
        """Keep the application of a tenant for one request.

        Raises:
            EngineUnavailableError: the engines that it needs are unavailable.
            ConfigurationError: a setting of the tenant is wrong.
        """
        held = self._held.get(tenant.key)
        if held is None or (held.tenant is not tenant and held.tenant != tenant):
            held = await self._made(tenant)
        held.running += 1
        held.idle = Deadline(self._idle_seconds)
        try:
            yield held
        finally:
            held.running -= 1

    async def watch(self) -> None:
        """Drop applications until the task is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except EngineUnavailableError as error:
                log.warning("tenants_not_read", reason=error.detail)
            except Exception:
                log.error("tenants_not_watched", exc_info=True)

    async def look(self) -> None:
        """Drop the applications that are not needed any more."""
        tenants = await self.current()
        for held in self.held:
            now = tenants.by_key.get(held.tenant.key)
            if now is None or not now.is_active:
                held.ended.set()
            if now != held.tenant or (held.idle.passed and not held.running):
                self._leave(held)
        for held in [each for each in self._leaving if not each.running]:
            await self._close(held)

    async def close(self) -> None:
        """Close all; requests have ended."""
        for held in [*self._held.values(), *self._leaving]:
            await self._close(held)
        self._held.clear()
        await self._close_shared()

    async def _made(self, tenant: Tenant) -> HeldApp:
        async with self._making.setdefault(tenant.key, asyncio.Lock()):
            held = self._held.get(tenant.key)
            if held is not None and held.tenant == tenant:
                return held
            if held is not None:
                self._leave(held)
            engines = AsyncExitStack()
            opened = await engines.enter_async_context(self._make(tenant))
            made = HeldApp(tenant, opened, engines, Deadline(self._idle_seconds))
            self._held[tenant.key] = made
            log.info("tenant_opened", tenant=tenant.key)
            return made

    def _leave(self, held: HeldApp) -> None:
        if self._held.get(held.tenant.key) is held:
            del self._held[held.tenant.key]
        self._leaving.add(held)

    async def _close(self, held: HeldApp) -> None:
        self._leaving.discard(held)
        await held.engines.aclose()
        log.info("tenant_closed", tenant=held.tenant.key)
