"""The TypeScript client charges through a real gateway and reads usage as the Python client does."""

import asyncio
import json
from pathlib import Path

import pytest
from typescript import vectors

from support.node import NodePackage


def test_the_vectors_are_what_the_python_readers_read() -> None:
    """`python tests/typescript/vectors.py` writes them anew."""
    assert vectors.PATH.read_text() == vectors.written()


@pytest.mark.parametrize("name", ["values", "vectors"])
def test_rules_without_a_gateway(package: NodePackage, name: str) -> None:
    assert package.test(name) > 5


@pytest.mark.parametrize(("name", "least"), [("client", 30), ("vercel", 10)])
async def test_calls_of_a_real_gateway(
    package: NodePackage, environment: dict[str, str], name: str, least: int
) -> None:
    assert await asyncio.to_thread(package.test, name, **environment) >= least


def test_the_published_package_holds_code_and_types_and_needs_no_other(package: NodePackage, tmp_path: Path) -> None:
    installed = package.packed(tmp_path)
    manifest = json.loads((installed / "package.json").read_text())
    folders = {path.relative_to(installed).parts[0] for path in installed.rglob("*") if path.is_file()}

    assert folders == {"dist", "README.md", "package.json"}
    assert "dependencies" not in manifest
    for entry in (manifest["exports"]["."], manifest["exports"]["./vercel-ai"]):
        assert all((installed / path).is_file() for path in entry.values())
