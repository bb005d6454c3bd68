"""The site of the documentation: built without a broken link, and without a request to another host."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.docs import ROOT

LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches by itself, by tag and attribute."""


class Loaded(HTMLParser):
    """Addresses that a browser fetches when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADING.get(tag, ""))
        if address is not None:
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(directory)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_every_page_is_built(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md") if path.name != "http.head.md"]

    assert [page for page in pages if not (site / page).with_suffix(".html").exists()] == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    loaded = Loaded()
    for page in site.rglob("*.html"):
        loaded.feed(page.read_text())
    styles = [found for sheet in site.rglob("*.css") for found in re.findall(r"url\(([^)]+)\)", sheet.read_text())]

    assert len(loaded.addresses) > 100
    assert [
        found for found in [*loaded.addresses, *styles] if "//" in found.strip("\"'").removeprefix("data:")[:8]
    ] == []


def test_the_builder_is_not_part_of_the_site(site: Path) -> None:
    assert not list(site.rglob("*.py"))
