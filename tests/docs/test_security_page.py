"""The page on security names tests and calls that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/explanation/security.md").read_text()


def test_each_control_names_tests_that_exist() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ")][2:]
    named = [re.findall(r"`(tests/[^`]+)`", row) for row in rows]

    assert len(rows) > 15
    assert all(named)
    assert [path for paths in named for path in paths if not (ROOT / path).exists()] == []
