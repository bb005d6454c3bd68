"""Real servers for tests, and statements that create databases on them."""

import os
import shutil
from pathlib import Path

import asyncpg
import pytest

__all__ = ["address", "execute", "in_memory", "require_program"]

_MEMORY = "/dev/shm"
_ROOM_BYTES = 4 * 2**30


def require_program(program: str | Path, *, package: str) -> None:
    """Skip the test if a Debian program is missing; in CI (CI=true) a missing one is a failure."""
    if shutil.which(str(program)) is not None:
        return
    problem = f"{program} is missing; `apt-get install {package}`"
    if os.environ.get("CI") == "true":
        pytest.fail(problem)
    pytest.skip(problem)


async def execute(url: str, statement: str) -> None:
    """Run one statement on the server at `url`."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def address(server_url: str, name: str) -> str:
    """Return the address of database `name` on the same server."""
    base, _, query = server_url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def in_memory() -> str | None:
    """Return a directory in memory for data that need not outlive the tests, if there is space; None means the disk.

    A database is cloned there five times as fast, and this is done for every test.
    """
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ROOM_BYTES:
        return None
    return _MEMORY
