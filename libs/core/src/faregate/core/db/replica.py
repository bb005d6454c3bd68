"""Read replica: a standby of PostgreSQL that answers declared reads.

Before each read the replica says how far it has replayed the log of the primary. A read that must be fresh waits until the replica
has what the primary had when the read began, for half a second at most; then the primary answers. So does the primary if the
replica is away.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias
from weakref import WeakSet

import asyncpg
from sqlalchemy.exc import DBAPIError

from faregate.core.clock import Deadline
from faregate.core.db.read_scope import ReadScope, current_scope
from faregate.core.errors import ConfigurationError, DatabaseBusyError, EngineUnavailableError, ReplicaLostError
from faregate.core.logging import get_logger
from faregate.core.runtime.read_metrics import ReadMetrics

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from faregate.core.db.database import Database

__all__ = ["Replica", "ReplicaState", "from_replica", "lag_seconds"]

log = get_logger(__name__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

Isolation: TypeAlias = Literal["READ COMMITTED", "REPEATABLE READ"]
_FAILURES = (
    EngineUnavailableError,
    ConfigurationError,
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)

_WAIT_SECONDS = 0.5
_POLL_SECONDS = 0.005
_BEHIND_SECONDS = 1.0
"""How long fresh reads do not wait for a replica that has just made one wait in vain."""
_AWAY_SECONDS = 5.0
_LAG = "faregate_replica_lag"
_MILLISECOND = Decimal("0.001")

_STATE = """
select pg_is_in_recovery() as is_standby,
  ((case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end) - '0/0'::pg_lsn)::bigint
    as position,
  case when pg_is_in_recovery() then extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) else 0 end
    as seconds
