"""The blocks of "Decide locally with leases" do what the page says."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from faregate.benchmarks.ports import free_port
from faregate.cli.demo.serving import Gateway as ServedGateway
from support.apps import KEY, open_gateway, settings_for
from support.docs import Page
from support.gateways import listening

PAGE = Page.of("docs/howto/decide-locally-with-leases.md")


async def test_the_block_prints_what_stands_below_it_and_its_uses_are_charged(
    database_url: str, tmp_path: Path
) -> None:
    port, stop = free_port(), asyncio.Event()
    serving = asyncio.create_task(ServedGateway(settings_for(database_url, port=port)).serve(stop))
    async with open_gateway(settings_for(database_url)) as gateway:
        await gateway.feature("search", strategy="per_unit", parameters={"units": {"calls": 1}})
        await gateway.grant("ada", 25)
        await listening(port)
        block = PAGE.block("python", title="lease.py")
        printed = await asyncio.to_thread(
            block.run, URL=f"http://127.0.0.1:{port}", KEY=KEY, SPOOL=str(tmp_path / "spool")
        )
        wallet = (await gateway.get("/api/wallets/ada")).data
        use = (await gateway.get("/api/credits-process/query-7-page-3")).data
    stop.set()
    await serving

    assert printed.splitlines() == PAGE.block("text").text.splitlines()
    assert (wallet["balance"], wallet["held"]) == (23, 0)
    assert use["metadata"]["lease"]


def test_the_test_on_the_page_passes(tmp_path: Path) -> None:
    file = PAGE.block("python", title="test_search.py").save(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file)]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False)

    assert "1 passed" in done.stdout, done.stdout + done.stderr
