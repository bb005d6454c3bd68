"""Check that a host's session can take part in a charge."""

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from faregate.core.db.database import Database
from faregate.core.db.transaction_notes import keep_for_transaction, kept_for_transaction
from faregate.core.errors import InvalidError
from faregate.host.sql import PLACE

__all__ = ["SessionCheck", "async_session", "check_isolation"]

_CHECKED = "faregate_checked_transaction"


class SessionCheck:
    """Checks driver, isolation and database of a session, once in each of its transactions; costs one round trip."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: WeakKeyDictionary[Database, str] = WeakKeyDictionary()

    async def checked(self, session: object) -> AsyncSession:
        """Return `session`, in a transaction.

        Raises:
            InvalidError: it is no `AsyncSession`, its driver is not asyncpg, it is in autocommit, its isolation is not READ
                COMMITTED, or it is connected to another database.
        """
        found = async_session(session)
        if kept_for_transaction(found, _CHECKED):
            return found
        _check_driver((await found.connection()).dialect)
        place = (await found.execute(self._database.sql.statement(PLACE).clause)).one()
        begun = (await self._database.driver(found)).is_in_transaction()
        check_isolation(place.isolation if begun else "autocommit")
        if place.place != await self.own_place():
            raise _invalid(
                f"the session is connected to another database ({place.name}) than Faregate; give both the same URL, or "
                "charge without `session`"
            )
        keep_for_transaction(found, _CHECKED, True)
        return found

    async def own_place(self) -> str:
        """Return what identifies Faregate's server and database."""
        if self._database not in self._places:
            async with self._database.transaction(read_only=True) as session:
                self._places[self._database] = (await self._database.rows(session, PLACE))[0].place
        return self._places[self._database]


def async_session(session: object) -> AsyncSession:
    """Return `session` if it is SQLAlchemy's `AsyncSession`, or raise `InvalidError`."""
    if isinstance(session, AsyncSession):
        return session
    if isinstance(session, Session):
        raise _invalid(
            "the session is synchronous; its driver cannot run Faregate's statements. Use `SyncFaregate.charge_on_commit("
            "session, …)`, which settles when your transaction commits, or charge without `session`"
        )
    raise _invalid(f"session must be SQLAlchemy's AsyncSession, not a {type(session).__name__}")


def check_isolation(isolation: str) -> None:
    """Raise `InvalidError` unless `isolation` is READ COMMITTED, in any case of letters."""
    if isolation.upper() == "AUTOCOMMIT":
        raise _invalid(
            "the session's connection is in AUTOCOMMIT, where a rollback would keep the charge; leave isolation_level out for "
            "this engine or connection"
        )
    if isolation.upper() != "READ COMMITTED":
        raise _invalid(
            f"the session's isolation is {isolation.upper()}; a charge needs READ COMMITTED, where it waits for a wallet "
            "instead of failing: leave isolation_level out for this engine or connection"
        )


def _check_driver(dialect: Any) -> None:
    if (dialect.name, dialect.driver) != ("postgresql", "asyncpg"):
        raise _invalid(
            f"the session's driver is {dialect.name}+{dialect.driver}; a charge needs asyncpg: let the URL of "
            "create_async_engine begin with postgresql+asyncpg"
        )


def _invalid(detail: str) -> InvalidError:
    return InvalidError(detail, param="session")
