"""Facade on data in memory, for tests of hosts."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from faregate.core.clock import IClock, SystemClock
from faregate.core.settings import isolated_settings
from faregate.host.commit_charge import ICursor
from faregate.host.container import FaregateContainer
from faregate.host.facade import Faregate
from faregate.host.features import feature_of
from faregate.host.memory.container import memory_container
from faregate.host.memory.store import Store
from faregate.host.session_check import SessionCheck, async_session, check_isolation
from faregate.host.sync_facade import SyncFaregate
from faregate.usage.interfaces import IAccountDirectory
from faregate.usage.values import ModelUsage
from faregate.wire.ids import new_uuid7

__all__ = ["FakeFaregate", "SyncFakeFaregate"]


_SNAPSHOT = "faregate_fake_snapshot"


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
        given: dict[str, Any] = {"initial_credits": balance, **settings}
        super().__init__(strategies=strategies, features=features, directory=directory, **given)
        self._clock = clock or SystemClock()
        self._store = Store()

    @cached_property
    def _session_check(self) -> SessionCheck:
        return _FakeSessions(self._store)

    def _made_container(self) -> FaregateContainer:
        settings = isolated_settings(**self._settings)
        made = memory_container(settings, self._store, self._clock, dict(self._strategies), self._directory)
        for key, definition in self._features.items():
            self._store.features[key] = made.catalog().check(feature_of(key, **definition))
        return made

    @asynccontextmanager
    async def _engines(self) -> AsyncGenerator[None]:
        yield


class _FakeSessions(SessionCheck):
    """Undoes what was charged in a host's session when that is rolled back."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def checked(self, session: object) -> AsyncSession:
        found = async_session(session)
        with suppress(UnboundExecutionError):  # a host may test without any database
            await _check_connection(await found.connection())
        transaction = found.get_transaction()
        if transaction is not None and found.info.get(_SNAPSHOT) is not transaction:
            found.info[_SNAPSHOT] = transaction
            self._undo_with(found.sync_session)
        return found

    def _undo_with(self, session: Session) -> None:
        """Restore what was before the session's transaction if that is rolled back."""
        before, committed = self._store.snapshot(), False

        def commit(_: Session) -> None:
            nonlocal committed
            committed = True

        def roll_back(_: Session) -> None:
            if not committed:
                self._store.restore(before)

        event.listen(session, "after_commit", commit, once=True)
        event.listen(session, "after_rollback", roll_back, once=True)


async def _check_connection(connection: AsyncConnection) -> None:
    if connection.dialect.name != "postgresql":  # SQLite, which hosts test with, knows no READ COMMITTED
        return
    raw = (await connection.get_raw_connection()).dbapi_connection
    autocommit = getattr(raw, "autocommit", False)
    check_isolation("autocommit" if autocommit else await connection.get_isolation_level())


class SyncFakeFaregate(SyncFaregate):
    """Sync counterpart of `FakeFaregate`."""

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
        self._begin(
            strategies,
            lambda known: FakeFaregate(
                strategies=known,
                features=features,
                balance=balance,
                directory=directory,
                clock=clock,
                **settings,
            ),
        )

    def charge_on_commit(
        self,
        transaction: Session | Connection | ICursor,
        feature: str,
        user: str,
        *,
        key: str | None = None,
        usages: Sequence[ModelUsage] = (),
        metadata: Mapping[str, Any] | None = None,
        organization: str | None = None,
    ) -> str:
        """Charge when the session commits; with a connection or a cursor, which tell nobody of their commit, at once."""
        usage_key = str(new_uuid7()) if key is None else key
        self.features.get(feature)

        def charge(_: object = None) -> None:
            self.charge(feature, user, key=usage_key, usages=usages, metadata=metadata, organization=organization)

        if isinstance(transaction, Session):
            event.listen(transaction, "after_commit", charge, once=True)
        else:
            charge()
        return usage_key
