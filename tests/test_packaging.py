"""What is built can be installed and used without this checkout, and says what it lacks."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from faregate.gateway.dashboard.pages import asset_names
from support.environments import fresh_environment


@pytest.fixture(scope="module")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the library and none of its extras."""
    return fresh_environment(tmp_path_factory.mktemp("bare") / "venv", str(wheel))


def _run(python: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    return subprocess.run([str(python), *arguments], capture_output=True, text=True, env=kept, cwd="/", check=False)


def test_the_wheel_holds_every_portion_typed_and_the_migrations(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for portion in ("wire", "core", "credit", "usage", "client", "gateway", "worker", "cli"):
        assert f"faregate/{portion}/py.typed" in names
    assert "faregate/core/migrations/versions/0001_first_tables.py" in names
    assert "faregate/core/migrations/script.py.mako" in names
    assert {f"faregate/gateway/dashboard/assets/{name}" for name in asset_names()} <= set(names)
    assert "faregate/__init__.py" not in names
    assert [name for name in names if name.startswith(("tests/", "libs/"))] == []


def test_the_library_imports_without_any_extra(bare_python: Path) -> None:
    done = _run(
        bare_python,
        "-c",
        "from faregate.core import *; from faregate.credit import *; from faregate.usage import *; print('fine')",
    )

    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_the_client_needs_nothing_but_httpx2(wheel: Path, tmp_path: Path) -> None:
    """A remote host without a database installs it by `pip install --no-deps faregate httpx2`."""
    python = fresh_environment(tmp_path / "venv", "httpx2")
    code = "from faregate.client import *; import sys; print(sorted({name.partition('.')[0] for name in sys.modules} & {'sqlalchemy', 'pydantic', 'aiormq'}))"
    zipfile.ZipFile(wheel).extractall(tmp_path / "faregate")
    done = _run(python, "-c", code, PYTHONPATH=str(tmp_path / "faregate"))

    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["-m", "faregate.cli", "--help"], 'pip install "faregate[cli]"'),
        (
            [
                "-c",
                "from pathlib import Path; from faregate.core.db.embedded import EmbeddedServer as E; E(Path('/tmp/fg-no-extra')).start_now()",
            ],
            'pip install "faregate[embedded]"',
        ),
    ],
)
def test_a_missing_extra_names_the_install_command(bare_python: Path, arguments: list[str], fix: str) -> None:
    done = _run(bare_python, *arguments)

    assert done.returncode != 0
    assert fix in done.stderr
