"""Time limit of each test: one that hangs fails under its own name, also in a process of pytest-xdist."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = """
import asyncio
import signal
import threading

async def test_waits():
    await asyncio.Event().wait()

def test_hears_no_signal():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    threading.Event().wait(60)

def test_ends():
    pass
"""


def test_a_test_that_hangs_fails_under_its_name_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(TESTS)
    limits = ("-o", "timeout=1", "-o", "faulthandler_timeout=2")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "1", "-c", str(ROOT / "pyproject.toml"), *limits, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1, done.stdout[-3000:]
    assert "test_waits - Failed: Timeout (>1.0s)" in done.stdout
    assert "crashed while running" in done.stdout
    assert "test_hears_no_signal" in done.stdout
    assert "2 failed, 1 passed" in done.stdout
