"""The generated pages and pictures of the documentation are those of this code."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.pages())


def test_the_generated_pages_are_up_to_date() -> None:
    pages = generated()
    names = {file.name for file in pages}

    assert names >= {"errors.md", "settings.md", "http.md", "cli.md", "python.md", "architecture.svg", "settlement.svg"}
    assert [str(file) for file, text in pages.items() if file.read_text() != text] == [], "run `make docs`"
