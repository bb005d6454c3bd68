"""The TypeScript client charges through a real gateway and reads usage as the Python client does."""

import asyncio

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
