"""The host application of `examples/host`, as its makers have it: the built wheel, a fresh environment, their own tests."""

import os
import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from support.docs import ROOT
from support.environments import fresh_environment, same_versions
from support.servers import address, execute

_numbers = count(1)
HOST = ROOT / "examples" / "host"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the host, away from this checkout."""
    directory = tmp_path_factory.mktemp("host") / "bureau"
    shutil.copytree(HOST, directory, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return directory


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("host-venv")
    constraints = ["--constraint", str(same_versions(directory))]
    others = ["starlette", "uvicorn", "httpx2", "mypy", "pytest", "pytest-asyncio"]
    return fresh_environment(directory / "venv", str(wheel), *others, *constraints)


def _run(python: Path, host: Path, *arguments: str, **environment: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAREGATE_", "PYTEST", "PYTHON"))}
    done = subprocess.run(
        [str(python), "-m", *arguments],
        cwd=host,
        env={**kept, "PYTHONPATH": str(host), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_its_own_tests_pass(python: Path, host: Path, server_url: str) -> None:
    """Own tables, own strategy, own transaction and its rollback, own migrations with ours beside them."""
    name = f"bureau_{os.getpid()}_{next(_numbers)}"
    await execute(server_url, f"create database {name}")
    _run(python, host, "pytest", "-q", FAREGATE_DATABASE_URL=address(server_url, name))
    await execute(server_url, f"drop database {name} with (force)")


def test_it_is_strictly_typed_against_what_is_installed(python: Path, host: Path) -> None:
    _run(python, host, "mypy", "--no-incremental")
