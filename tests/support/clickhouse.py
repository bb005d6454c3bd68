"""ClickHouse for tests: its engine in process behind an HTTP interface, in a process of its own."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["PASSWORD", "running_clickhouse"]

PASSWORD = "pass:word/&+"  # to be escaped wherever it stands in a URL
_ESCAPED = "pass%3Aword%2F%26%2B"


@contextmanager
def running_clickhouse() -> Generator[str]:
    """Run a server; return its URL without a database."""
    script = Path(__file__).parent / "clickhouse_server.py"
    with TemporaryDirectory(prefix="fg-clickhouse-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, str(script), folder, "faregate", PASSWORD]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield f"http://faregate:{_ESCAPED}@127.0.0.1:{int(process.stdout.readline())}"
            finally:
                process.kill()
