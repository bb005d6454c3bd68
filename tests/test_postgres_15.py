"""The oldest PostgreSQL we promise is Debian 12's: what touches SQL runs there too."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from faregate.core.db import embedded
from faregate.core.db.embedded import EmbeddedServer
from support.servers import in_memory, require_program

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
ROOT = Path(__file__).parents[1]
FIRST = [
    "tests/core/test_migrations.py",
    "tests/core/test_message_table.py",
    "tests/credit/test_accounting.py",
]
OTHERS = [
    "tests/usage/test_service.py",
    "tests/core/test_subjects.py",
    "tests/credit/test_top_ups.py",
    "tests/usage/test_one_key_two_payers.py",
    "tests/usage/test_recording.py",
    "tests/usage/test_prices.py",
    "tests/analytics/test_service.py",
    "tests/feature_log/test_http.py",
    "tests/worker/test_settlement.py",
]


@pytest.fixture
def server_15(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """Debian's own server, run the way ours is."""
    require_program(PROGRAMS / "postgres", package="postgresql-15")
    monkeypatch.setattr(embedded, "MAJOR_VERSION", 15)
    monkeypatch.setattr(embedded, "postgres_program", PROGRAMS.joinpath)
    with tempfile.TemporaryDirectory(prefix="fg-test-", dir=in_memory(), ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedServer(Path(directory) / "pg", durable=False)
        server.start_now()
        yield server
        server.stop_now()


@pytest.mark.parametrize("suites", [FIRST, OTHERS], ids=["first", "others"])
def test_everything_that_touches_sql_runs_on_postgresql_15(server_15: EmbeddedServer, suites: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider", *suites],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "FAREGATE_TEST_DATABASE_URL": server_15.url},
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
