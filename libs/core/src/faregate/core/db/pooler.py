"""Connections through a pooler in transaction mode, such as pgbouncer.

Each transaction may run on another connection of the server. So what a session would remember is set in each transaction, and
no statement is prepared under a name.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg
from asyncpg.transaction import Transaction

from faregate.core.db.guarded_commits import GuardedConnection, GuardedTransaction
from faregate.core.errors import ConfigurationError

__all__ = ["PooledConnection", "check_settings", "connect_through_pooler", "is_pooler_refusal", "pooler_refusal"]

_DIRECT = "set FAREGATE_DIRECT_DATABASE_URL to the address of PostgreSQL itself, with its own port, such as 5432"
_IN_TRANSACTION = ("timezone", "jit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")

_IN_FORCE = """
select name, case unit when 'ms' then setting else current_setting(name) end as value
from pg_settings where name = any($1)
"""


class PooledConnection(GuardedConnection):
    """A connection whose transactions bring their settings; it has none of its own."""

    transaction_settings = ""

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """Return a transaction as `asyncpg.Connection.transaction` does."""
        return _SetTransaction(self, isolation, readonly, deferrable)


class _SetTransaction(GuardedTransaction):
    """A transaction that begins with the settings that other connections have from their start."""

    def __init__(self, connection: PooledConnection, isolation: Any, readonly: bool, deferrable: bool) -> None:
        super().__init__(connection, isolation, readonly, deferrable)
        self._pooled = connection

    async def start(self) -> None:
        outermost = not self._pooled.is_in_transaction()
        await super().start()
        if outermost:
            await self._pooled.execute(self._pooled.transaction_settings)


async def connect_through_pooler(url: str, settings: Mapping[str, str], *, timeout_seconds: float) -> PooledConnection:
    """Connect to a pooler; `settings` are set in each transaction, except the name of the application, which poolers pass on."""
    connection = await asyncpg.connect(
        url,
        server_settings={"application_name": settings["application_name"]},
        timeout=timeout_seconds,
        statement_cache_size=0,
        connection_class=PooledConnection,
    )
    connection.transaction_settings = "; ".join(f"set local {name} = '{settings[name]}'" for name in _IN_TRANSACTION)
    return connection


async def check_settings(
    connection: "asyncpg.Connection[asyncpg.Record]", settings: Mapping[str, str], variable: str
) -> None:
    """Raise `ConfigurationError` if a pooler has dropped the settings that the connection was started with.

    `variable`: the setting that holds the address.
    """
    names = [name for name in settings if name in _IN_TRANSACTION]
    rows = await connection.fetch(_IN_FORCE, names)
    lost = sorted(row["name"] for row in rows if row["value"].lower() != settings[row["name"]].lower())
    if lost:
        raise ConfigurationError(
            f"{variable} leads to a pooler that drops {', '.join(lost)}, and keeps no session; {_DIRECT}"
        )


def is_pooler_refusal(error: BaseException) -> bool:
    """Return whether a pooler refused the settings with which a connection is started."""
    return isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error)


def pooler_refusal(error: BaseException, variable: str) -> ConfigurationError:
    """Return the error for a pooler that refuses the settings with which a connection is started."""
    return ConfigurationError(f"{variable} leads to a pooler, which refuses its settings ({error}); {_DIRECT}")
