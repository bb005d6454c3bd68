"""The README's blocks do what it says."""

import re
from pathlib import Path

import pytest

from faregate.cli.demo.stack import private_stack
from faregate.wire import exact_json
from support.docs import ROOT, Page
from support.servers import require_program

README = Page.of("README.md")


def test_the_library_block_runs(tmp_path: Path) -> None:
    """Run twice on one database: the grant and the paper count once, the block each time."""
    printed = [README.block("python").run(FAREGATE_DATA_DIR=str(tmp_path / "data")).splitlines()[-1] for _ in range(2)]

    assert printed == ["charged 5.00, free 10.00", "charged 5.00, free 5.00"]


async def test_the_curl_block_runs(tmp_path: Path) -> None:
    require_program("curl", package="curl")
    async with private_stack(tmp_path / "data") as stack:
        printed = README.block("bash").run(URL=stack.url, KEY=stack.key)
    answers = [exact_json.loads(line) for line in printed.splitlines()]

    assert [answer["status"] for answer in answers] == [200, 201, 200, 200, 200, 200]
    assert answers[-1]["data"]["credits"] == exact_json.loads("9.58")


@pytest.mark.parametrize(
    "command", [line.split("#")[0].strip() for block in README.blocks("console") for line in block.text.splitlines()]
)
def test_the_make_targets_exist(command: str) -> None:
    target = command.removeprefix("make ")

    assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
