"""A host's strategies from a setting and from entry points; an invalid one is reported at start-up."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from faregate.core.errors import ConfigurationError
from faregate.core.settings import isolated_settings
from faregate.usage.container import UsageContainer, check_strategies
from faregate.usage.strategies.host import ENTRY_POINTS, host_strategies
from support.processes import run_command

SHOP = """
from decimal import Decimal
from faregate.usage import Price

class Pages:
    def check(self, parameters): return parameters
    def estimate(self, use): return self.price(use)
    def price(self, use): return Price(Decimal(2))

class Priced(Pages):
    def __init__(self, prices): self.prices = prices

class Two(Pages):
    def __init__(self, one, two): ...

class Half:
    def check(self, parameters): return parameters

def made(): return Pages()

translate = Pages()
several = {"dub": Pages, "subtitle": translate}
number = 7
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "syntax.py").write_text("def\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("shop", "broken", "syntax"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("", []),
        ("shop:translate", ["translate"]),
        ("translate_v2=shop:Pages", ["translate_v2"]),
        ("pages=shop:Pages, made=shop:made", ["made", "pages"]),
        ("shop:several,shop:translate", ["dub", "subtitle", "translate"]),
    ],
)
@pytest.mark.usefixtures("shop")
def test_setting_accepts_objects_classes_factories_and_mappings(setting: str, names: list[str]) -> None:
    found = host_strategies(setting, installed=[])

    assert sorted(found) == names
    assert all(callable(strategy.price) for strategy in found.values())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("shop", "'shop' is no name=package.module:attribute, e.g. FAREGATE_STRATEGIES="),
        ("a=nowhere.pricing:A", "there is no module 'nowhere.pricing'; install its package"),
        ("a=broken:A", "there is no module 'nowhere_to_be_found', which 'broken' imports"),
        ("a=syntax:A", "the module 'syntax' cannot be imported (SyntaxError"),
        ("a=shop:Missing", "'shop' has no 'Missing'"),
        ("a=shop:Half", "shop:Half is a Half, which lacks estimate, price"),
        ("shop:number", "shop:number is a int, which lacks check, estimate, price"),
        ("a=shop:Two", "shop:Two could not be made (TypeError"),
        ("a=shop:Priced", "it is called with nothing: a strategy finds the prices in force at `use.prices`"),
        ("fixed=shop:Pages", "the name 'fixed' of 'shop:Pages' is taken by a strategy of Faregate; choose another"),
        ("a=shop:Pages,a=shop:made", "the name 'a' of 'shop:made' is taken by FAREGATE_STRATEGIES (shop:Pages)"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_invalid_strategy_is_reported_in_one_line_with_the_fix(setting: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        check_strategies(isolated_settings(strategies=setting))

    assert wrong.value.detail.startswith("FAREGATE_STRATEGIES: ")
    assert said in wrong.value.detail
    assert "\n" not in wrong.value.detail


@pytest.mark.usefixtures("shop")
def test_entry_points_are_loaded_and_invalid_ones_are_reported() -> None:
    good = EntryPoint("translate", "shop:Pages", ENTRY_POINTS)
    wrong = EntryPoint("half", "shop:Half", ENTRY_POINTS)

    assert list(host_strategies("", installed=[good])) == ["translate"]
    with pytest.raises(ConfigurationError, match=r"^entry point faregate\.strategies of .*: shop:Half is a Half"):
        host_strategies("", installed=[wrong])
    with pytest.raises(ConfigurationError, match="is taken by FAREGATE_STRATEGIES"):
        host_strategies("translate=shop:Pages", installed=[good])


@pytest.mark.usefixtures("shop")
def test_strategy_of_the_setting_is_available_in_every_container() -> None:
    factory = UsageContainer(settings=isolated_settings(strategies="shop:translate")).factory()

    assert "translate" in factory.names
    assert "translate" in factory.features


@pytest.mark.parametrize("command", ["up", "gateway", "worker"])
async def test_server_with_an_invalid_strategy_does_not_start(command: str, tmp_path: Path) -> None:
    done = await run_command(
        command,
        FAREGATE_STRATEGIES="a=nowhere:A",
        FAREGATE_DATA_DIR=str(tmp_path / "data"),
        FAREGATE_DATABASE_URL="" if command == "up" else "postgresql://postgres@127.0.0.1:1/none",
    )

    assert done.code == 2
    assert done.err.startswith("faregate: FAREGATE_STRATEGIES: there is no module 'nowhere'")
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()
