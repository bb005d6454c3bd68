"""Texts of failures to connect: address without its password, reason and fix."""

import ssl
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from faregate.core.db.connection_errors import connection_error, lost_connection, printable_url
from faregate.core.db.data_directory import NO_SPACE, check_room, reason_in
from faregate.core.db.database import Database
from faregate.core.errors import DatabaseUnavailableError, EngineUnavailableError

URL = "postgresql://me:hunter2@db.internal/shop?sslmode=require"
TCP = "postgresql://me@db.internal/shop"


def server_error(kind: type[asyncpg.PostgresError], text: str) -> asyncpg.PostgresError:
    return kind(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, TCP),
        ("postgresql://db.internal:6000/shop", "postgresql://db.internal:6000/shop"),
        ("postgresql://me:x@/shop?host=/run/pg&port=5433", "postgresql://me@/shop?host=/run/pg"),
        ("postgres://me@[::1]:5432/shop?password=hunter2", "postgresql://me@[::1]:5432/shop"),
        ("postgresql://me:x@a:5432,[::1]:5433/shop?sslmode=require", "postgresql://me@a:5432,[::1]:5433/shop"),
        ("postgresql://me:a,b@[::1]:5432,b/shop#no", "postgresql://me@[::1]:5432,b/shop"),
    ],
)
def test_an_address_is_shown_without_password_and_options(url: str, shown: str) -> None:
    assert printable_url(url) == shown


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "no session was established (Connection reset by peer)"),
        (ConnectionError("unexpected connection_lost() call"), "no session was established (the server closed the connection)"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS failed ([SSL: WRONG_VERSION_NUMBER] wrong version number)"),
        (server_error(asyncpg.ConnectionDoesNotExistError, "connection was closed in the middle"), "the connection was lost"),
        (server_error(asyncpg.TooManyConnectionsError, "sorry"), "it has no connection left for user 'me'"),
        (server_error(asyncpg.CannotConnectNowError, "the database system is starting up"), "it is starting up or shutting down"),
        (
            server_error(asyncpg.InvalidAuthorizationSpecificationError, 'role "me" does not exist\nDETAIL'),
            'the server refuses the login (role "me" does not exist)',
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_each_failure_has_one_line_with_address_reason_and_fix(error: Exception, problem: str) -> None:
    told = connection_error(error, URL)

    assert isinstance(told, DatabaseUnavailableError)
    assert told.problem == f"{TCP}: {problem}"
    assert told.detail == f"{told.problem}; {told.fix}"
    assert "\n" not in told.detail
    assert told.public_detail == "the database does not answer; try again"


def test_a_part_of_the_password_in_an_error_of_the_driver_is_not_repeated() -> None:
    told = connection_error(ValueError("invalid literal for int() with base 10: 'hunter2'"), URL)

    assert told.detail.startswith("FAREGATE_DATABASE_URL: it cannot be read")
    assert "hunter2" not in told.detail


def test_a_full_pool_names_its_setting() -> None:
    assert "FAREGATE_DB_POOL_SIZE" in lost_connection(PoolTimeoutError(), URL).fix


async def test_a_full_disk_of_the_database_is_named(database: Database) -> None:
    """The kernel's own full device; nothing is written."""
    with pytest.raises(DatabaseUnavailableError, match="its disk is full; make room on the database's disk"):
        async with database.transaction() as session:
            await database.rows(session, "select 1")
            await database.rows(session, "copy (select repeat('x', 100000)) to '/dev/full'")


def test_a_new_database_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5 * 1024**2))

    with pytest.raises(EngineUnavailableError, match=r"is full \(5 MiB free, a new database needs 128\); make room"):
        check_room(tmp_path)


@pytest.mark.parametrize(
    ("output", "first", "reason"),
    [
        ("LOG:  starting\nFATAL:  lock file exists\nLOG:  shut down\n", False, "lock file exists"),
        ("initdb: error: could not create directory\ninitdb: error: failed to remove\n", True, "could not create directory"),
        (f"could not write to file: {NO_SPACE}\nchild process exited\n", True, NO_SPACE),
        ("killed\n", False, "killed"),
        ("", False, "no reason given"),
    ],
)  # fmt: skip
def test_the_reason_is_taken_from_the_output(output: str, first: bool, reason: str) -> None:
    assert reason_in(output, first=first) == reason
