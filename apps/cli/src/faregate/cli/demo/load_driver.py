"""Driving trips through a gateway over HTTP: start, simulated run, settle; and reading back what they cost."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeVar

import httpx2

from faregate.cli.demo.traffic import Trip
from faregate.core.clock import Deadline, IClock
from faregate.core.errors import EngineUnavailableError, FaregateError
from faregate.wire import exact_json

__all__ = ["Client", "LoadStory", "Outcome", "Rider", "open_client"]

Q = TypeVar("Q")
A = TypeVar("A")

Settle = Literal["queue", "http"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one trip went: refused at the gate (with a code), or ridden under `usage_key`."""

    trip: Trip
    usage_key: str
    refused: str | None
    start_ms: float


@dataclass(frozen=True, slots=True)
class LoadStory:
    """What one ride cost in the end."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    consumed: Decimal
    charged: Decimal
    shortfall: Decimal
    flags: tuple[str, ...] = field(default=())


class Client:
    """A server's client: one key, exact numbers, a clear error when the gateway says no."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return status and parsed envelope of one call; tries again while the gateway is away, for a while."""
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


class Rider:
    """Rides trips; each has a usage key of its own, so that riding one twice charges it once."""

    def __init__(self, client: Client, clock: IClock, *, feature: str, run: str, settle: Settle) -> None:
        self._client = client
        self._clock = clock
        self._feature = feature
        self._run = run
        self._settle = settle

    async def ride_all(
        self,
        trips: Sequence[Trip],
        *,
        concurrency: int,
        speed: float | None,
        on_done: Callable[[Outcome], None],
    ) -> list[Outcome]:
        """Ride all trips; `speed` 1 keeps the recorded pace, 10 is ten times as fast, None as fast as it goes."""
        began = self._clock.monotonic()

        async def one(trip: Trip) -> Outcome:
            if speed is not None:
                await asyncio.sleep(max(0.0, began + trip.at_seconds / speed - self._clock.monotonic()))
            outcome = await self.ride(trip)
            on_done(outcome)
            return outcome

        return await _in_turn(one, trips, concurrency)

    async def ride(self, trip: Trip) -> Outcome:
        """Start, run and settle one trip."""
        key = f"{self._run}:{trip.number}"
        who = {"user_id": trip.user_id, "feature_endpoint_value": self._feature, "usage_key": key}
        began = self._clock.monotonic()
        _, started = await self._client.call("POST", "/api/credits-process/start", who)
        start_ms = (self._clock.monotonic() - began) * 1000
        if not started["success"] and started["error"]["code"] != "already_settled":
            return Outcome(trip, key, started["error"]["code"], start_ms)
        usages = [{"ai_model": trip.model, "input_tokens": trip.input_tokens, "output_tokens": trip.output_tokens}]
        headers = {"prefer": "respond-async"} if self._settle == "queue" else None
        status, settled = await self._client.call(
            "POST", "/api/credits-process/end-multimodel", {**who, "usages": usages}, headers=headers
        )
        if not settled["success"]:
            raise FaregateError(f"settling {key} answered {status}: {settled['message']}")
        return Outcome(trip, key, None, start_ms)

    async def stories(
        self,
        outcomes: Iterable[Outcome],
        *,
        concurrency: int,
        on_done: Callable[[], None],
        timeout_seconds: float = 120,
    ) -> list[LoadStory]:
        """Return what each ride cost; waits for the queue to settle those that are not settled yet."""
        deadline = Deadline(timeout_seconds)

        async def one(outcome: Outcome) -> LoadStory:
            while True:
                data = await self._client.must("GET", f"/api/credits-process/{outcome.usage_key}")
                if data["status"] == "settled":
                    on_done()
                    return _story(data)
                if deadline.passed:
                    raise EngineUnavailableError(
                        f"{outcome.usage_key} is still {data['status']} after {timeout_seconds:g} s; is a worker running?"
                    )
                await asyncio.sleep(0.25)

        ridden = [outcome for outcome in outcomes if outcome.refused is None]
        return await _in_turn(one, ridden, concurrency)


async def _in_turn(work: Callable[[Q], Awaitable[A]], items: Sequence[Q], workers: int) -> list[A]:
    """Do `work` on all items, so many at a time; answers in the order of the items."""
    waiting = iter(enumerate(items))
    answers: dict[int, A] = {}

    async def worker() -> None:
        for position, item in waiting:
            answers[position] = await work(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(workers, len(items))):
            tasks.create_task(worker())
    return [answers[position] for position in range(len(items))]


def _story(data: dict[str, Any]) -> LoadStory:
    lines = data["details"]
    return LoadStory(
        model=lines[0]["ai_model"] if lines else "",
        input_tokens=sum(line["input_tokens"] for line in lines),
        output_tokens=sum(line["output_tokens"] for line in lines),
        cost_usd=sum((Decimal(line["provider_cost_usd"] or 0) for line in lines), Decimal(0)),
        consumed=Decimal(data["credits_consumed"]),
        charged=Decimal(data["credits_charged"]),
        shortfall=Decimal(data["shortfall"]),
        flags=tuple(data["flags"]),
    )
