"""What pages name in code exists: dotted names of Python, calls of the gateway, commands, and files of the checkout."""

import re

import pytest
from starlette.routing import Route

from faregate.core.settings import Settings, isolated_settings, variable_names
from faregate.gateway.container import GatewayContainer
from faregate.gateway.http.operation import operations_of
from support.docs import ROOT
from support.names import resolved

PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
OLD_PATHS = {"upgrade.md"}
"""Pages that name modules of older versions."""
OLD_NAMES = {"brief-map.md"}
"""Pages that name calls which are only suggested; `tests/brief/test_map.py` checks the others on them."""
NO_MODULES = {"faregate.strategies", "faregate.dead_letters", "faregate.user_id", "faregate.usage_key"}
"""A group of entry points, a queue of RabbitMQ, and attributes of spans."""


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


@pytest.fixture(scope="module")
def calls() -> list[re.Pattern[str]]:
    """Calls of the gateway; a parameter may have any name or value."""
    container = GatewayContainer(settings=isolated_settings(database_url="postgresql://nowhere/none"))
    declared = [operation for controller in container.controllers() for operation, _ in operations_of(controller)]
    served = [f"{each.method} {each.path}" for each in declared]
    for route in container.cycles().routes():
        assert isinstance(route, Route)
        served += [f"{method} {route.path}" for method in route.methods or ()]
    return [re.compile(re.sub(r"\{[^}]*\}", "[^/]+", each)) for each in served]


@pytest.mark.parametrize(("page", "call"), spans(r"(?:GET|POST|PUT|DELETE) /[^`]+"))
def test_a_call_is_served(page: str, call: str, calls: list[re.Pattern[str]]) -> None:
    method, path = call.split()[:2]
    asked = f"{method} {path.partition('?')[0]}"

    assert page in OLD_NAMES or any(known.fullmatch(asked) for known in calls)


@pytest.mark.parametrize(("page", "name"), spans(r"FAREGATE_[A-Z_]+"))
def test_a_setting_is_known(page: str, name: str) -> None:
    assert name in {variable for field in Settings.model_fields for variable in variable_names(field)}
