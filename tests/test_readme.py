"""The README's blocks do what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faregate.cli.stack import private_stack
from faregate.core import exact_json
from support.servers import require_program

README = (Path(__file__).parents[1] / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_library_block_runs(tmp_path: Path) -> None:
    (block,) = _blocks("python")
    environment = {**os.environ, "FAREGATE_DATA_DIR": str(tmp_path / "data")}

    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", block], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "ada used GENERATE_QUESTION_PAPER for 5 credits"


async def test_the_curl_block_runs(tmp_path: Path) -> None:
    require_program("curl", package="curl")
    (block,) = _blocks("bash")
    async with private_stack(tmp_path / "data") as stack:
        environment = {**os.environ, "URL": stack.url, "KEY": stack.key}
        done = subprocess.run(
            ["bash", "-euc", block], capture_output=True, text=True, env=environment, check=False, timeout=60
        )
    answers = [exact_json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stderr
    assert [answer["status"] for answer in answers] == [200, 201, 200, 200, 200, 200]
    assert answers[-1]["data"]["credits"] == exact_json.loads("9.58")


@pytest.mark.parametrize(
    "command", [line.split("#")[0].strip() for block in _blocks("console") for line in block.splitlines()]
)
def test_the_make_targets_exist(command: str) -> None:
    target = command.removeprefix("make ")

    assert re.search(rf"^{target}:.*##", (Path(__file__).parents[1] / "Makefile").read_text(), re.MULTILINE)
