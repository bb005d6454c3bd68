"""Common mistakes, made for real: every way into Faregate prints the same line, and the page of mistakes holds it."""

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NoReturn

import pytest

from faregate.benchmarks.ports import free_port
from faregate.cli import main as commands
from faregate.core.db.embedded import MAJOR_VERSION, EmbeddedServer
from faregate.core.errors import FaregateError
from faregate.core.settings import Settings, load_settings, variable_names
from faregate.host.container import FaregateContainer
from faregate.wire import exact_json
from support.certificates import make_certificate
from support.mistaken import TcpServer, old_server, tcp_server
from support.servers import in_memory

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "mistakes.md"
SECRET = "hunter2"
DATABASE = ("up", "migrate", "gateway", "worker", "doctor", "library")
LONGEST_SECONDS = 60
WRITE = "WRITE_PAGES"
"""With this variable the test writes the page instead of comparing it."""


@dataclass(frozen=True)
class Ground:
    """Where the mistakes are made: a server, one that is too old, a port that is in use, and directories."""

    server: TcpServer
    old_port: int
    used_port: int
    shut_port: int
    directory: Path

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def shown(self, line: str) -> str:
        """Return a line as the page shows it, without what differs from run to run."""
        for port in (self.server.port, self.old_port, self.shut_port):
            line = line.replace(f"127.0.0.1:{port}", "db.internal:5432")
        line = line.replace(f"127.0.0.1:{self.used_port}", "127.0.0.1:8080")
        return line.replace(str(self.directory), "/srv")


@dataclass(frozen=True)
class Mistake:
    """One mistake, the variables that make it, and the ways in that report it."""

    title: str
    variables: Callable[[Ground], Mapping[str, str]]
    ways: tuple[str, ...] = DATABASE
    as_nobody: bool = False


def url(
    login: str = f"me:{SECRET}", database: str = "postgres", options: str = ""
) -> Callable[[Ground], Mapping[str, str]]:
    return lambda ground: {"FAREGATE_DATABASE_URL": ground.server.url(login, database, options)}


def at(address: str) -> Callable[[Ground], Mapping[str, str]]:
    return lambda ground: {"FAREGATE_DATABASE_URL": address.format(ground=ground)}


def data(name: str) -> Callable[[Ground], Mapping[str, str]]:
    return lambda ground: {"FAREGATE_DATA_DIR": ground.path(name)}


