"""Faregate's commands as processes of their own, as an operator runs them."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Finished", "run_command", "start_command"]


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAREGATE_")}
    return {**kept, "PYTHONWARNINGS": "default", **more}


async def start_command(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Start `faregate …` and return its process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "faregate.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(environment),
    )


async def run_command(*arguments: str, **environment: str) -> Finished:
    """Run `faregate …` to its end."""
    process = await start_command(*arguments, **environment)
    out, err = await process.communicate()
    return Finished(process.returncode or 0, out.decode(), err.decode())
