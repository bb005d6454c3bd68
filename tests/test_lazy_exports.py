"""Packages that import their exports at first use: the three lists of names agree, and every name can be used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from faregate.wire.lazy_exports import lazy_exports

ROOT = Path(__file__).parents[1]
LAZY = sorted(path for path in ROOT.glob("*/*/src/**/__init__.py") if "lazy_exports" in path.read_text())
NAMES = [".".join(path.relative_to(ROOT).parts[3:-1]) for path in LAZY]


def _declared(path: Path) -> dict[str, str]:
    """Return the names that a package imports for type checkers, each with its module."""
    blocks = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_the_libraries_are_lazy() -> None:
    assert {
        "faregate.client",
        "faregate.core",
        "faregate.credit",
        "faregate.feature_log",
        "faregate.host",
        "faregate.usage",
    } <= set(NAMES)


@pytest.mark.parametrize(("package", "path"), list(zip(NAMES, LAZY, strict=True)), ids=NAMES)
def test_type_checkers_and_the_interpreter_see_the_same_names(package: str, path: Path) -> None:
    module, declared = importlib.import_module(package), _declared(path)

    assert sorted(module.__all__) == sorted(declared)
    assert set(module.__all__) <= set(dir(module))
    assert {
        name for name, home in declared.items() if getattr(module, name) is not getattr(sys.modules[home], name)
    } == set()


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    usage = importlib.import_module("faregate.usage")

    with pytest.raises(AttributeError, match=r"module 'faregate\.usage' has no attribute 'Nonsense'"):
        _ = usage.Nonsense
    assert not hasattr(usage, "Nonsense")


def test_importing_a_package_loads_none_of_its_modules_and_a_name_loads_its_own() -> None:
    code = """
import sys, faregate.usage as usage
print([name for name in sys.modules if name.startswith("faregate.usage.")], "Feature" in vars(usage), "Feature" in dir(usage))
from faregate.usage import Feature
print("faregate.usage.values" in sys.modules, "faregate.usage.container" in sys.modules, vars(usage)["Feature"] is Feature)
from faregate.usage import pricing
print(pricing.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.splitlines() == ["[] False True", "True False True", "faregate.usage.pricing"]


def test_a_name_is_looked_up_once() -> None:
    load, names = lazy_exports("faregate.wire", {"money": ["PricingPolicy"]})
    wire = importlib.import_module("faregate.wire")

    assert load("PricingPolicy") is vars(wire).pop("PricingPolicy")
    assert "PricingPolicy" in names()
