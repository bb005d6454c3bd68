"""The Python examples of the documentation pass mypy in strict mode.

`python tests/example_types.py` prints each mistake and exits with 1 if there is one; `make check` runs it, after mypy has read what
the examples import: without its cache it takes a minute.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from support.docs import ROOT, Block, Page

_FEWEST = 10


def _blocks() -> list[Block]:
    """Return the Python blocks of all pages, without parts of a file (a title that names no file, such as `generic`).

    Blocks of one page that are saved beside each other are checked together.
    """
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [block for page in pages for block in Page.of(str(page.relative_to(ROOT))).blocks("python")]
    return [block for block in blocks if block.title is None or block.title.endswith(".py")]


def _saved(directory: Path) -> list[Path]:
    """Save the blocks: each page is a directory, so that its blocks can import each other."""
    paths: list[Path] = []
    for number, block in enumerate(_blocks()):
        folder = block.place.partition(":")[0].removesuffix(".md").replace("/", "_").replace("-", "_")
        path = directory / folder / (block.title or f"block_{number}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {block.place}\n{block.text}")
        paths.append(path)
    return paths


def main() -> int:
    """Check all examples in one run."""
    with tempfile.TemporaryDirectory() as directory:
        paths = _saved(Path(directory))
        if len(paths) < _FEWEST:
            print(f"only {len(paths)} examples were found in README.md and docs")
            return 1
        command = [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, paths)]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
