"""Tutorial `first-charged-call`: its blocks run one after the other and print what the page shows."""

import asyncio
import re
from pathlib import Path

from faregate.cli.demo.stack import private_stack
from support.docs import Block, Page
from support.processes import command_path
from support.servers import require_program

TUTORIAL = Page.of("docs/tutorial/first-charged-call.md")


async def test_the_tutorial_prints_what_it_shows(tmp_path: Path) -> None:
    require_program("curl", package="curl")
    tmp_path.chmod(0o755)  # the embedded server may run as another user
    printed, compared = "", 0
    async with private_stack(tmp_path / "data") as stack:
        places = {"FAREGATE_DATA_DIR": str(stack.data_dir), "PATH": command_path()}
        environment = {"URL": stack.url, "KEY": stack.key, **places}
        for block in TUTORIAL.blocks():
            if block.title is not None:
                block.save(tmp_path)
            elif block.language == "bash":
                printed = await asyncio.to_thread(block.run, cwd=tmp_path, timeout=120, **environment)
            elif block.language == "text":
                assert missing_lines(block, printed) == []
                compared += 1

    assert compared == 8


def missing_lines(shown: Block, printed: str) -> list[str]:
    """Return the lines of a block that were not printed; `…` stands for any text."""
    return [
        f"{shown.place}: {line}"
        for line in shown.text.splitlines()
        if not re.search(re.escape(line.strip()).replace("…", ".*"), printed)
    ]
