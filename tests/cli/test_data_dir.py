"""Commands on the database of `up`.

They never create a second database, and `up` restarts its own after a crash.
"""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from faregate.cli.demo.load_driver import LoadDriver, open_client
from faregate.cli.demo.stack import Stack, private_stack
from faregate.cli.demo.traffic import TrafficRequest
from faregate.core.clock import SystemClock
from faregate.core.db.embedded import EmbeddedServer
from support.processes import run_command

READING = [
    ("wallets", "list"),
    ("verify",),
    ("usage", "stats"),
    ("keys", "list"),
    ("audit", "--limit", "1"),
    ("privacy", "export", "ada", "out"),
    ("quotas", "status"),
    ("dlq", "list"),
    ("digest",),
    ("gateway", "--port", "0"),
    ("worker",),
]


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with private_stack(tmp_path_factory.mktemp("up") / "data") as stack:
        yield stack


@pytest.mark.parametrize("command", READING, ids=" ".join)
async def test_no_command_creates_a_second_cluster(command: tuple[str, ...], tmp_path: Path) -> None:
    done = await run_command(*command, FAREGATE_DATA_DIR=str(tmp_path / "none"))

    assert done.code == 2
    assert done.err.startswith("faregate: there is no database: FAREGATE_DATABASE_URL is not set, and ")
    assert str(tmp_path / "none") in done.err
    assert "--data-dir" in done.err
    assert not (tmp_path / "none").exists()


async def test_doctor_reports_a_missing_database_and_creates_none(tmp_path: Path) -> None:
    done = await run_command("doctor", FAREGATE_DATA_DIR=str(tmp_path / "none"))

    assert done.code == 1
    assert "there is no database" in done.out
    assert not (tmp_path / "none").exists()


async def test_every_command_takes_the_data_directory_and_names_its_database(stack: Stack) -> None:
    by_option = await run_command("verify", "--data-dir", str(stack.data_dir))
    first = await run_command(f"--data-dir={stack.data_dir}", "wallets", "list", "-o", "json")
    migrated = await run_command("migrate", FAREGATE_DATA_DIR=str(stack.data_dir))
    seen = await run_command("doctor", "--data-dir", str(stack.data_dir))

    assert (by_option.code, first.code, migrated.code) == (0, 0, 0), by_option.err + first.err + migrated.err
    assert all(f"embedded PostgreSQL in {stack.data_dir}" in done.out for done in (by_option, migrated, seen))


async def test_a_data_directory_and_a_database_url_together_are_refused(tmp_path: Path) -> None:
    done = await run_command("verify", "--data-dir", str(tmp_path), FAREGATE_DATABASE_URL="postgresql://x/y")
    empty = await run_command("verify", "--data-dir")

    assert (done.code, empty.code) == (2, 2)
    assert "use only one of them" in done.err
    assert "--data-dir needs a value" in empty.err


async def test_an_unreachable_database_is_named_without_its_password() -> None:
    done = await run_command("verify", FAREGATE_DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/none")

    assert done.code == 1
    assert "faregate: postgresql://me@127.0.0.1:1/none: nothing listens there" in done.err
    assert "hunter2" not in done.err


@pytest.mark.parametrize("victim", ["postmaster", "backend"])
async def test_up_survives_a_crash_of_its_postgresql(stack: Stack, victim: str) -> None:
    async with open_client(stack.url, stack.key) as client:
        await client.must("PUT", "/api/features/kept", {"strategy": "token_priced", "min_credits": 1})
        await client.must("POST", "/api/wallets/ada/grants", {"credits": 10, "source": "bonus", "key": victim})
        died = EmbeddedServer(stack.data_dir).server_pid()
        assert died is not None
        os.kill(died if victim == "postmaster" else await _backend(stack), signal.SIGKILL)
        driver = LoadDriver(client, SystemClock(), feature="kept", run=victim, settle="queue")
        (settled,) = await driver.costs(
            [await driver.send(TrafficRequest(1, "ada", "gpt-4o-mini", 1000, 10, 0.0))],
            concurrency=1,
            on_done=lambda: None,
        )
        again = EmbeddedServer(stack.data_dir).server_pid()

    assert settled.charged > 0
    assert again is not None
    assert (again == died) == (victim == "backend")
    assert stack.process.returncode is None


async def _backend(stack: Stack) -> int:
    connection = await asyncpg.connect(EmbeddedServer(stack.data_dir).url)
    try:
        found = await connection.fetchval(
            "select pid from pg_stat_activity where application_name = 'faregate' and pid <> pg_backend_pid() limit 1"
        )
    finally:
        await connection.close()
    return int(found)
