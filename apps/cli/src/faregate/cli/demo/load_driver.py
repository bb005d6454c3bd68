"""Load driver: requests started and settled through a gateway over HTTP.

The run between start and settlement is simulated; afterwards the driver reads back what each request cost.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeVar

import httpx2

from faregate.cli.demo.traffic import TrafficRequest
from faregate.core.clock import Deadline, IClock
from faregate.core.errors import EngineUnavailableError, FaregateError
from faregate.wire import exact_json

__all__ = ["Client", "LoadDriver", "RequestOutcome", "SettledRequest", "open_client"]

Q = TypeVar("Q")
A = TypeVar("A")

Settle = Literal["queue", "http"]


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """Result of one request: refused at its start with an error code, or settled under `usage_key`."""

    request: TrafficRequest
    usage_key: str
    refused: str | None
    start_ms: float


@dataclass(frozen=True, slots=True)
class SettledRequest:
    """What one settled request cost."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    consumed: Decimal
    charged: Decimal
    shortfall: Decimal
    flags: tuple[str, ...] = field(default=())


class Client:
    """A client of the gateway with one server API key, exact numbers and an error for each refused call."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return status and parsed envelope of one call; retries for 60 s while the gateway does not answer or answers 503."""
        sent = {**(headers or {}), **({"content-type": "application/json"} if body is not None else {})}
        content = exact_json.dumps(body) if body is not None else None
        deadline = Deadline(60)
        while True:
            try:
                response = await self._http.request(method, path, content=content, headers=sent)
                if response.status_code != 503 or deadline.passed:
                    return response.status_code, exact_json.loads(response.content)
            except httpx2.TransportError as error:
                if deadline.passed:
                    raise EngineUnavailableError(f"the gateway does not answer: {error}") from error
            await asyncio.sleep(0.2)

    async def must(self, method: str, path: str, body: Any = None) -> Any:
        """Return the `data` of a call that is expected to succeed."""
        status, answer = await self.call(method, path, body)
        if not answer["success"]:
            raise FaregateError(f"{method} {path} answered {status}: {answer['message']}")
        return answer["data"]


@asynccontextmanager
async def open_client(url: str, key: str, *, connections: int = 64) -> AsyncGenerator[Client]:
    """Open a client of the gateway at `url`."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx2.AsyncClient(base_url=url, headers={"x-server-api-key": key}, limits=limits, timeout=30) as http:
        yield Client(http)


class LoadDriver:
    """Starts and settles requests; each has its own usage key, so that repeating a request charges it once."""

    def __init__(self, client: Client, clock: IClock, *, feature: str, run: str, settle: Settle) -> None:
        self._client = client
        self._clock = clock
        self._feature = feature
        self._run = run
        self._settle = settle

    async def send_all(
        self,
        requests: Sequence[TrafficRequest],
        *,
        concurrency: int,
        speed: float | None,
        on_done: Callable[[RequestOutcome], None],
    ) -> list[RequestOutcome]:
        """Send all requests; `speed` 1 keeps the recorded times, 10 is ten times as fast, None is without pauses."""
        began = self._clock.monotonic()

        async def one(request: TrafficRequest) -> RequestOutcome:
            if speed is not None:
                await asyncio.sleep(max(0.0, began + request.at_seconds / speed - self._clock.monotonic()))
            outcome = await self.send(request)
            on_done(outcome)
            return outcome

        return await _concurrently(one, requests, concurrency)

    async def send(self, request: TrafficRequest) -> RequestOutcome:
        """Start, run and settle one request."""
        key = f"{self._run}:{request.number}"
        who = {"user_id": request.user_id, "feature_endpoint_value": self._feature, "usage_key": key}
        began = self._clock.monotonic()
        _, started = await self._client.call("POST", "/api/credits-process/start", who)
        start_ms = (self._clock.monotonic() - began) * 1000
        if not started["success"] and started["error"]["code"] != "already_settled":
            return RequestOutcome(request, key, started["error"]["code"], start_ms)
        usages = [
            {"ai_model": request.model, "input_tokens": request.input_tokens, "output_tokens": request.output_tokens}
        ]
        headers = {"prefer": "respond-async"} if self._settle == "queue" else None
        status, settled = await self._client.call(
            "POST", "/api/credits-process/end-multimodel", {**who, "usages": usages}, headers=headers
        )
        if not settled["success"]:
            raise FaregateError(f"settling {key} answered {status}: {settled['message']}")
        return RequestOutcome(request, key, None, start_ms)

    async def costs(
        self,
        outcomes: Iterable[RequestOutcome],
        *,
        concurrency: int,
        on_done: Callable[[], None],
        timeout_seconds: float = 120,
    ) -> list[SettledRequest]:
        """Return what each request cost; waits until the queue has settled all of them."""
        deadline = Deadline(timeout_seconds)

        async def one(outcome: RequestOutcome) -> SettledRequest:
            while True:
                data = await self._client.must("GET", f"/api/credits-process/{outcome.usage_key}")
                if data["status"] == "settled":
                    on_done()
                    return _settled(data)
                if deadline.passed:
                    raise EngineUnavailableError(
                        f"{outcome.usage_key} is still {data['status']} after {timeout_seconds:g} s; is a worker running?"
                    )
                await asyncio.sleep(0.25)

        settling = [outcome for outcome in outcomes if outcome.refused is None]
        return await _concurrently(one, settling, concurrency)


async def _concurrently(work: Callable[[Q], Awaitable[A]], items: Sequence[Q], workers: int) -> list[A]:
    """Do `work` on all items, `workers` at a time, and return the results in the order of the items."""
    waiting = iter(enumerate(items))
    answers: dict[int, A] = {}

    async def worker() -> None:
        for position, item in waiting:
            answers[position] = await work(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(workers, len(items))):
            tasks.create_task(worker())
    return [answers[position] for position in range(len(items))]


def _settled(data: dict[str, Any]) -> SettledRequest:
    lines = data["details"]
    return SettledRequest(
        model=lines[0]["ai_model"] if lines else "",
        input_tokens=sum(line["input_tokens"] for line in lines),
        output_tokens=sum(line["output_tokens"] for line in lines),
        cost_usd=sum((Decimal(line["provider_cost_usd"] or 0) for line in lines), Decimal(0)),
        consumed=Decimal(data["credits_consumed"]),
        charged=Decimal(data["credits_charged"]),
        shortfall=Decimal(data["shortfall"]),
        flags=tuple(data["flags"]),
    )
