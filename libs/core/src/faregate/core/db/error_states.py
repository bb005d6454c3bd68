"""Kinds of errors of PostgreSQL, by their SQLSTATE."""

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from faregate.core.errors import DatabaseBusyError, EngineUnavailableError, RetryTransactionError

__all__ = [
    "DRIVER_ERRORS",
    "READ_ONLY_STATE",
    "is_busy",
    "is_passing",
    "is_retried",
    "is_unavailable",
    "sqlstate",
]

READ_ONLY_STATE = "25006"
"""A write met a standby, or a transaction that only reads."""

DRIVER_ERRORS = (ConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises for a lost connection; the last one if the server has said why it ends the connection, and the driver has
not closed it yet."""

_RETRIED_STATES = frozenset({"40001", "40P01", "55P03"})
_TIMED_OUT_STATE = "57014"
_UNAVAILABLE_CLASSES = ("08", "57P", "53")


def sqlstate(error: BaseException) -> str | None:
    """Return the five-character SQLSTATE behind `error`, if there is one."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return getattr(origin, "sqlstate", None)


def is_retried(error: BaseException) -> bool:
    """Return whether the transaction was rolled back and may be repeated: serialization failure, deadlock or lock time-out."""
    return isinstance(error, RetryTransactionError) or sqlstate(error) in _RETRIED_STATES


def is_busy(error: BaseException) -> bool:
    """Return whether the server answers, but did not finish in time: what `is_retried` says, or a statement that took too long."""
    return is_retried(error) or sqlstate(error) == _TIMED_OUT_STATE


def is_passing(error: Exception) -> bool:
    """Return whether a batch failed because of the engine, not because of one of its items.

    Rows that stay locked, or too many of them, are a matter of items: `DatabaseBusyError` is raised after all attempts. Before
    the last one, and in a transaction that others joined, the batch is repeated as a whole.
    """
    if isinstance(error, DatabaseBusyError):
        return False
    return isinstance(error, EngineUnavailableError) or is_retried(error)


def is_unavailable(error: BaseException) -> bool:
    """Return whether `error` means that the server is unavailable rather than that the statement was wrong."""
    if isinstance(error, PoolTimeoutError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return True
    state = sqlstate(error)
    if state is not None:
        return state.startswith(_UNAVAILABLE_CLASSES)
    if isinstance(error, InterfaceError):  # such as from the rollback of a COPY whose connection is gone
        return not isinstance(getattr(error.orig, "__cause__", None), asyncpg.DataError)
    return isinstance(error, DRIVER_ERRORS)