"""
_NEW_SNAPSHOT = "commit and chain"
"""Begins the transaction again, with the same isolation: its snapshot would else be that of the first question for the state,
from before the wait.
"""

_CONFLICT = "the replica cancelled a read that needs rows which the primary has removed"
_TRY_AGAIN = "try again, and the primary answers"


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """How far a replica is: `lag_seconds` is the age of the last commit that it has replayed, None before the first one."""

    is_standby: bool
    position: int
    lag_seconds: Decimal | None


class Replica:
    """Answers reads of `Database.reading`; `database` is its pool, `lag_seconds` how far behind a read may be that need not be
    fresh.
    """

    def __init__(self, database: "Database", *, lag_seconds: float) -> None:
        self.metrics = ReadMetrics()
        self._database = database
        self._lag_seconds = Decimal(str(lag_seconds))
        self._behind = Deadline(0)
        self._away = Deadline(0)
        self._warned = False
        self._connections: WeakSet[Connection] = WeakSet()

    def of_schema(self, schema: str, *, share: int) -> "Replica":
        """Return the same replica for the tables of another schema: on the same pool, of which it holds `share` connections."""
        from faregate.core.db.shared_pool import SchemaDatabase

        database = SchemaDatabase(self._database, schema, share=share)
        return Replica(database, lag_seconds=float(self._lag_seconds))

    async def open(self) -> None:
        """Create the pool; nothing is connected yet."""
        await self._database.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    @asynccontextmanager
    async def reading(self, primary: "Database", isolation: Isolation) -> AsyncGenerator["AsyncSession"]:
        """Open a read-only transaction on the replica, or on `primary` if the replica cannot answer this read.

        Raises:
            ReplicaLostError: the replica failed, or cancelled the statement; the primary answers the next attempt.
        """
        scope = current_scope() or ReadScope()
        answers = False
        try:
            async with AsyncExitStack() as stack:
                session = await self._session(stack, primary, isolation, scope)
                if session is not None:
                    answers = True
                    yield session
                    if scope is current_scope():
                        await self._note(session, scope)
        except (EngineUnavailableError, DBAPIError, asyncpg.PostgresError) as error:
            if answers:
                self._lost(error)
            raise
        if answers:
            return
        scope.on_primary = True
        async with primary.transaction(isolation=isolation, read_only=True) as session:
            yield session

    @contextmanager
    def losses_reported(self) -> Generator[None]:
        """Raise `ReplicaLostError` in place of what a connection of `connect` raises in the block if the replica fails."""
        try:
            with self._database.losses_reported(read_only=True):
                yield
        except _FAILURES as error:
            self._lost(error)
            raise

    def owns(self, connection: Connection) -> bool:
        """Return whether a connection of `connect` reads on the replica."""
        return connection in self._connections

    async def connect(self, primary: "Database") -> Connection:
        """Return a connection outside the pool that reads on the replica, or on `primary` if the replica cannot answer; the
        caller closes it.
        """
        scope = current_scope() or ReadScope()
        if not scope.on_primary and self._away.passed:
            connection = await self._connected(primary, scope)
            if connection is not None:
                return connection
        scope.on_primary = True
        return await primary.connect()

    async def _connected(self, primary: "Database", scope: ReadScope) -> "Connection | None":
        try:
            connection = await self._database.connect()
            lag = await self._admitted(connection, primary, scope)
            if lag is None:
                await connection.close()
                return None
        except _FAILURES as error:
            self._leave(error)
            return None
        self._returned()
        self.metrics.count("replica")
        scope.note(0, lag)
        self._connections.add(connection)
        return connection

    async def state(self) -> ReplicaState:
        """Return how far the replica is now.

        Raises:
            EngineUnavailableError: it does not answer.
        """
        async with self._database.transaction(read_only=True) as session:
            return await _state(await self._database.driver(session))

    async def _session(
        self, stack: AsyncExitStack, primary: "Database", isolation: Isolation, scope: ReadScope
    ) -> "AsyncSession | None":
        """Return a session on the replica, to be ended by `stack`; None if it cannot answer."""
        if scope.on_primary or not self._away.passed:
            return None
        try:
            async with AsyncExitStack() as trial:
                opened = self._database.transaction(isolation=isolation, read_only=True)
                session = await trial.enter_async_context(opened)
                connection = await self._connection(session)
                lag = await self._admitted(connection, primary, scope)
                if lag is None:
                    return None
                if connection.is_in_transaction():
                    await connection.execute(_NEW_SNAPSHOT)
                session.info[_LAG] = lag
                stack.push_async_exit(trial.pop_all())
        except _FAILURES as error:
            self._leave(error)
            return None
        self._returned()
        self.metrics.count("replica")
        return session

    async def _connection(self, session: "AsyncSession") -> Connection:
        """Return the driver's connection of a session.

        A connection that the server has closed is replaced: SQLAlchemy would not notice it here.
        """
        driver = await self._database.driver(session)
        if not driver.is_closed():
            return driver
        await (await session.connection()).invalidate()
        raise EngineUnavailableError("the replica closed a connection")

    async def _admitted(self, connection: Connection, primary: "Database", scope: ReadScope) -> Decimal | None:
        """Return how far behind the replica is at most; None if that is too far for this read."""
        state = await _state(connection)
        lag = state.lag_seconds
        is_near = lag is not None and lag <= self._lag_seconds and state.position >= scope.position
        if is_near and not await scope.must_be_fresh():
            return lag
        try:
            wanted = max(scope.position, await primary.position())
        except EngineUnavailableError:
            return None
        if await self._reaches(connection, state, wanted):
            return Decimal(0)
        self.metrics.count("primary", "behind")
        return None

    async def _reaches(self, connection: Connection, state: ReplicaState, wanted: int) -> bool:
        deadline = Deadline(_WAIT_SECONDS if self._behind.passed else 0)
        while state.position < wanted:
            if deadline.passed:
                self._behind = Deadline(_BEHIND_SECONDS)
                return False
            await asyncio.sleep(_POLL_SECONDS)
            state = await _state(connection)
        return True

    async def _note(self, session: "AsyncSession", scope: ReadScope) -> None:
        """Record how far this read may have seen: its snapshots are not newer than the position now."""
        state = await _state(await self._database.driver(session))
        scope.note(state.position, session.info[_LAG])

    def _lost(self, error: Exception) -> None:
        """Raise for an error within a transaction on the replica, if another server would not have raised it."""
        if _is_conflict(error):
            self.metrics.count("primary", "conflict")
            log.info("replica_conflict", reason=_CONFLICT)
            raise ReplicaLostError(_CONFLICT, _TRY_AGAIN) from error
        if isinstance(error, EngineUnavailableError) and not isinstance(error, DatabaseBusyError):
            self._leave(error)
            raise ReplicaLostError(error.detail, _TRY_AGAIN) from error

    def _leave(self, error: Exception) -> None:
        self._away = Deadline(_AWAY_SECONDS)
        self.metrics.count("primary", "unavailable")
        if not self._warned:
            self._warned = True
            log.warning("replica_unavailable", reason=_reason(error), answers="the primary", seconds=_AWAY_SECONDS)

    def _returned(self) -> None:
        if self._warned:
            self._warned = False
            log.info("replica_answers_again")


def from_replica(session: "AsyncSession") -> bool:
    """Return whether the replica answers the reads of a session."""
    return _LAG in session.info


def lag_seconds(session: "AsyncSession") -> Decimal:
    """Return how far behind the server of a session may be; 0 for the primary."""
    found: Decimal | None = session.info.get(_LAG)
    return found if found is not None else Decimal(0)


async def _state(connection: Connection) -> ReplicaState:
    row = await connection.fetchrow(_STATE)
    assert row is not None  # noqa: S101  the statement returns one row
    if row["position"] is None:
        raise EngineUnavailableError("the replica has replayed nothing yet; wait until it has reached the primary")
    seconds = row["seconds"]
    lag = None if seconds is None else max(Decimal(0), Decimal(seconds)).quantize(_MILLISECOND)
    return ReplicaState(row["is_standby"], row["position"], lag)


def _is_conflict(error: BaseException | None) -> bool:
    """Return whether a standby cancelled the statement, or ended the session, in order to go on replaying."""
    while error is not None:
        if "conflict with recovery" in str(error):
            return True
        error = error.__cause__
    return False


def _reason(error: Exception) -> str:
    text = error.detail if isinstance(error, EngineUnavailableError | ConfigurationError) else str(error)
    return text.replace("FAREGATE_DATABASE_URL", "FAREGATE_READ_DATABASE_URL")
