"""`faregate bench compare` shows a slower commit, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from faregate.benchmarks.history import FigureChange, FigureEntry, changes, keep, read
from faregate.core.errors import InvalidError


def entry(**figures: float) -> FigureEntry:
    return FigureEntry("abc123", "2026-11-29", "2 x AMD EPYC", figures)


def test_figure_is_compared_with_the_median_of_its_last_five_measurements() -> None:
    history = [entry(settle=figure) for figure in (9.0, 9.0, 1.0, 2.0, 2.0, 2.2, 0.1)]

    (change,) = changes(history, entry(settle=1.9))

    assert change == FigureChange("settle", 2.0, 1.9)
    assert not change.is_slower(20)
    assert change.is_slower(4)


def test_new_figure_is_not_slower() -> None:
    (change,) = changes([entry(settle=2.0)], entry(start=0.1))

    assert change.before is None
    assert not change.is_slower(20)


def test_entry_is_kept_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    assert read(file) == []
    keep(file, entry(settle=2.0))
    keep(file, entry(settle=2.1, start=0.5))

    assert read(file) == [entry(settle=2.0), entry(settle=2.1, start=0.5)]


def test_line_that_is_no_entry_is_named(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    keep(file, entry(settle=2.0))
    with file.open("a") as history:
        history.write("[]\n")

    with pytest.raises(InvalidError, match="line 2 of the history"):
        read(file)


def test_history_of_this_repository_is_readable() -> None:
    assert read(Path("docs/evidence/history.jsonl"))


def test_run_is_compared_and_kept(tmp_path: Path) -> None:
    """A figure far above what is possible in the history makes this run a slower one."""
    file = tmp_path / "history.jsonl"
    keep(file, FigureEntry("abc123", "2026-11-29", "2 x AMD EPYC", {"settle beside pgbench": 1e6}))
    command = [sys.executable, "-m", "faregate.cli", "bench", "compare", "--history", str(file), "--keep"]
    done = subprocess.run([*command, "--size", "600", "-o", "json"], capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stderr
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert told["passed"] is False
    assert [figure["name"] for figure in told["figures"]] == [
        "settle beside pgbench",
        "start beside a bare endpoint",
        "record events beside raw COPY",
        "export csv beside psql",
        "export ndjson beside psql",
        "export parquet beside psql",
    ]
    assert all(figure["now"] > 0 for figure in told["figures"])
    assert len(read(file)) == 2
