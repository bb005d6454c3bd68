"""Fixtures: the client and a real gateway in one process, with failures between them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from client.provider import running_provider

from faregate.client import CreditsClient, Outage, Retry
from faregate.client.transport.retrying import CircuitBreaker
from support.apps import KEY, Gateway, open_gateway, settings_for


class Line(httpx2.AsyncBaseTransport):
    """Transport to the gateway that records the calls and can fail.

    Attributes:
        cut: while True every call fails to connect.
        failures: the failures of the next calls: before (`lost`) or after (`unanswered`) the gateway has carried out the
            call, or a status instead of the call.
        paths: the paths of all calls.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._inner = gateway.http._transport
        self.cut = False
        self.failures: list[str | int] = []
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.paths.append(request.url.path)
        failure = self.failures.pop(0) if self.failures else None
        if self.cut or failure == "lost":
            raise httpx2.ConnectError("cut")
        if isinstance(failure, int):
            return httpx2.Response(failure, content=b"<html>a proxy</html>")
        response = await self._inner.handle_async_request(request)
        if failure == "unanswered":
            await response.aread()
            raise httpx2.ReadTimeout("no answer")
        return response

    def calls(self, end: str) -> int:
        return len([path for path in self.paths if path.endswith(end)])


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    """A gateway that sells a chat by tokens and a paper for 5 credits; ada has 10."""
    async with open_gateway(settings_for(database_url)) as gateway:
        await gateway.feature("ai_chat_v1", min_credits=2)
        await gateway.feature("paper", strategy="fixed", parameters={"credits": 5})
        await gateway.grant("ada", 10)
        yield gateway


@pytest.fixture
def line(gateway: Gateway) -> Line:
    return Line(gateway)


@pytest.fixture
def quick() -> Retry:
    return Retry(attempts=3, base_seconds=0.001, cap_seconds=0.002, total_seconds=5)


@pytest.fixture
async def credits(line: Line, quick: Retry, tmp_path: Path) -> AsyncIterator[CreditsClient]:
    """A client; ai_chat_v1 may run on a debt of 3 credits while the gateway is unavailable, paper may not."""
    client = CreditsClient(
        "http://gateway",
        KEY,
        transport=line,
        retry=quick,
        spool_dir=tmp_path / "spool",
        outage={"ai_chat_v1": Outage.open(debt_limit_credits=3, credits_per_use=1)},
    )
    client._gateway._breaker = CircuitBreaker(rest_seconds=0.05)
    async with client:
        yield client


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """The URL of the stub of the providers."""
    with running_provider() as url:
        yield url
