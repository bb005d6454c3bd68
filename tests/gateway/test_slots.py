"""Slots of expensive calls over HTTP: a slot is held until the last byte is sent, and is always released."""

import asyncio
from typing import Any

import pytest

from faregate.gateway.controllers import exports
from support.apps import KEY, Gateway

PATH = "/api/analytics/export"


class Reader:
    """A client of an export that reads on demand."""

    def __init__(self, gateway: Gateway, *, leaves: bool = False) -> None:
        self.reading = asyncio.Event()
        self.begun = asyncio.Event()
        self._leaves = leaves
        self.call = asyncio.ensure_future(self._run(gateway))

    async def _run(self, gateway: Gateway) -> None:
        scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": PATH, "query_string": b"format=csv",
            "headers": [(b"x-server-api-key", KEY.encode())], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        await gateway.app(scope, self._receive, self._send)  # type: ignore[arg-type]

    async def _receive(self) -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    async def _send(self, _message: dict[str, object]) -> None:
        if self._leaves:
            raise OSError("the client is gone")
        self.begun.set()
        await self.reading.wait()


async def test_calls_without_a_free_slot_are_answered_429(gateway: Gateway) -> None:
    readers = [Reader(gateway) for _ in range(exports._AT_ONCE)]
    await asyncio.gather(*(reader.begun.wait() for reader in readers))
    refused = await gateway.get(PATH)
    others = await gateway.get("/api/features")
    for reader in readers:
        reader.reading.set()
    await asyncio.gather(*(reader.call for reader in readers))
    again = await gateway.call("GET", PATH, raw=True)

    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert (others.status, again.status) == (200, 200)


async def test_clients_that_disconnect_release_their_slots(gateway: Gateway) -> None:
    for _ in range(exports._AT_ONCE + 1):
        with pytest.raises(BaseException):  # noqa: B017  the error for a lost client depends on the server
            await Reader(gateway, leaves=True).call

    assert (await gateway.call("GET", PATH, raw=True)).status == 200
