"""The Python examples of the documentation pass mypy in strict mode."""

import subprocess
import sys
from pathlib import Path

from support.docs import ROOT, Block, Page


def _blocks() -> list[Block]:
    """Return the Python blocks of all pages, without parts of a file (a title that names no file, such as `generic`).

    Blocks of one page that are saved beside each other are checked together.
    """
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [block for page in pages for block in Page.of(str(page.relative_to(ROOT))).blocks("python")]
    return [block for block in blocks if block.title is None or block.title.endswith(".py")]


def test_every_example_is_typed(tmp_path: Path) -> None:
    """One run for all of them: each page is a directory, so that its blocks can import each other."""
    folders: set[Path] = set()
    checked: list[Path] = []
    for number, block in enumerate(_blocks()):
        folder = tmp_path / block.place.partition(":")[0].removesuffix(".md").replace("/", "_").replace("-", "_")
        path = folder / (block.title or f"block_{number}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {block.place}\n{block.text}")
        folders.add(folder)
        checked.append(path)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        *map(str, checked),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert len(checked) > 10
    assert done.returncode == 0, done.stdout
