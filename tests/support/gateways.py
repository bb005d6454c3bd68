"""Gateways in separate processes, started by command."""

import asyncio

import httpx2

from faregate.benchmarks.ports import free_port
from support.apps import KEY
from support.processes import Command, start_command

__all__ = ["listening", "start_gateway"]


async def start_gateway(database_url: str, *arguments: str, **environment: str) -> tuple[Command, str]:
    port = free_port()
    process = await start_command(
        "gateway", "--port", str(port), *arguments,
        FAREGATE_DATABASE_URL=database_url, FAREGATE_SERVER_API_KEY=KEY, **environment,
    )  # fmt: skip
    await listening(port)
    url = f"http://127.0.0.1:{port}"
    async with httpx2.AsyncClient(base_url=url) as http:
        assert (await http.get("/healthz")).status_code == 200
    return process, url


async def listening(port: int) -> None:
    for _ in range(1200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError(f"nothing listens on {port}")
