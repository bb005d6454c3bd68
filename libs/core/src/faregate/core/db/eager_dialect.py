"""SQLAlchemy's dialect of asyncpg, with transactions that begin before their first statement.

SQLAlchemy sends BEGIN with the first statement that passes through it. Ours go straight to the driver, all of them once BEGIN is
sent, which saves a third of the processor time of a short transaction.
"""

from typing import Any

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.util import await_only

__all__ = ["EagerDialect"]


class EagerDialect(PGDialect_asyncpg):
    """Sends BEGIN when SQLAlchemy begins a transaction; a lost connection is noticed there, as at a statement."""

    driver = "faregate"
    supports_statement_cache = True

    def do_begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        adapted: Any = dbapi_connection.dbapi_connection
        await_only(adapted._start_transaction())  # noqa: SLF001  what the adapter does at its first statement
