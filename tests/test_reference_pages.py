"""The generated pages of the documentation are those of this code."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.pages())


@pytest.mark.parametrize("name", sorted(file.name for file in generated()))
def test_the_page_is_up_to_date(name: str) -> None:
    pages = {file.name: (file, text) for file, text in generated().items()}
    file, text = pages[name]

    assert file.read_text() == text, f"{file} is out of date; run `make docs`"
