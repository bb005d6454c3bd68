"""Facade on data in memory, for tests of hosts."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock, SystemClock
from faregate.core.settings import isolated_settings
from faregate.host.container import FaregateContainer
from faregate.host.facade import Faregate
from faregate.host.memory.container import memory_container
from faregate.host.memory.store import Store
from faregate.host.session_check import SessionCheck, async_session
from faregate.usage.interfaces import IAccountDirectory

__all__ = ["FakeFaregate"]


class FakeFaregate(Faregate):
    """A `Faregate` without a database: the real strategies, prices, charging rules and ledger, on data in memory.

    It needs no `open`. What sums, exports or searches (analytics, logs) needs a database and is not here.

    Args:
        strategies, features, directory: as in `Faregate`.
        balance: the credits that each new user has.
        clock: the time, for tests of expiry; the machine's by default.
        settings: settings by name; the environment is ignored.
    """

    def __init__(
        self,
        *,
        strategies: Mapping[str, object] | None = None,
        features: Mapping[str, Mapping[str, Any]] | None = None,
        balance: Decimal | int = 100,
        directory: IAccountDirectory | None = None,
        clock: IClock | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            strategies=strategies, features=features, directory=directory, **{"initial_credits": balance, **settings}
        )
        self._clock = clock or SystemClock()
        self._store = Store()

    @cached_property
    def _session_check(self) -> SessionCheck:
        return _FakeSessions(self._store)

    def _made_container(self) -> FaregateContainer:
        settings = isolated_settings(**self._settings)
        return memory_container(settings, self._store, self._clock, dict(self._strategies), self._directory)

    @asynccontextmanager
    async def _engines(self) -> AsyncGenerator[None]:
        await self._define_features()
        yield


class _FakeSessions(SessionCheck):
    """Undoes what was charged in a host's session when that is rolled back."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def checked(self, session: object) -> AsyncSession:
        found, before = async_session(session), self._store.snapshot()
        event.listen(found.sync_session, "after_rollback", lambda _: self._store.restore(before), once=True)
        return found
