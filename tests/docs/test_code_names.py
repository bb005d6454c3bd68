"""What pages name in code exists: dotted names of Python, calls of the gateway, commands, and files of the checkout."""

import re

import pytest

from support.docs import ROOT
from support.names import resolved

PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
OLD_PATHS = {"upgrade.md"}
"""Pages that name modules of older versions."""
NO_MODULES = {"faregate.strategies", "faregate.dead_letters"}
"""A group of entry points, and a queue of RabbitMQ."""


def spans(pattern: str) -> list[tuple[str, str]]:
    """Return page and text of each code span that is wholly of `pattern`."""
    return [
        (path.name, span)
        for path in PAGES
        if path.name not in OLD_PATHS
        for span in dict.fromkeys(re.findall(rf"`({pattern})`", path.read_text()))
    ]


@pytest.mark.parametrize(("page", "name"), spans(r"faregate(?:\.\w+)+"))
def test_a_dotted_name_is_importable(page: str, name: str) -> None:
    if name not in NO_MODULES:
        resolved(name)


@pytest.mark.parametrize(("page", "name"), spans(r"(?:libs|apps|tests|docs|examples|benchmarks)/[\w./-]+"))
def test_a_file_exists(page: str, name: str) -> None:
    assert (ROOT / name).exists()
