"""Texts of failures to connect to PostgreSQL, each with its fix.

They name the server's address without its password. Commands, servers and the library print the same text.
"""

import socket
import ssl
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

import asyncpg
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from faregate.core.db.error_states import sqlstate
from faregate.core.errors import (
    ConfigurationError,
    DatabaseBusyError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    FaregateError,
    ReadOnlyServerError,
    RetryTransactionError,
)
from faregate.core.values.postgres_url import split_postgres_url

__all__ = [
    "OLDEST_MAJOR",
    "busy",
    "connection_error",
    "lost_connection",
    "no_server",
    "printable_url",
    "takes_no_writes",
    "too_old",
]

OLDEST_MAJOR = 15
"""The oldest PostgreSQL that Faregate supports."""

_SETTING = "FAREGATE_DATABASE_URL"
_REFUSALS = {
    "28P01": ("refuses the password of user {user!r}", f"correct user and password in {_SETTING}"),
    "3D000": (
        "has no database {database!r}",
        f"create it with `createdb {{database}}`, or correct the name in {_SETTING}",
    ),
    "42501": (
        "does not let user {user!r} connect to database {database!r}",
        "run `grant connect on database {database} to {user}` there, as its owner",
    ),
}
_LOGIN_FIX = f"correct user, password and sslmode in {_SETTING}, or admit them in the server's pg_hba.conf"
_PASSING = {
    "53100": ("its disk is full", "make room on the database's disk; nothing was written"),
    "53200": ("it is out of memory", "give the database more memory; nothing was written"),
    "53300": (
        "it has no connection left for user {user!r}",
        "raise max_connections of the server, or lower FAREGATE_DB_POOL_SIZE",
    ),
    "57P03": ("it is starting up or shutting down", "try again in a moment"),
}
_BUSY = {
    "55P03": (
        "other transactions keep rows locked that this one needs",
        "try again; if it lasts, `select pid, pg_blocking_pids(pid), query from pg_stat_activity` shows who keeps them",
    ),
    "57014": (
        "a statement took too long, or was cancelled",
        "ask for less, such as a shorter range, or raise FAREGATE_DB_STATEMENT_TIMEOUT_SECONDS",
    ),
}
_CHANGING = ("other transactions keep changing the rows that this one needs", "try again")
_NO_TLS = "rejected SSL upgrade"
_ALL_BUSY = ("all connections of this process are busy", "try again, or raise FAREGATE_DB_POOL_SIZE")
_LOST_CLASS = "08"
"""SQLSTATE class of connections that ended, such as while a server shuts down."""

_LOST = ("the connection was lost", "try again; the server's log says why if this repeats")


def printable_url(url: str) -> str:
    """Return `url` without its password and options; of a Unix socket, its directory is kept."""
    parts = split_postgres_url(url)
    user, _, host = parts.netloc.rpartition("@")
    login = f"{user.partition(':')[0]}@" if user else ""
    directory = _option(url, "host")
    query = f"?host={directory}" if directory and not host else ""
    return f"postgresql://{login}{host}{parts.path}{query}"


def connection_error(error: BaseException, url: str) -> FaregateError:
    """Return the error to raise for what the driver raised when it connected to `url`."""
    if isinstance(error, asyncpg.ClientConfigurationError):
        return ConfigurationError(f"{_SETTING}: {_client_problem(error, url)}")
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # its text may hold a part of the password
        return ConfigurationError(f"{_SETTING}: it cannot be read; escape / ? # @ % in user and password")
    if isinstance(error, asyncpg.PostgresError):
        return _server_error(error, url)
    why, fix = _network_problem(error, url)
    return DatabaseUnavailableError(f"{printable_url(url)}: {why}", fix)


def lost_connection(error: BaseException, url: str) -> DatabaseUnavailableError:
    """Return the error to raise when the server became unavailable within a transaction."""
    if isinstance(error, PoolTimeoutError):
        why, fix = _ALL_BUSY
    else:
        origin = getattr(error, "orig", None) or error
        why, fix = _PASSING.get(getattr(origin, "sqlstate", None) or "", _LOST)
    return DatabaseUnavailableError(f"{printable_url(url)}: {_filled(why, url)}", fix)


def busy(error: BaseException, url: str) -> DatabaseBusyError:
    """Return the error to raise when the server did not finish a transaction in time."""
    state = sqlstate(error)
    why, fix = _BUSY.get(state or "", _CHANGING)
    why = error.detail if isinstance(error, RetryTransactionError) else why
    return DatabaseBusyError(f"{printable_url(url)}: {why}", fix, state)


