"""Fresh virtual environments with the built wheel, as a host has them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

__all__ = ["add_alone", "build_wheel", "fresh_environment", "install_exactly", "readable_directory", "same_versions"]

ROOT = Path(__file__).parents[2]


def build_wheel(directory: Path) -> Path:
    """Build the wheel of this checkout into `directory`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = directory.glob("faregate-*.whl")
    return wheel


def fresh_environment(directory: Path, *requirements: str) -> Path:
    """Create a virtual environment that contains `requirements` only; return its Python."""
    python = directory / "bin" / "python"
    _run(_uv(), "venv", "--quiet", "--python", sys.executable, str(directory))
    _run(_uv(), "pip", "install", "--quiet", "--python", str(python), *requirements)
    return python


def add_alone(python: Path, requirement: str) -> None:
    """Add a package to an environment without what it depends on."""
    _run(_uv(), "pip", "install", "--quiet", "--no-deps", "--python", str(python), requirement)


@contextmanager
def readable_directory() -> Generator[Path]:
    """Make a directory for an environment whose embedded PostgreSQL, as root, runs as another user.

    pytest's own directories do not do: each run of pytest closes them to other users, also those of another run.
    """
    with tempfile.TemporaryDirectory(prefix="fg-venv-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def install_exactly(python: Path, *requirements: str) -> None:
    """Make an environment contain `requirements` only: what else it holds is removed.

    It is a fresh environment's content in a tenth of the time, since what stays is compiled already.
    """
    _run(_uv(), "pip", "install", "--quiet", "--exact", "--python", str(python), *requirements)


def same_versions(directory: Path) -> Path:
    """Write a constraints file with the versions of this environment, so that a fresh one has the same versions."""
    path = directory / "constraints.txt"
    here = {found.metadata["Name"]: found.version for found in distributions() if found.metadata["Name"] != "faregate"}
    path.write_text("".join(f"{name}=={version}\n" for name, version in sorted(here.items())))
    return path


def _uv() -> str:
    """Return the path of uv: the machine's, or that of the development environment, which always has it."""
    return shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "UV_LINK_MODE": "copy"})
