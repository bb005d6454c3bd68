"""PostgreSQL access: transactions, statements, retries and COPY."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast, runtime_checkable

import asyncpg
from sqlalchemy import CursorResult, event
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool

from faregate.core.clock import Deadline
from faregate.core.db.ambient_transaction import current_transaction, entered_transaction
from faregate.core.db.arrays import array_parameter
from faregate.core.db.connection_errors import busy, lost_connection, takes_no_writes
from faregate.core.db.connector import Connector
from faregate.core.db.error_states import DRIVER_ERRORS, READ_ONLY_STATE, is_busy, is_retried, is_unavailable, sqlstate
from faregate.core.db.schema import SCHEMA
from faregate.core.db.single_transaction import SingleTransaction
from faregate.core.db.statements import Row, Sql, SqlStatement
from faregate.core.db.transaction_notes import keep_for_transaction, kept_for_transaction
from faregate.core.errors import ConfigurationError, DatabaseBusyError, RetryTransactionError
from faregate.core.logging import get_logger
from faregate.core.runtime.cache_metrics import CacheMetrics
from faregate.core.settings.addresses import address_problem
from faregate.wire import exact_json

if TYPE_CHECKING:
    from faregate.core.db.replica import Replica

__all__ = ["COPIED_FROM", "Database", "IDatabaseServer"]

T = TypeVar("T")
log = get_logger(__name__)

COPIED_FROM = 20
"""Number of rows from which COPY is cheaper than INSERT."""

_CLOSING_SECONDS = 5
_DRIVER = "faregate_driver"
_EAGER = "faregate"
_BRIEF_LOCKS = "select set_config('lock_timeout', '100ms', true)"
_POSITION = """
select (case when pg_is_in_recovery() then null when current_setting('synchronous_commit') = 'off'
  then pg_current_wal_insert_lsn() else pg_current_wal_flush_lsn() end - '0/0'::pg_lsn)::bigint