def no_server(failures: Mapping[str, BaseException], url: str) -> DatabaseUnavailableError:
    """Return the error for several servers of which none can be used; `failures` is what each of their URLs raised."""
    reasons = [f"{_place(server)}: {_why_not(error, server)}" for server, error in failures.items()]
    return DatabaseUnavailableError(
        f"{printable_url(url)}: no server accepts connections ({'; '.join(reasons)})",
        f"try again in a moment; a failover takes some seconds. If it lasts, start a primary, or correct {_SETTING}",
    )


def _place(url: str) -> str:
    return split_postgres_url(url).netloc.rpartition("@")[2] or _option(url, "host")


def _why_not(error: BaseException, url: str) -> str:
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return f"it is not {_option(url, 'target_session_attrs')}"
    if isinstance(error, asyncpg.PostgresError):
        return _PASSING.get(error.sqlstate or "", _LOST)[0]
    return _network_problem(error, url)[0]


def too_old(major: int, url: str) -> DatabaseRefusedError:
    """Return the error for a server of an unsupported version."""
    return DatabaseRefusedError(
        f"{printable_url(url)}: the server is PostgreSQL {major}, which is too old; {OLDEST_MAJOR} or newer is needed",
        f"upgrade the server, or name another one with {_SETTING}",
    )


def takes_no_writes(url: str) -> ReadOnlyServerError:
    """Return the error for a write to a standby, or to a server that is read-only by its settings."""
    return ReadOnlyServerError(
        f"{printable_url(url)}: the server is a standby or read-only, and takes no writes",
        f"name the primary with {_SETTING}; on a standby only what reads can be run",
    )


def _client_problem(error: asyncpg.ClientConfigurationError, url: str) -> str:
    if "root certificate" in str(error):
        mode = _option(url, "sslmode")
        return f"sslmode={mode} needs the authority of the server's certificate; add sslrootcert=FILE"
    return f"{_first_line(error)}; correct this option"


def _server_error(error: asyncpg.PostgresError, url: str) -> DatabaseUnavailableError:
    where, state = printable_url(url), error.sqlstate or ""
    if state in _PASSING:
        why, fix = _PASSING[state]
        return DatabaseUnavailableError(f"{where}: {_filled(why, url)}", fix)
    if state.startswith(_LOST_CLASS):
        return DatabaseUnavailableError(f"{where}: {_LOST[0]}", _LOST[1])
    if state in _REFUSALS:
        why, fix = _REFUSALS[state]
        return DatabaseRefusedError(f"{where}: the server {_filled(why, url)}", _filled(fix, url))
    return DatabaseRefusedError(f"{where}: the server refuses the login ({_first_line(error)})", _LOGIN_FIX)


def _network_problem(error: BaseException, url: str) -> tuple[str, str]:
    """Return why no session was established, and the fix."""
    host = split_postgres_url(url).hostname or ""
    if isinstance(error, socket.gaierror):
        return f"the host name {host!r} cannot be resolved", f"correct the host in {_SETTING}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not accepted ({error.verify_message})",
            f"name its authority in {_SETTING} with sslrootcert=FILE, or use the host name of the certificate",
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"TLS failed ({getattr(error, 'reason', None) or _first_line(error)})",
            f"check the ssl… options in {_SETTING}",
        )
    if isinstance(error, ConnectionError) and _NO_TLS in str(error):
        mode = _option(url, "sslmode") or "require"
        return (
            f"the server offers no TLS, which sslmode={mode} demands",
            f"set ssl=on at the server, or use sslmode=prefer in {_SETTING}",
        )
    return _unanswered(error, url)


def _unanswered(error: BaseException, url: str) -> tuple[str, str]:
    address = f"start PostgreSQL there, or correct host and port in {_SETTING}"
    directory = _option(url, "host")
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)", address
    if isinstance(error, FileNotFoundError) and directory.startswith("/"):
        return f"there is no socket of a PostgreSQL in {directory}", address
    if isinstance(error, FileNotFoundError | PermissionError) and not directory:
        return (
            f"a file of its TLS options cannot be read ({error.strerror})",
            f"correct sslrootcert, sslcert and sslkey in {_SETTING}",
        )
    if isinstance(error, TimeoutError):
        return "no answer in time", f"check the network and firewalls, or correct host and port in {_SETTING}"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "the server closed the connection"
    return f"no session was established ({reason})", f"check that a PostgreSQL listens there; else correct {_SETTING}"


def _filled(text: str, url: str) -> str:
    parts = split_postgres_url(url)
    user = unquote(parts.username or "") or _option(url, "user") or "of this process"
    return text.format(user=user, database=unquote(parts.path.lstrip("/")) or user)


def _option(url: str, name: str) -> str:
    return parse_qs(split_postgres_url(url).query).get(name, [""])[-1]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
