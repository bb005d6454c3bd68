"""Modules and processor time of `--version` and `--help`."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

HEAVY = [
    "aiormq",
    "alembic",
    "asyncpg",
    "dependency_injector",
    "httpx2",
    "pydantic",
    "sqlalchemy",
    "sqlmodel",
    "starlette",
    "structlog",
    "uvicorn",
]
"""Modules that commands need when they run, and their help does not."""

LOADED = """
import sys
from faregate.cli.main import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit:
    pass
loaded = [name for name in {modules!r} if name in sys.modules]
print("loaded:", *loaded)
"""

ALL_HELPS = """
import io, sys
from rich.console import Console
from faregate.cli.main import command_line

def show(app, *path):
    command_line().help_print(list(path), console=Console(file=io.StringIO()))
    loaded = [name for name in {modules!r} if name in sys.modules]
    assert not loaded, (path, loaded)
    helps = 1
    for name in app:
        if not name.startswith("-"):
            helps += show(app[name], *path, name)
    return helps

print(show(command_line()))
"""


def run(code: str) -> str:
    """Return what a new interpreter prints that runs `code`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAREGATE_")}
    environment["FAREGATE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout


def loaded_by(*arguments: str, modules: Sequence[str] = HEAVY) -> tuple[str, list[str]]:
    """Return what `faregate …` prints, and which of `modules` it has loaded."""
    *out, loaded = run(LOADED.format(arguments=list(arguments), modules=modules)).splitlines()
    return "\n".join(out), loaded.split()[1:]


def seconds(*arguments: str) -> float:
    """Return the processor time of `python -m faregate.cli …`, the best of three runs: other processes hardly change it."""
    return min(_once(arguments) for _ in range(3))


def _once(arguments: Sequence[str]) -> float:
    process = subprocess.Popen([sys.executable, "-m", "faregate.cli", *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def test_the_version_is_printed_without_cyclopts() -> None:
    out, loaded = loaded_by("--version", modules=[*HEAVY, "cyclopts", "rich"])

    assert (out.count("."), loaded) == (2, [])


def test_the_help_of_wallets_loads_no_database_driver() -> None:
    out, loaded = loaded_by("wallets", "--help")

    assert out.startswith("Usage: faregate wallets COMMAND")
    assert loaded == []


def test_a_command_that_runs_loads_what_its_help_does_not() -> None:
    """Shows that the other tests would notice: these modules are loaded where they are needed."""
    _, loaded = loaded_by("wallets", "list")

    assert {"asyncpg", "pydantic", "sqlalchemy", "structlog"} <= set(loaded)


def test_no_help_of_any_command_loads_a_database_driver_or_a_server() -> None:
    assert int(run(ALL_HELPS.format(modules=HEAVY))) > 100


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [(["--version"], 0.3), (["--help"], 1.0), *(([name, "--help"], 1.0) for name in ("wallets", "usage", "bench", "up", "doctor"))],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_answers_that_need_no_database_come_at_once(arguments: list[str], limit: float) -> None:
    """At rest `--version` takes at most 0.3 s and a help 0.5 s; twice that is allowed beside other tests (`-s` prints it)."""
    took = seconds(*arguments)
    print(f"\nfaregate {' '.join(arguments)}: {took:.2f} s of processor time (limit {limit} s)")

    assert took <= limit