"""


registry.register(f"postgresql.{_EAGER}", "faregate.core.db.eager_dialect", "EagerDialect")  # loaded when it is used


@runtime_checkable
class IDatabaseServer(Protocol):
    """A database server that must be started before it has an address, such as the embedded one."""

    async def start(self) -> str:
        """Start the server if it is not running, and return its URL."""
        ...

    async def stop(self) -> None:
        """Release the server; it is stopped when its last user releases it."""
        ...


class Database:
    """The connection pool of one process.

    Needs an address: `url`, or a `server` that returns one when started. If `url` leads to a pooler in transaction mode, such as
    pgbouncer, `direct_url` is the address of PostgreSQL itself, for what needs a session. Between `open()` and `close()`, sessions
    come from `transaction()` and `reading()` only, so that each commit happens at the end of a use case. `replica` answers what is
    read by `reading()`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        server: IDatabaseServer | None = None,
        direct_url: str | None = None,
        schema: str = SCHEMA,
        pool_size: int = 10,
        statement_timeout_seconds: float = 15,
        lock_timeout_seconds: float = 2,
        replica: "Replica | None" = None,
    ) -> None:
        self.sql = Sql(schema)
        self.replica = replica
        self.cache_metrics = CacheMetrics()
        self._url = url
        self._direct_url = direct_url and _libpq_url(direct_url)
        self._server = server
        self._pool_size = pool_size
        self._engine: AsyncEngine | None = None
        self._variants: dict[tuple[str, bool], AsyncEngine] = {}
        session_settings = {
            "application_name": "faregate",
            "timezone": "UTC",
            "jit": "off",
            "statement_timeout": str(int(statement_timeout_seconds * 1000)),
            "lock_timeout": str(int(lock_timeout_seconds * 1000)),
            "idle_in_transaction_session_timeout": str(int(statement_timeout_seconds * 1000)),
        }
        self._connector = Connector(session_settings, has_pooler=direct_url is not None)

    @property
    def url(self) -> str:
        """The address in use, in the form that libpq and asyncpg accept."""
        if self._url is None:
            raise ConfigurationError(
                "the database is not open; call `await database.open()`, or enter `container.engines()`"
            )
        return self._url

    @property
    def direct_url(self) -> str:
        """The address of PostgreSQL itself, for what needs a session: `url`, unless that leads to a pooler."""
        return self._direct_url or self.url

    async def open(self) -> None:
        """Start the server if there is one to start, and create the pool. Safe to repeat."""
        if self._engine is not None:
            return
        if self.replica is not None:
            await self.replica.open()
        if self._url is None:
            if self._server is None:
                raise ConfigurationError("FAREGATE_DATABASE_URL is not set and no embedded server was given")
            self._url = await self._server.start()
        self._url = _libpq_url(self._url)
        problem = address_problem(self._url)
        if problem is not None:
            raise ConfigurationError(f"FAREGATE_DATABASE_URL: {problem}")
        self._engine = create_async_engine(
            f"postgresql+{_EAGER}://",
            connect_args={"async_creator_fn": self._connect_pooled, **self._preparation},
            pool_size=self._pool_size,
            max_overflow=0,
            pool_use_lifo=True,  # the connection used last has the statements prepared and their plans made
            pool_timeout=30,
            execution_options={"schema_translate_map": {SCHEMA: self.sql.schema}},
            json_serializer=_json_text,
            json_deserializer=exact_json.loads,
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)

    async def check(self) -> None:
        """Connect once; the connection stays in the pool.

        Raises:
            EngineUnavailableError: the server cannot be used; the text names its address, the reason and the fix.
            ConfigurationError: the address cannot be read.
        """
        with self.losses_reported():
            async with self._require_engine().connect():
                return

    async def close(self) -> None:
        """Refuse new transactions, wait for running ones, close all connections and release the server.

        Transactions that have not ended after 5 seconds are cut off, and rolled back by PostgreSQL. Safe to repeat.
        """
        engine, self._engine = self._engine, None
        if self.replica is not None:
            await self.replica.close()
        if engine is not None:
            self._variants.clear()
            await self._connector.watch.close()
            await _transactions_ended(cast("AsyncAdaptedQueuePool", engine.pool))
            await engine.dispose()
            self._connector.terminate_pooled()
        if self._server is not None:
            await self._server.stop()
            self._url = None

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED", read_only: bool = False
    ) -> AsyncGenerator[AsyncSession]:
        """Open a transaction; it commits when the block ends and rolls back when the block raises.

        Raises:
            EngineUnavailableError: the database cannot be reached. If that happened during the commit, the outcome is
                unknown: repeat the same call; all writes are safe to repeat.
            DatabaseBusyError: other transactions kept the same rows locked, or a statement took too long; nothing was written.
        """
        engine = self._require_engine()
        ambient = current_transaction(self) if isolation == "READ COMMITTED" else None
        if ambient is not None:
            with ambient.join() as session:
                yield session
            return
        if isolation != "READ COMMITTED" or read_only:
            engine = self._variant(isolation, read_only)
        with self.losses_reported(read_only=read_only), self._connector.watch.during_transaction():
            async with (
                SingleTransaction(engine) as session,
                self._leaving_standbys(session, read_only=read_only),
            ):
                yield session

    @asynccontextmanager
    async def reading(
        self, *, isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED"
    ) -> AsyncGenerator[AsyncSession]:
        """Open a read-only transaction for an analysis, an export or a list: on the replica, if there is one.

        The scope of the task (`faregate.core.db.read_scope`) says how fresh it must be; without one, it sees everything that was
        committed before. Nothing that decides about money, access or quotas may be read here.

        Raises:
            ReplicaLostError: the replica failed during the transaction; the primary answers the next attempt.
        """
        if self.replica is None or current_transaction(self) is not None:
            opened = self.transaction(isolation=isolation, read_only=True)
        else:
            opened = self.replica.reading(self, isolation)
        async with opened as session:
            yield session

    def reading_losses_reported(self, connection: "asyncpg.Connection[asyncpg.Record]") -> AbstractContextManager[None]:
        """Do what `losses_reported` does, for a connection of `connect_reading`; the replica's raises `ReplicaLostError`."""
        if self.replica is not None and self.replica.owns(connection):
            return self.replica.losses_reported()
        return self.losses_reported(read_only=True)

    async def connect_reading(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a connection outside the pool for what `reading` may read, such as a long COPY; the caller closes it."""
        self._require_engine()
        return await (self.connect() if self.replica is None else self.replica.connect(self))

    async def position(self) -> int:
        """Return how far the write-ahead log reached when this was called, in bytes; 0 on a standby, which writes none."""
        with self._connector.watch.during_transaction():
            return await self._position()

    async def _position(self) -> int:
        async with self._require_engine().connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            try:
                return await cast("asyncpg.Connection[asyncpg.Record]", driver).fetchval(_POSITION) or 0
            except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError) as error:
                await connection.invalidate()
                raise lost_connection(error, self.url) from error

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]], *, attempts: int = 6) -> T:
        """Run `work` in a transaction; retry after a deadlock, lock time-out or serialization failure.

        `work` must be safe to run several times. Within `run_joined` it runs once, and such a failure is raised as it is: it has
        aborted the ambient transaction, which is retried as a whole.

        Raises:
            DatabaseBusyError: the last attempt failed so, too; nothing was written.
        """
        if current_transaction(self) is not None:
            async with self.transaction() as session:
                return await work(session)
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction() as session:
                    return await work(session)
            except (DatabaseBusyError, RetryTransactionError) as error:
                if not is_retried(error):
                    raise
                if attempt == attempts:
                    raise busy(error, self.url) from error
                log.info("transaction_retried", sqlstate=sqlstate(error), attempt=attempt)
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")

    async def run_briefly(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run `work` as `run` does, but wait only a tenth of a second for each lock, and try twice."""

        async def brief(session: AsyncSession) -> T:
            await self.rows(session, _BRIEF_LOCKS)
            return await work(session)

        return await self.run(brief, attempts=2)

    async def run_joined(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run `work` as `run` does; transactions that it opens in the same task join this one, and commit with it.

        An error within a joined transaction is raised at the end even if `work` caught it.
        """
        after_commit: list[Callable[[], None]] = []

        async def together(session: AsyncSession) -> T:
            with entered_transaction(self, session) as ambient:
                result = await work(session)
            if ambient.failure is not None:
                raise ambient.failure
            after_commit[:] = ambient.after_commit
            return result

        result = await self.run(together)
        for call in after_commit:
            call()
        return result

    @property
    def is_joined(self) -> bool:
        """Whether a transaction of the running task would join the one of `run_joined`; those of other tasks would not."""
        return current_transaction(self) is not None

    @contextmanager
    def losses_reported(self, *, read_only: bool = False) -> Generator[None]:
        """Raise `EngineUnavailableError` in place of what SQLAlchemy or the driver raises in the block for a lost connection, for
        rows that stay locked, for a statement that takes too long, and for a write to a standby. With `read_only`, a write is a
        defect of the caller.
        """
        try:
            yield
        except (SQLAlchemyError, asyncpg.PostgresError, *DRIVER_ERRORS) as error:
            if is_unavailable(error):
                raise lost_connection(error, self.url) from error
            if is_busy(error):
                raise busy(error, self.url) from error
            if not read_only and sqlstate(error) == READ_ONLY_STATE:
                raise takes_no_writes(self.url) from error
            raise

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a connection outside the pool, for LISTEN or a long COPY; the caller closes it."""
        self._require_engine()
        return await self._connector.direct(self.direct_url)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
        """Open a connection outside the pool for the block.

        Raises:
            EngineUnavailableError: the database cannot be reached, or the connection was lost within the block.
        """
        with self.losses_reported():
            connection = await self.connect()
            try:
                yield connection
            finally:
                await connection.close()

    async def driver(self, session: AsyncSession) -> "asyncpg.Connection[asyncpg.Record]":
        """Return the driver's connection that `session` holds, for COPY inside its transaction."""
        return (await session.run_sync(_held))[1]

    async def rows(self, session: AsyncSession, sql: str, /, **parameters: Any) -> Sequence[Any]:
        """Run one statement of our schema and return its rows (empty for none); columns are attributes.

        It goes directly to the driver, at a third of the cost, except for the first statement of a host's session: that one
        goes through SQLAlchemy, which begins the transaction with it.
        """
        statement = self.sql.statement(sql)
        driver = _held_driver(session)
        if driver is None:
            begun, connection = await session.run_sync(_held)
            if not begun:
                return await self._first_rows(session, statement, parameters)
            keep_for_transaction(session, _DRIVER, driver := connection)
        arguments = [array_parameter(parameters[name]) for name in statement.names]
        return cast("Sequence[Any]", await driver.fetch(statement.driver_sql, *arguments, record_class=Row))

    async def _first_rows(
        self, session: AsyncSession, statement: SqlStatement, parameters: dict[str, Any]
    ) -> Sequence[Any]:
        result = cast("CursorResult[Any]", await session.execute(statement.clause, parameters))
        rows = result.all() if result.returns_rows else ()
        keep_for_transaction(session, _DRIVER, await self.driver(session))
        return rows

    async def copy(
        self, session: AsyncSession, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """Append rows to a table of our schema by COPY; the session must have run a statement, which begins it.

        Cheaper than INSERT from about `COPIED_FROM` rows, in spite of one more round trip.
        """
        driver = _held_driver(session) or await self.driver(session)
        await driver.copy_records_to_table(table, schema_name=self.sql.schema, columns=list(columns), records=rows)

    async def _connect_pooled(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await self._connector.pooled(self.url)

    @property
    def _preparation(self) -> dict[str, Any]:
        """The arguments by which SQLAlchemy's driver prepares no statement under a name, where a pooler would lose it."""
        return {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str} if self._direct_url else {}

    @asynccontextmanager
    async def _leaving_standbys(self, session: AsyncSession, *, read_only: bool) -> AsyncGenerator[None]:
        """Close a connection by which a write met a standby, such as behind a load balancer after a failover."""
        try:
            yield
        except (DBAPIError, asyncpg.PostgresError) as error:
            if sqlstate(error) != READ_ONLY_STATE or read_only:
                raise
            await (await session.connection()).invalidate(error)
            raise takes_no_writes(self.url) from error

    def _variant(self, isolation: str, read_only: bool) -> AsyncEngine:
        """Return the engine for other transaction options; it shares the pool. Creating it costs as much as a round trip."""
        kind = isolation, read_only
        if kind not in self._variants:
            self._variants[kind] = self._require_engine().execution_options(
                isolation_level=isolation, postgresql_readonly=read_only
            )
        return self._variants[kind]

    def _require_engine(self) -> AsyncEngine:
        if self._engine is None:
            raise ConfigurationError(
                "the database is not open; call `await database.open()`, or enter `container.engines()`"
            )
        return self._engine


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Let the pool replace connections that the server closed while they were idle: no call has to fail for them."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


async def _transactions_ended(pool: AsyncAdaptedQueuePool) -> None:
    """Wait until all connections are back in the pool; a disposed pool would never close those returned later."""
    deadline = Deadline(_CLOSING_SECONDS)
    while pool.checkedout() and not deadline.passed:  # noqa: ASYNC110 - the pool has no event for this
        await asyncio.sleep(0.01)


def _held(session: Session) -> "tuple[bool, asyncpg.Connection[asyncpg.Record]]":
    """Return whether BEGIN is sent for the session's transaction, and the driver's connection that it holds."""
    connection = session.connection()
    return connection.dialect.driver == _EAGER, cast("Any", connection.connection.driver_connection)


def _held_driver(session: AsyncSession) -> "asyncpg.Connection[asyncpg.Record] | None":
    """Return the driver's connection if the session's transaction has begun with `rows`."""
    held: asyncpg.Connection[asyncpg.Record] | None = kept_for_transaction(session, _DRIVER)
    return held


def _libpq_url(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def _json_text(value: object) -> str:
    return exact_json.dumps(value).decode()
