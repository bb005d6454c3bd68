"""The package as it is published, and the blocks of the pages about it."""

import asyncio
import json
from importlib.metadata import version
from pathlib import Path

import pytest

from support.docs import ROOT, Page
from support.node import NodePackage

CLIENT = Page.of("docs/howto/charge-from-typescript.md")
MIDDLEWARE = Page.of("docs/howto/charge-vercel-ai.md")

PRINTED = {
    "use.ts": ["Tap in, ride. charged 0.42, left <credits>", "<credits> of 1000000 credits"],
    "streams.ts": ["Tap in, ride.", "charged 0.42"],
    "phases.ts": [
        *("settled: 0.42", "later: gateway has it", "in one call: 5", "costs 0.42, holds 2, covered: true"),
        *("<credits> held", "1 event", "0 logs dropped"),
    ],
    "outage.ts": ["pending, in the spool; 2 credits owed", "sent: true"],
    "wrapped.ts": [
        "Tap in, ride. charged 0.42",
        "Tap in, ride. charged 0.42",
        "0 of 2 credits",
        "together 0.84 for 2 calls",
    ],
}
"""What each block prints; `<credits>` is a number that depends on what ran before."""


@pytest.fixture(scope="session")
def host(package: NodePackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service that has installed the package."""
    host = tmp_path_factory.mktemp("service")
    package.packed(host)
    return host


def test_the_published_package_holds_code_and_types_and_needs_no_other(host: Path) -> None:
    installed = host / "node_modules/faregate"
    manifest = json.loads((installed / "package.json").read_text())
    folders = {path.relative_to(installed).parts[0] for path in installed.rglob("*") if path.is_file()}

    assert folders == {"dist", "LICENSE", "README.md", "package.json"}
    assert (installed / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert manifest["version"] == version("faregate")
    assert "dependencies" not in manifest
    for entry in (manifest["exports"]["."], manifest["exports"]["./vercel-ai"]):
        assert all((installed / path).is_file() for path in entry.values())


async def test_the_blocks_print_what_the_pages_say(
    package: NodePackage, host: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    blocks = [*CLIENT.blocks("ts"), *MIDDLEWARE.blocks("ts")]
    assert [block.title for block in blocks] == list(PRINTED)
    for block in blocks:
        block.save(host)
    await asyncio.to_thread(package.check, host)
    for block in blocks:
        assert block.title is not None
        printed = await asyncio.to_thread(
            package.run,
            host / block.title,
            URL=environment["FAREGATE_URL"],
            KEY=environment["FAREGATE_KEY"],
            SPOOL=str(tmp_path / "spool"),
        )
        expected = [line.split("<credits>") for line in PRINTED[block.title]]
        lines = printed.splitlines()
        assert len(lines) == len(expected), block.place
        for line, parts in zip(lines, expected, strict=True):
            assert line.startswith(parts[0]), block.place
            assert line.endswith(parts[-1]), block.place
            assert len(parts) > 1 or line == parts[0], block.place
