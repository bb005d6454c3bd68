"""Each example as an engineer copies it: the built wheel, a fresh environment, the commands of its README."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from faregate.benchmarks.ports import free_port
from support.docs import ROOT, Block, Page
from support.environments import fresh_environment, same_versions
from support.gateways import listening
from support.servers import address, execute

EXAMPLES = ROOT / "examples"
NAMES = sorted(found.parent.name for found in EXAMPLES.glob("*/README.md"))
_numbers = count(1)
PORT = "8000"
"""The port that the READMEs show; here a free one takes its place."""


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a shell in which everything that the READMEs install is installed."""
    directory = tmp_path_factory.mktemp("examples")
    constraints = ["--constraint", str(same_versions(directory))]
    asked = sorted({word for name in NAMES for word in _installed(_readme(name))})
    requirements = [f"{word} @ {wheel.as_uri()}" if word.startswith("faregate") else word for word in asked]
    python = fresh_environment(directory / "venv", *requirements, *constraints)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAREGATE_", "PYTEST", "PYTHON"))}
    return {
        **kept,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "MYPY_CACHE_DIR": str(directory / "mypy"),
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture
async def empty_url(server_url: str) -> AsyncGenerator[str]:
    """A new database, as an engineer has it."""
    name = f"example_{os.getpid()}_{next(_numbers)}"
    await execute(server_url, f"create database {name}")
    yield address(server_url, name)
    await execute(server_url, f"drop database {name} with (force)")


@pytest.mark.parametrize("name", NAMES)
async def test_the_commands_of_its_readme_do_what_it_says(
    name: str, environment: dict[str, str], empty_url: str, tmp_path: Path
) -> None:
    directory = tmp_path / name
    shutil.copytree(EXAMPLES / name, directory, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    page, variables = _readme(name), {**environment, "FAREGATE_DATABASE_URL": empty_url}
    commands = [block for block in page.blocks("bash") if block.title is None]
    printed = [await asyncio.to_thread(_run, block, directory, variables) for block in commands]
    if any(block.title == "server" for block in page.blocks("bash")):
        printed = [await _served(page, directory, variables)]

    for shown in (block for block in page.blocks() if block.language in {"text", "json"}):
        assert "".join(printed[-1].split()) == "".join(shown.text.split())


async def _served(page: Page, directory: Path, environment: dict[str, str]) -> str:
    """Return what the calls print while the servers run."""
    port = str(free_port())
    servers = [_on_port(block, port) for block in page.blocks("bash") if block.title == "server"]
    calls = _on_port(page.block("bash", title="calls"), port)
    with ExitStack() as running:
        for server in servers:
            running.enter_context(_running(server, directory, environment))
        if any(port in server.text for server in servers):
            await listening(int(port))
        return await asyncio.to_thread(_run, calls, directory, environment)


@contextmanager
def _running(server: Block, directory: Path, environment: dict[str, str]) -> Generator[None]:
    command = ["bash", "-euo", "pipefail", "-c", server.text]
    process = subprocess.Popen(command, cwd=directory, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _run(block: Block, directory: Path, environment: dict[str, str]) -> str:
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{block.place} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def _on_port(block: Block, port: str) -> Block:
    return Block(block.place, block.language, block.text.replace(PORT, port))


def _readme(name: str) -> Page:
    return Page.of(f"examples/{name}/README.md")


def _installed(page: Page) -> Iterator[str]:
    """What the lines `pip install …` of a README name."""
    for block in page.blocks("console"):
        for line in re.findall(r"^pip install (.+)$", block.text, re.MULTILINE):
            yield from (word.strip('"') for word in line.split())
