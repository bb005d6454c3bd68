"""Callers of a fleet: each knows what its wallet must hold, and counts every answer that is not the expected one."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx2

from faregate.wire import exact_json
from faults.roles import KEY
from support.people import bearer

__all__ = ["GRANTED", "LIMIT", "FleetTraffic"]

GRANTED = Decimal(1_000_000)
PRICE = Decimal("0.42")
LIMIT = 20
"""Requests per minute of a person; four processes that count alone would let four times as many pass."""

_LINE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
_LIMITED = "limited"


class FleetTraffic:
    """Uses of a feature through the balancer, settled by HTTP or by the queue, with reads between them."""

    def __init__(self, port: int, *, pause_seconds: float) -> None:
        self.counts: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()
        self.asynchronous = 0
        self._pause_seconds = pause_seconds
        self._url = f"http://127.0.0.1:{port}"
        self._numbers: Counter[str] = Counter()

    def client(self) -> httpx2.AsyncClient:
        headers = {"x-server-api-key": KEY, "content-type": "application/json"}
        limits = httpx2.Limits(max_keepalive_connections=0)
        return httpx2.AsyncClient(base_url=self._url, headers=headers, limits=limits, timeout=60)

    async def prepare(self, users: list[str]) -> None:
        """Define the feature, and give every user credits."""
        async with self.client() as http:
            body = {"strategy": "token_priced", "min_credits": Decimal("0.1")}
            await self._call(http, "PUT", "/api/features/chat", body)
            for user in [*users, _LIMITED]:
                body = {"credits": GRANTED, "source": "purchase"}
                await self._call(http, "POST", f"/api/wallets/{user}/grants", body)

    async def spend(self, user: str, stop: asyncio.Event) -> None:
        """Start and settle, one use after the other: after each the wallet must hold exactly what is left."""
        async with self.client() as http:
            while not stop.is_set():
                await self._use(http, user)
                self.settled[user] += 1
                answer = await self._call(http, "GET", f"/api/wallets/{user}")
                await asyncio.sleep(self._pause_seconds)
                left = GRANTED - PRICE * self.settled[user]
                if answer is not None and answer["data"]["credits"] != left:
                    self.failed["a wallet that lacks an own use"] += 1

    async def publish(self, user: str, stop: asyncio.Event) -> None:
        """Start, and settle by the queue."""
        async with self.client() as http:
            while not stop.is_set():
                await self._use(http, user, prefer="respond-async")
                self.asynchronous += 1
                await asyncio.sleep(self._pause_seconds)

    async def look(self, stop: asyncio.Event) -> None:
        """Ask for the dashboard, as analysts do."""
        async with self.client() as http:
            while not stop.is_set():
                await self._call(http, "GET", "/api/analytics/dashboard?startDate=2026-01-01&endDate=2030-01-01")
                await asyncio.sleep(5 * self._pause_seconds)

    async def admitted(self, requests: int) -> int:
        """Return how many of a person's requests pass."""
        async with self.client() as http:
            headers = bearer(_LIMITED)
            answers = [await http.get(f"/api/wallets/{_LIMITED}", headers=headers) for _ in range(requests)]
        statuses = Counter(answer.status_code for answer in answers)
        if set(statuses) - {200, 429}:
            self.failed[f"a limited request: {dict(statuses)}"] += 1
        return statuses[200]

    async def _use(self, http: httpx2.AsyncClient, user: str, **headers: str) -> None:
        self._numbers[user] += 1
        body = {"user_id": user, "feature_endpoint_value": "chat", "usage_key": f"{user}-{self._numbers[user]}"}
        await self._call(http, "POST", "/api/credits-process/start", body)
        await self._call(http, "POST", "/api/credits-process/end-multimodel", {**body, "usages": [_LINE]}, **headers)

    async def _call(
        self, http: httpx2.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> Any:
        self.counts["calls"] += 1
        try:
            content = exact_json.dumps(body) if body is not None else None
            answer = await http.request(method, path, content=content, headers=headers)
        except httpx2.TransportError as error:
            self.failed[f"{method} {path}: {type(error).__name__}"] += 1
            return None
        if answer.status_code >= 300:
            self.failed[f"{method} {path}: {answer.status_code} {answer.text[:200]}"] += 1
            return None
        return exact_json.loads(answer.content)
