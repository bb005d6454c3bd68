"""Closed pipes and early Ctrl-C end a command silently, with the codes that shells know."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from faregate.cli.main import INTERRUPTED, PIPE_CLOSED, TERMINATED

FAREGATE = [sys.executable, "-m", "faregate.cli"]
STARTED = """
import os, signal
from faregate.cli.__main__ import run
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
import sys
sys.meta_path.insert(0, Interrupting())
sys.argv[1:] = ["wallets", "list"]
run()
"""
"""Runs a command that gets SIGINT when it imports a module."""


def ended_by_a_closed_pipe(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command whose standard output nobody reads; return its code and what it wrote to standard error."""
    reading, writing = os.pipe()
    os.close(reading)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAREGATE_")}
    with os.fdopen(writing, "wb") as out:
        done = subprocess.run(
            [*FAREGATE, *arguments], stdout=out, stderr=subprocess.PIPE, env={**kept, **environment}, check=False
        )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["completion", "bash"]], ids=" ".join)
def test_a_closed_pipe_is_silent(arguments: list[str]) -> None:
    assert ended_by_a_closed_pipe(*arguments) == (PIPE_CLOSED, "")


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_closed_pipe_is_silent_when_the_database_was_read(database_url: str, form: str) -> None:
    ended = ended_by_a_closed_pipe("usage", "meters", "list", "-o", form, FAREGATE_DATABASE_URL=database_url)

    assert ended == (PIPE_CLOSED, "")


@pytest.mark.parametrize(
    ("module", "code"),
    [("faregate.cli.older_names", -signal.SIGINT), ("cyclopts", INTERRUPTED), ("sqlalchemy", INTERRUPTED)],
)
def test_ctrl_c_while_modules_are_loaded_is_silent(module: str, code: int) -> None:
    """Before `main` runs, the signal itself ends the process, which shells report as 130, too."""
    environment = {**os.environ, "FAREGATE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [sys.executable, "-c", STARTED.format(module=module)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_a_terminated_command_stops_the_database_that_it_has_started() -> None:
    """As after Ctrl-C: neither a server nor its files are left."""
    command = [*FAREGATE, "bench", "growth"]
    with TemporaryDirectory(prefix="fg-") as name:  # short, so that the address of the server fits
        folder, environment = Path(name), {**os.environ, "TMPDIR": name}
        folder.chmod(0o755)
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
            try:
                while not (running := [words[0] for words in _notes(folder) if words]):
                    assert process.poll() is None
                    time.sleep(0.05)
                process.terminate()
                _, complaint = process.communicate(timeout=60)
            finally:
                process.kill()  # else a failure would wait for the end of the benchmark
        left = list(folder.iterdir())

    assert (process.returncode, complaint, left) == (TERMINATED, b"", [])
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)


def _notes(folder: Path) -> list[list[str]]:
    """Return the words of each file that a server writes about itself when it starts: the first is its process id."""
    return [file.read_text().split() for file in folder.glob("*/*/postmaster.pid")]


def test_the_installed_command_starts_where_ctrl_c_is_silent() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()

    assert 'faregate = "faregate.cli.__main__:run"' in project
