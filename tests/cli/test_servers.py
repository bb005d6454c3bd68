"""What `faregate gateway` and `faregate worker` print when they are ready."""

import asyncio

from faregate.benchmarks.ports import free_port
from support.apps import KEY
from support.processes import Command, start_command


async def first_line_of(process: Command) -> str:
    """Return the first line that a server prints for people; stop the server."""
    async with asyncio.timeout(60):
        while not (said := [line for line in process.said().splitlines() if line.startswith("faregate: ")]):
            assert process.returncode is None, process.said()
            await asyncio.sleep(0.02)
    process.terminate()
    assert await process.wait() == 0
    return said[0]


async def test_a_gateway_prints_where_it_listens(database_url: str) -> None:
    port = str(free_port())
    environment = {"FAREGATE_DATABASE_URL": database_url, "FAREGATE_SERVER_API_KEY": KEY}
    said = await first_line_of(await start_command("gateway", "--port", port, **environment))

    assert said.startswith(f"faregate: the gateway listens on http://localhost:{port}; postgresql://")
    assert said.endswith(", schema faregate")


async def test_a_worker_prints_what_it_consumes(database_url: str) -> None:
    said = await first_line_of(await start_command("worker", FAREGATE_DATABASE_URL=database_url))

    assert said.startswith("faregate: the worker consumes credits_process_end_multimodel_queue, ")
    assert " of PostgreSQL; postgresql://" in said
