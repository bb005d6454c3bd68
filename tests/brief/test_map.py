"""The map of the original documents: each row names something that exists, or says that it is not built."""

import importlib
import re
from collections.abc import Iterator
from functools import cache

import pytest
from brief.names import NAMES
from cyclopts import CycloptsError

from faregate.cli.main import command_line
from faregate.core.db.metadata import metadata
from faregate.core.settings import Settings, isolated_settings, variable_names
from faregate.gateway.container import GatewayContainer
from faregate.gateway.http.operation import operations_of
from faregate.wire.queues import PUBLIC_QUEUES
from support.docs import ROOT
from support.names import resolved

PAGE = (ROOT / "docs/reference/brief-map.md").read_text()
_LINES = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = [row for row in ([cell.strip() for cell in line] for line in _LINES) if row[0] not in {"original name", "---"}]
NOT_BUILT = "Not built"


def references() -> Iterator[str]:
    """Yield what the second and third columns refer to: code, with the word before it where that is its kind."""
    for _, here, about in ROWS:
        yield from re.findall(r"(?:(?:queue|table|metric) )?`[^`]+`", here)
        yield from re.findall(r"`(?:docs|faregate\.)[^`]+`", about)


@cache
def calls() -> frozenset[str]:
    container = GatewayContainer(settings=isolated_settings(database_url="postgresql://nowhere/none"))
    declared = [operation for controller in container.controllers() for operation, _ in operations_of(controller)]
    return frozenset(f"{operation.method} {operation.path}" for operation in declared)


@cache
def variables() -> frozenset[str]:
    return frozenset(name for field in Settings.model_fields for name in variable_names(field))


@cache
def metrics() -> frozenset[str]:
    sources = [path.read_text() for place in ("apps", "libs") for path in (ROOT / place).rglob("*.py")]
    declared = re.compile(r'(?:_?[Cc]ounter|Gauge|Histogram)\w*\(\s*"(faregate_\w+)"')
    return frozenset(name for source in sources for name in declared.findall(source))


@pytest.mark.parametrize("reference", sorted(set(references())))
def test_what_a_row_refers_to_exists(reference: str) -> None:
    kind, name = re.findall("(\\w*) ?`(.+)`", reference)[0]
    if kind == "queue":
        assert name in PUBLIC_QUEUES
    elif kind == "table":
        assert name in tables()
    elif kind == "metric":
        assert name in metrics()
    elif name.startswith("faregate "):
        accepted(name)
    elif name.startswith("faregate."):
        resolved(name)
    elif re.match("(GET|POST|PUT|DELETE) /", name):
        assert name.partition("?")[0] in calls()
    elif re.fullmatch("[A-Z_]+", name):
        assert name in variables()
    else:
        assert (ROOT / name).exists()


def tables() -> set[str]:
    for library in ("usage.events", "analytics"):
        importlib.import_module(f"faregate.{library}.models")
    return {table.name for table in metadata.tables.values()}


def accepted(typed: str) -> None:
    """Parse a command; a group of commands without its command is accepted as well."""
    words = typed.split()[1:]
    app = command_line()
    try:
        app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError:
        for word in words:
            app = app[word]


def test_each_row_refers_to_something_or_says_that_it_is_not_built() -> None:
    silent = [row[0] for row in ROWS if not row[1].startswith(NOT_BUILT) and "`" not in row[1]]

    assert len(ROWS) > 150
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_the_documents_has_its_row(name: str) -> None:
    assert [row for row in ROWS if re.search(rf"(?<![\w/]){re.escape(name)}(?![\w/-])", row[0])]


DEFAULTS = [
    (row[1].strip("`"), int(found[1]))
    for row in ROWS
    if (found := re.fullmatch(r"(?:default )?(\d+)(?: seconds)?", row[2]))
]


@pytest.mark.parametrize(("variable", "default"), DEFAULTS)
def test_a_threshold_has_the_default_of_the_documents(variable: str, default: int) -> None:
    (field,) = [field for name, field in Settings.model_fields.items() if variable in variable_names(name)]

    assert field.default == default


def test_the_thresholds_are_found() -> None:
    assert len(DEFAULTS) == 5
