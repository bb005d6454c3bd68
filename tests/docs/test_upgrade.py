"""Guide to upgrades: every new path is importable, and every old one is gone."""

import importlib.util
import re

import pytest

from support.docs import Page
from support.names import resolved

ROWS = re.findall(r"^\| `([\w.]+)` \| `(faregate[\w.]+)` \|$", Page.of("docs/howto/upgrade.md").text, re.MULTILINE)


@pytest.mark.parametrize(("old", "new"), ROWS)
def test_what_moved_is_found_under_its_new_name(old: str, new: str) -> None:
    assert old != new
    resolved(new)


@pytest.mark.parametrize("old", [old for old, _ in ROWS if old.startswith("faregate.")])
def test_an_old_module_is_gone_or_is_a_package_now(old: str) -> None:
    found = importlib.util.find_spec(old)

    assert found is None or found.submodule_search_locations is not None


def test_the_tables_are_read() -> None:
    assert len(ROWS) > 150
