"""Fresh virtual environments with the built wheel, as a host has them."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

__all__ = ["build_wheel", "fresh_environment", "same_versions"]

ROOT = Path(__file__).parents[2]


def build_wheel(directory: Path) -> Path:
    """Build the wheel of this checkout into `directory`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = directory.glob("faregate-*.whl")
    return wheel


def fresh_environment(directory: Path, *requirements: str) -> Path:
    """Create a virtual environment that contains `requirements` only; return its Python."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    python = directory / "bin" / "python"
    if uv is not None:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(directory))
        _run(uv, "pip", "install", "--quiet", "--python", str(python), *requirements)
    else:
        _run(sys.executable, "-m", "venv", str(directory))
        _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
    return python


def same_versions(directory: Path) -> Path:
    """Write a constraints file with the versions of this environment, so that a fresh one has the same versions."""
    path = directory / "constraints.txt"
    here = {found.metadata["Name"]: found.version for found in distributions() if found.metadata["Name"] != "faregate"}
    path.write_text("".join(f"{name}=={version}\n" for name, version in sorted(here.items())))
    return path


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "UV_LINK_MODE": "copy"})
