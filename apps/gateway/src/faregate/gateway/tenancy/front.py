"""ASGI application in front of those of the tenants.

It chooses the tenant and hands the request on, or answers itself: why no tenant is served, and whether the process is well.
"""

import asyncio
from collections import Counter
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from faregate.core.errors import ConfigurationError, FaregateError
from faregate.core.logging import get_logger
from faregate.core.tenants.errors import TenantSuspendedError
from faregate.core.tenants.values import Tenant
from faregate.gateway.tenancy.apps import HeldApp, TenantApps
from faregate.gateway.tenancy.choosing import tenant_of

__all__ = ["PROCESS_PATHS", "REFUSAL", "TenantFront"]

log = get_logger(__name__)

PROCESS_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Answered about the process at hosts that belong to no tenant, where load balancers and monitoring call it."""

REFUSAL = "faregate.refusal"
"""Key in the scope of a request that no tenant gets: the error that answers it."""


class TenantFront:
    """Middleware that hands each request to its tenant's application; `app` answers the others."""

    def __init__(self, app: ASGIApp, apps: TenantApps, refused: Counter[str]) -> None:
        self._app = app
        self._apps = apps
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            tenant = tenant_of(Headers(scope=scope), await self._apps.current())
        except FaregateError as error:
            await self._refuse(error, scope, receive, send)
            return
        bound = bind_contextvars(tenant=tenant.key)
        try:
            await self._hand_on(tenant, scope, receive, send)
        finally:
            reset_contextvars(**bound)

    async def _hand_on(self, tenant: Tenant, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        try:
            async with self._apps.of(tenant) as held:
                begun = True
                await held.opened.app(scope, _until_ended(held, receive), send)
        except FaregateError as error:
            if begun:
                raise
            if isinstance(error, ConfigurationError):
                log.warning("tenant_misconfigured", tenant=tenant.key, problem=error.detail)
            await self._refuse(error, scope, receive, send)

    async def _refuse(self, error: FaregateError, scope: Scope, receive: Receive, send: Send) -> None:
        is_about_process = scope["path"] in PROCESS_PATHS and not isinstance(error, TenantSuspendedError)
        if not is_about_process:
            self._refused[error.code] += 1
            scope[REFUSAL] = error
        await self._app(scope, receive, send)


def _until_ended(held: HeldApp, receive: Receive) -> Receive:
    """Return `receive`, which says that the client has gone as soon as the tenant is no longer served.

    Only endless answers ask again once the body is read; they end.
    """
    is_read = False

    async def received() -> Message:
        nonlocal is_read
        if not is_read:
            message = await receive()
            is_read = not message.get("more_body", False)
            return message
        return await _first(receive, held.ended)

    return received


async def _first(receive: Receive, ended: asyncio.Event) -> Message:
    tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(receive()), asyncio.create_task(ended.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else {"type": "http.disconnect"}
    finally:
        for task in tasks:
            task.cancel()