MISTAKES = [
    Mistake("nothing listens at the address", at(f"postgresql://me:{SECRET}@127.0.0.1:{{ground.shut_port}}/faregate")),
    Mistake("the host name is wrong", at(f"postgresql://me:{SECRET}@no-such-host.invalid/faregate")),
    Mistake("there is no socket", at("postgresql:///faregate?host={ground.directory}")),
    Mistake("wrong password", url("me:wrong-hunter2")),
    Mistake("unknown user", url("nobody_here:x")),
    Mistake("unknown database", url(database="no_such_database")),
    Mistake("a user who may not connect to the database", url(database="closed")),
    Mistake("a character of the password is not escaped: /", at(f"postgresql://me:{SECRET}/x@127.0.0.1/faregate")),
    Mistake("a character of the password is not escaped: #", at(f"postgresql://me:12#{SECRET}@127.0.0.1/faregate")),
    Mistake("a character of the password is not escaped: ?", at(f"postgresql://me:12?{SECRET}@127.0.0.1/faregate")),
    Mistake("a character of the password is not escaped: @", at(f"postgresql://me:x@{SECRET}@127.0.0.1/faregate")),
    Mistake("unknown sslmode", url(options="?sslmode=required")),
    Mistake("TLS asked of a server without it", at("postgresql://me@127.0.0.1:{ground.old_port}/faregate?sslmode=require")),
    Mistake(
        "the server's certificate is not known",
        lambda ground: url(options=f"?sslmode=verify-ca&sslrootcert={ground.path('other/certificate.pem')}")(ground),
    ),
    Mistake("no authority for the server's certificate is named", url(options="?sslmode=verify-full")),
    Mistake("a TLS file is missing", url(options="?sslmode=verify-full&sslrootcert=/no/such/file.pem")),
    Mistake("the server demands TLS", url("tls_only", options="?sslmode=disable")),
    Mistake("too old a server", at("postgresql://me@127.0.0.1:{ground.old_port}/faregate")),
    Mistake("the data directory may not be written", data("locked/data"), as_nobody=True),
    Mistake("the data directory is a file", data("file")),
    Mistake("the data directory holds something else", data("photos")),
    Mistake("the data directory is another PostgreSQL's", data("pgdata")),
    Mistake("the data directory is of another major version", data("older")),
    Mistake("the data directory is damaged", data("damaged")),
    Mistake("the disk is full", data("full")),
    Mistake(
        "the port is in use",
        lambda ground: {"FAREGATE_PORT": str(ground.used_port), **url("postgres")(ground)},
        ways=("up", "gateway"),
    ),
    Mistake(
        "the worker's port is in use",
        lambda ground: {"FAREGATE_WORKER_PORT": str(ground.used_port), **url("postgres")(ground)},
        ways=("worker",),
    ),
    Mistake("a variable is misspelt", lambda _: {"FAREGATE_DATABSE_URL": "postgresql://me@db.internal/faregate"}),
    Mistake("a value is of the wrong kind", lambda _: {"FAREGATE_PORT": "seventy"}),
    Mistake("no database is named", data("none"), ways=("gateway", "worker", "doctor")),
    Mistake(
        "nothing listens at the key set's address",
        lambda ground: {"FAREGATE_JWKS_URL": f"http://user:{SECRET}@127.0.0.1:{ground.shut_port}/jwks", **url("postgres")(ground)},
        ways=("doctor",),
    ),
    Mistake(
        "the key set's address is a page",
        lambda ground: {"FAREGATE_JWKS_URL": f"http://127.0.0.1:{ground.used_port}/jwks.json", **url("postgres")(ground)},
        ways=("doctor",),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="fg-wrong-", dir=in_memory(), ignore_cleanup_errors=True) as made:
        directory = Path(made)
        directory.chmod(0o755)
        _make_directories(directory)
        with tcp_server(directory / "tcp") as server, old_server("13.14") as old_port, _pages() as used_port:
            asyncio.run(
                server.run(
                    f"create role me login password '{SECRET}'",
                    "create role tls_only login",
                    "create database closed",
                    "revoke connect on database closed from public",
                )
            )
            yield Ground(server, old_port, used_port, free_port(), directory)


def _make_directories(directory: Path) -> None:
    for name in ("photos", "pgdata", f"older/postgres{MAJOR_VERSION - 1}", f"damaged/postgres{MAJOR_VERSION}", "other"):
        (directory / name).mkdir(parents=True)
    make_certificate(directory / "other")
    (directory / "locked").mkdir(mode=0o700 if os.geteuid() == 0 else 0o000)
    (directory / "file").write_text("")
    (directory / "photos" / "holiday.jpg").write_text("")
    for name, version in (("pgdata", 15), (f"older/postgres{MAJOR_VERSION - 1}", MAJOR_VERSION - 1)):
        (directory / name / "PG_VERSION").write_text(f"{version}\n")
    (directory / "damaged" / f"postgres{MAJOR_VERSION}" / "base").mkdir()
    server = EmbeddedServer(directory / "full", durable=False)
    server.start_now()
    server.stop_now()
    state = directory / "full" / f"postgres{MAJOR_VERSION}" / "postmaster.opts"  # written at each start
    state.unlink()
    state.symlink_to("/dev/full")


class _NotFound(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@contextmanager
def _pages() -> Generator[int]:
    """Run a web server that answers 404 to everything; it holds its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _NotFound) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _made(mistake: Mistake, ground: Ground) -> Generator[None]:
    """Set the variables of a mistake, and become a user without rights if it needs one."""
    with pytest.MonkeyPatch.context() as patch:
        for field in Settings.model_fields:
            for name in variable_names(field):
                patch.delenv(name, raising=False)
        for name, value in {
            "FAREGATE_PORT": "0",
            "FAREGATE_SERVER_API_KEY": "k" * 20,
            **mistake.variables(ground),
        }.items():
            patch.setenv(name, value)
        patch.setattr(commands, "start_logging", lambda: None)
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(LONGEST_SECONDS)
        demoted = mistake.as_nobody and os.geteuid() == 0
        try:
            os.seteuid(65534) if demoted else None
            yield
        finally:
            os.seteuid(0) if demoted else None
            signal.alarm(0)


def _too_long(*_: object) -> NoReturn:
    raise AssertionError("the mistake was not noticed: it runs")


def _line_of(way: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Go one way into Faregate; return the one line that it prints."""
    if way == "library":
        with pytest.raises(FaregateError) as refused:
            asyncio.run(_use_library())
        return refused.value.detail
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["faregate", way, *(("-o", "json") if way == "doctor" else ())])
        commands.main()
    out, err = capsys.readouterr()
    assert ended.value.code in {1, 2}, (way, out, err)
    assert SECRET not in out + err
    assert "Traceback" not in err
    if way == "doctor" and out:
        broken = [check for check in exact_json.loads(out) if not check["ok"] and check["name"] in _CHECKS]
        assert len(broken) == 1, broken
        return f"{broken[0]['detail']}; {broken[0]['fix']}"
    (line,) = [line for line in err.splitlines() if not line.startswith("{")]
    assert line.startswith("faregate: ")
    return line.removeprefix("faregate: ")


_CHECKS = {"database", "key set"}


async def _use_library() -> None:
    async with FaregateContainer(settings=load_settings()).engines():
        raise AssertionError("the mistake was not noticed")


@pytest.mark.filterwarnings("ignore:unclosed resource <TCPTransport:ResourceWarning")  # asyncpg leaves what TLS refused
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_every_way_in_prints_the_same_line(
    mistake: Mistake, ground: Ground, capsys: pytest.CaptureFixture[str], lines: dict[str, str]
) -> None:
    if mistake.as_nobody:
        with _made(MISTAKES[0], ground):  # loads modules that nobody may not be able to read
            assert {_line_of(way, capsys) for way in mistake.ways}
    with _made(mistake, ground):
        found = {way: _line_of(way, capsys) for way in mistake.ways}

    assert len(set(found.values())) == 1, found
    line = found[mistake.ways[0]]
    assert "\n" not in line
    assert SECRET not in line
    lines[mistake.title] = ground.shown(line)


@pytest.fixture(scope="module")
def lines() -> dict[str, str]:
    """The lines of the mistakes made so far."""
    return {}


def test_the_page_holds_the_lines_that_were_printed(
    ground: Ground, capsys: pytest.CaptureFixture[str], lines: dict[str, str]
) -> None:
    for mistake in MISTAKES:
        if mistake.title not in lines:
            with _made(mistake, ground):
                lines[mistake.title] = ground.shown(_line_of(mistake.ways[0], capsys))
    page = _page([(mistake, lines[mistake.title]) for mistake in MISTAKES])
    if WRITE in os.environ:
        PAGE.write_text(page)

    assert PAGE.read_text() == page, "the page is not what the mistakes print: run `make mistakes`"


def _page(found: list[tuple[Mistake, str]]) -> str:
    rows = [f"| {mistake.title} | {_cell(line)} |" for mistake, line in found]
    return _HEAD + "\n".join(rows) + "\n"


def _cell(line: str) -> str:
    """Return a line as problem and fix, in two columns."""
    head, _, meaning = line.partition(" — ")  # of a setting
    problem, separator, fix = head.rpartition("; ")
    if not separator:
        problem, fix = head, ""
    return f"{_text(problem)} | {_text(' — '.join(part for part in (fix, meaning) if part))}"


def _text(text: str) -> str:
    return re.sub(r"([|<*])", r"\\\1", text)


_HEAD = """# Mistakes

What Faregate prints for the common mistakes in a deployment, and what mends them. `faregate up`, `migrate`, `gateway` and `worker` print
one line, `faregate: ` with the problem and the fix, and exit with 1, or with 2 if a setting is wrong. `faregate doctor` shows the same
problem and fix for the check that failed, and the library raises an error whose `detail` is this line. Passwords are never shown.

This page is written by the test that makes these mistakes (`make mistakes`). In it the database listens on db.internal, and the data
directories are below /srv.

| mistake | problem | fix |
| --- | --- | --- |
"""
