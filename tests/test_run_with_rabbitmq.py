"""docs/howto/run-with-rabbitmq.md does what it says."""

import asyncio
import os
import socket
import sys
from pathlib import Path

from faregate.core import exact_json
from support.apps import KEY
from support.docs import Page
from support.servers import require_program

PAGE = Page.of("docs/howto/run-with-rabbitmq.md")


async def test_the_page_runs_from_its_first_block_to_its_last(
    tmp_path: Path, database_url: str, broker_url: str
) -> None:
    require_program("curl", package="curl")
    PAGE.block("python").save(tmp_path)
    printed = await asyncio.to_thread(
        PAGE.joined("bash").run,
        cwd=tmp_path,
        timeout=120,
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        PORT=_free_port(),
        FAREGATE_DATABASE_URL=database_url,
        FAREGATE_BROKER_URL=broker_url,
        FAREGATE_SERVER_API_KEY=KEY,
    )

    assert exact_json.loads(printed.splitlines()[-1])["data"]["balance"] == exact_json.loads("9.58")


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
