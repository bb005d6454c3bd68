"""Code blocks of documentation pages, extracted and run.

A block may have a title (```` ```python title="strategies.py" ````): `Block.save` writes it under that name, as the page
instructs its reader to.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Block", "Page"]

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w+-]*)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """One fenced block; `place` is `page:line`, for messages."""

    place: str
    language: str
    text: str
    title: str | None = None

    def run(
        self, *, cwd: Path | None = None, python: str | Path = sys.executable, timeout: float = 60, **environment: str
    ) -> str:
        """Run a `python`, `bash` or `sh` block with `environment` added to the test's; return its output.

        In an async test whose servers live in the same process: `await asyncio.to_thread(block.run, …)`.

        Raises:
            AssertionError: it failed; the text names the block and contains its stderr.
        """
        done = subprocess.run(
            self._command(str(python)),
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=timeout,
            env={**os.environ, **environment},
            check=False,
        )
        assert done.returncode == 0, f"{self.place} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def save(self, directory: Path) -> Path:
        """Write the block to the file named by its title, below `directory`."""
        assert self.title is not None, f'{self.place} has no title="…"'
        path = directory / self.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text)
        return path

    def _command(self, python: str) -> Sequence[str]:
        match self.language:
            case "python":
                return [python, "-c", self.text]
            case "bash" | "sh":
                return ["bash", "-euo", "pipefail", "-c", self.text]
            case other:
                raise AssertionError(f"{self.place}: a {other or 'nameless'} block is not run, only python and bash")


@dataclass(frozen=True)
class Page:
    """A Markdown page and its blocks, in order."""

    name: str
    text: str

    @classmethod
    def of(cls, name: str) -> "Page":
        """Read the page at `name`, a path from the root of the project (`docs/howto/add-a-feature.md`)."""
        return cls(name, (ROOT / name).read_text())

    def blocks(self, language: str | None = None) -> list[Block]:
        """Return all blocks, or those of one language; text and output samples are blocks, too."""
        return [block for block in self._all() if language in {None, block.language}]

    def block(self, language: str | None = None, *, title: str | None = None) -> Block:
        """Return the one block of this language or title."""
        found = [block for block in self.blocks(language) if title in {None, block.title}]
        places = [block.place for block in found]
        assert len(found) == 1, f"{self.name} has {len(found)} such blocks, not one: {places}"
        return found[0]

    def joined(self, language: str) -> Block:
        """Return the blocks of a language as one, for pages whose later blocks continue the earlier ones."""
        found = self.blocks(language)
        assert found, f"{self.name} has no {language} block"
        return Block(found[0].place, language, "\n".join(block.text for block in found))

    def _all(self) -> Iterator[Block]:
        for match in _FENCE.finditer(self.text):
            line = self.text.count("\n", 0, match.start()) + 1
            titled = _TITLE.search(match["info"])
            text = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
            yield Block(f"{self.name}:{line}", match["language"], text, titled[1] if titled else None)
