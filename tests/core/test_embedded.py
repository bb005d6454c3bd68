"""The embedded PostgreSQL: start, shared use, crashes, and at most one server."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faregate.core.db.embedded import EmbeddedServer, default_data_dir
from faregate.core.db.embedded_keeper import EmbeddedKeeper
from faregate.core.errors import ConfigurationError, EngineUnavailableError
from faregate.core.logging import configure_logging

USER = """
import sys, time
from pathlib import Path
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.logging import configure_logging
configure_logging()
server = EmbeddedServer(Path(sys.argv[1]), durable=False)
server.start_now()
print(server.server_pid(), flush=True)
sys.stdin.read()
server.stop_now()
print("stopped", flush=True)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A data directory below one that only its owner may enter, such as /root."""
    path = tmp_path / "deep" / "data"
    yield path
    EmbeddedServer(path).shut_down(signal.SIGQUIT)


@pytest.fixture
def server(directory: Path) -> EmbeddedServer:
    return EmbeddedServer(directory, durable=False)


def _user(directory: Path) -> tuple["subprocess.Popen[str]", int]:
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def _leave(process: "subprocess.Popen[str]") -> None:
    process.communicate("", timeout=30)


def _ask(server: EmbeddedServer, sql: str) -> str:
    import asyncio

    import asyncpg

    async def ask() -> str:
        connection = await asyncpg.connect(server.url)
        try:
            return str(await connection.fetchval(sql))
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_it_starts_answers_and_stops(server: EmbeddedServer) -> None:
    server.start_now()
    server.start_now()
    version = _ask(server, "show server_version")
    pid = server.server_pid()
    server.stop_now()
    server.stop_now()

    assert version.startswith("18.")
    assert pid is not None
    assert server.server_pid() is None


def test_data_outlive_the_server(server: EmbeddedServer) -> None:
    server.start_now()
    _ask(server, "create table kept as select 42 as n")
    server.stop_now()
    server.start_now()

    assert _ask(server, "select n from kept") == "42"
    server.stop_now()


def test_two_users_share_one_server_and_the_last_to_leave_stops_it(directory: Path) -> None:
    first, pid = _user(directory)
    second, same = _user(directory)
    _leave(first)
    still = EmbeddedServer(directory).server_pid()
    _leave(second)

    assert (pid, same, still) == (pid, pid, pid)
    assert EmbeddedServer(directory).server_pid() is None


def test_many_users_at_once_start_one_server(directory: Path) -> None:
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(5)
    ]
    pids = {user.stdout.readline().strip() for user in users if user.stdout is not None}
    for user in users:
        _leave(user)

    assert len(pids) == 1


def test_the_next_user_takes_over_the_server_of_a_killed_one(directory: Path) -> None:
    user, pid = _user(directory)
    user.kill()
    user.communicate()
    left_running = EmbeddedServer(directory).server_pid()
    next_user, found = _user(directory)
    _leave(next_user)

    assert left_running == found == pid
    assert EmbeddedServer(directory).server_pid() is None


def test_a_killed_server_recovers_at_the_next_start(directory: Path) -> None:
    server = EmbeddedServer(directory)
    server.start_now()
    _ask(server, "create table kept as select 42 as n")
    pid = server.server_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    server.stop_now()
    server.start_now()

    assert _ask(server, "select n from kept") == "42"
    server.stop_now()


def test_a_stale_pid_file_with_the_id_of_another_program_is_ignored(server: EmbeddedServer, directory: Path) -> None:
    server.start_now()
    server.stop_now()
    lines = [str(os.getpid()), str(directory / "postgres18"), "1", "5432", str(directory), "", "", "ready"]
    (directory / "postgres18" / "postmaster.pid").write_text("\n".join(lines) + "\n")

    server.start_now()

    assert server.server_pid() not in {None, os.getpid()}
    server.stop_now()


def test_an_interrupted_set_up_is_restarted(server: EmbeddedServer, directory: Path) -> None:
    (directory / "postgres18.new").mkdir(parents=True)
    (directory / "postgres18.new" / "rubbish").touch()

    server.start_now()

    answer = _ask(server, "select 1")
    server.stop_now()

    assert answer == "1"
    server.stop_now()


def test_a_path_too_long_for_a_socket_uses_another_directory_for_it(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / ("x" * 60) / ("y" * 60), durable=False)
    server.start_now()

    assert _ask(server, "select 1") == "1"
    assert str(tmp_path) not in server.url
    server.stop_now()


def test_nobody_else_can_enter_the_data_directory(server: EmbeddedServer, directory: Path) -> None:
    server.start_now()

    assert directory.stat().st_mode & 0o077 == 0
    assert _ask(server, "show listen_addresses") == ""
    server.stop_now()


def test_data_of_another_major_version_are_refused_with_the_fix(directory: Path) -> None:
    (directory / "postgres16").mkdir(parents=True)

    with pytest.raises(ConfigurationError, match=r"holds PostgreSQL 16.*backup"):
        EmbeddedServer(directory).start_now()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_normal_user_can_run_it_too() -> None:
    base = Path("/tmp/faregate-nobody-test")
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    shutil.chown(base, "nobody")
    become = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\nserver = "
    script = USER.replace("server = ", become, 1).replace("sys.stdin.read()", "")
    done = subprocess.run(
        [sys.executable, "-c", script, str(base / "data")], capture_output=True, text=True, check=False, cwd="/"
    )
    shutil.rmtree(base, ignore_errors=True)

    assert done.stdout.splitlines()[-1:] == ["stopped"], done.stderr


def test_the_default_directory_depends_on_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")

    assert default_data_dir() == Path("/home/ada/.local/share/faregate")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/faregate")


def test_checking_for_a_cluster_creates_none(directory: Path) -> None:
    assert not EmbeddedServer(directory).exists
    assert not directory.exists()


def test_processes_with_different_pgport_share_one_server(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    server.start_now()
    monkeypatch.delenv("PGPORT")
    answer = _ask(server, "select 1")
    server.stop_now()

    assert answer == "1"


async def test_a_start_that_is_cancelled_leaves_no_server_behind(server: EmbeddedServer) -> None:
    starting = asyncio.create_task(server.start())
    async with asyncio.timeout(60):
        while server.server_pid() is None:
            await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert server.server_pid() is None


async def test_a_killed_server_is_started_again(server: EmbeddedServer) -> None:
    await server.start()
    stop = asyncio.Event()
    kept = asyncio.create_task(EmbeddedKeeper(server, check_seconds=0.02).run(stop))
    died = server.server_pid()
    assert died is not None
    os.kill(died, signal.SIGKILL)
    async with asyncio.timeout(30):
        while server.server_pid() in {None, died} and not kept.done():
            await asyncio.sleep(0.02)
    stop.set()
    await kept
    assert server.server_pid() not in {None, died}
    await server.stop()

    assert server.server_pid() is None


async def test_a_server_that_cannot_start_is_retried_a_bounded_number_of_times(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with a full disk: each start fails at once, with a reason in the server's log."""
    await server.start()
    configure_logging(style="json")
    monkeypatch.setattr(server, "_options", {"shared_buffers": "no space left"})
    died = server.server_pid()
    assert died is not None
    os.kill(died, signal.SIGKILL)
    keeper = EmbeddedKeeper(server, check_seconds=0.02, retry_delays_seconds=(0.01, 0.01))

    with pytest.raises(EngineUnavailableError, match=r"(?s)\(3 attempts\).*shared_buffers") as given_up:
        await keeper.run(asyncio.Event())
    told = capsys.readouterr().err
    await server.stop()

    assert str(server.data_dir) in given_up.value.detail
    assert told.count("embedded_postgres_died") == 3
    assert told.count("embedded_postgres_not_restarted") == 2
