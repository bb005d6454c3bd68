"""The blocks of "Charge in your application" do what the page says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.docs import Page

PAGE = Page.of("docs/howto/charge-in-your-application.md")
_PRINTED = PAGE.blocks("text")


@pytest.mark.parametrize(("title", "number"), [("charging.py", 0), ("sync.py", 1)])
def test_a_block_prints_what_stands_below_it(title: str, number: int, database_url: str) -> None:
    printed = PAGE.block("python", title=title).run(FAREGATE_DATABASE_URL=database_url, FAREGATE_LOG_LEVEL="error")

    assert printed.splitlines() == _PRINTED[number].text.splitlines()


def test_the_first_block_composes_an_application() -> None:
    PAGE.blocks("python")[0].run(FAREGATE_LOG_LEVEL="error")


def test_the_test_on_the_page_passes(tmp_path: Path) -> None:
    file = PAGE.block("python", title="test_shop.py").save(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file)]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False)

    assert "1 passed" in done.stdout, done.stdout + done.stderr
