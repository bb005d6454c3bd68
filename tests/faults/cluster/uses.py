"""Steady uses of a feature by HTTP and by queue, with logs and events, and what was acknowledged of them.

Each caller insists: it repeats the same call or message until it is acknowledged, as clients must. Prices are those of
`faults.traffic`.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from faregate.core.errors import EngineUnavailableError
from faregate.core.messaging.interfaces import ITransport, OutgoingMessage
from faregate.wire.queues import FEATURE_LOG_QUEUE, SETTLE_MULTIMODEL_QUEUE, USAGE_EVENTS_QUEUE
from faults.roles import KEY
from faults.traffic import FEATURE, IN_MICROS, MODEL, OUT_MICROS

__all__ = ["USERS", "Acknowledged", "Refusal", "Use", "Uses"]

USERS = tuple(f"rich{number}" for number in range(40))
_ANSWER_SECONDS = 60
"""A call that has no answer by then is a fault: callers would have given up."""


@dataclass(frozen=True, slots=True)
class Use:
    """One settled use: who pays, how much, by which way, and when it was acknowledged."""

    user: str
    micros: int
    way: str
    at: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than success: when, by which way, its status, and its text."""

    at: float
    way: str
    what: str
    text: str


@dataclass
class Acknowledged:
    """What callers were told is done, and everything that they tried.

    Attributes:
        started: keys whose hold was acknowledged.
        uses: settlements, those by queue included, by key.
        logs, events: ids of records whose message was confirmed.
        answers: moments of successful calls, by way.
        refusals: answers other than success.
        wrong: answers that are neither success nor 503 with Retry-After.
    """

    tried: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    started: set[str] = field(default_factory=set[str])
    uses: dict[str, Use] = field(default_factory=dict[str, Use])
    logs: set[str] = field(default_factory=set[str])
    events: set[str] = field(default_factory=set[str])
    answers: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    wrong: Counter[str] = field(default_factory=Counter[str])
    examples: list[str] = field(default_factory=list[str])


class Uses:
    """Calls gateways and publishes to the broker until it is stopped."""

    def __init__(self, seed: int, gateways: Mapping[str, str], transport: ITransport) -> None:
        """`gateways`: their addresses by the name of the way to their database."""
        self.told = Acknowledged()
        self._random = random.Random(seed)
        self._gateways = gateways
        self._transport = transport
        self._stop = asyncio.Event()
        self._number = 0
        self._tasks: Sequence[asyncio.Task[None]] = ()

    def begin(self) -> None:
        calls = [self._call(way, url) for way, url in self._gateways.items() for _ in range(2)]
        calls += [self._call(f"{way}, respond-async", url, later=True) for way, url in self._gateways.items()]
        publishing = [self._publish_uses(), self._publish_records()]
        self._tasks = [asyncio.create_task(work) for work in (*calls, *publishing)]

    async def end(self) -> None:
        """Let each caller finish what it insists on."""
        self._stop.set()
        await asyncio.wait_for(asyncio.gather(*self._tasks), 120)

    async def _call(self, way: str, url: str, *, later: bool = False) -> None:
        async with httpx2.AsyncClient(base_url=url, timeout=_ANSWER_SECONDS, headers={"x-server-api-key": KEY}) as http:
            while not self._stop.is_set():
                key, body, micros = self._use()
                start = {"user_id": body["user_id"], "feature_endpoint_value": FEATURE, "usage_key": key}
                start["estimated_credits"] = 1
                await self._insist(http, way, "/api/credits-process/start", start, {})
                self.told.started.add(key)
                preferred = {"prefer": "respond-async"} if later else {}
                await self._insist(http, way, "/api/credits-process/end-multimodel", body, preferred)
                self.told.uses[key] = Use(body["user_id"], micros, "queue" if later else way, time.time())
                await self._pause()

    async def _insist(
        self, http: httpx2.AsyncClient, way: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> None:
        while True:
            try:
                answer = await http.post(path, json=body, headers=dict(headers))
            except httpx2.TransportError as error:
                self._refused(way, f"{type(error).__name__}", fault=True, text=repr(error))
                await asyncio.sleep(0.5)
                continue
            if answer.status_code in {200, 202}:
                self.told.answers.setdefault(way, []).append(time.time())
                return
            sound = answer.status_code == 503 and "retry-after" in answer.headers
            self._refused(way, str(answer.status_code), fault=not sound, text=f"{path}: {answer.text}")
            await asyncio.sleep(float(answer.headers.get("retry-after", "1")))

    async def _publish_uses(self) -> None:
        while not self._stop.is_set():
            key, body, micros = self._use()
            await self._store(SETTLE_MULTIMODEL_QUEUE, body)
            self.told.uses[key] = Use(body["user_id"], micros, "queue", time.time())
            await self._pause()

    async def _publish_records(self) -> None:
        """Publish a log and an event in turn; each is found again by a name of its own."""
        while not self._stop.is_set():
            self._number += 1
            name = f"record{self._number}"
            log = {
                "id": name,
                "usage_key": name,
                "user_id": USERS[0],
                "feature_endpoint_value": FEATURE,
                "type": "chat",
            }
            log |= {"method": "POST", "endpoint": "/chat", "status": "success"}
            await self._store(FEATURE_LOG_QUEUE, {**log, "code": 200, "duration_ms": 812})
            self.told.logs.add(name)
            event = {"id": name, "user_id": name, "service": "chat", "meter": "api", "quantity": 1}
            await self._store(USAGE_EVENTS_QUEUE, event)
            self.told.events.add(name)
            await self._pause()

    async def _store(self, queue: str, body: Mapping[str, Any]) -> None:
        message = OutgoingMessage(json.dumps(body).encode())
        while True:
            try:
                await self._transport.publish(queue, [message])
            except EngineUnavailableError as error:
                self._refused("broker", "not confirmed", fault=False, text=error.detail)
                await asyncio.sleep(0.5)
            else:
                self.told.answers.setdefault("broker", []).append(time.time())
                return

    def _refused(self, way: str, what: str, *, fault: bool, text: str) -> None:
        self.told.refusals.append(Refusal(time.time(), way, what, text[:200]))
        if fault:
            self.told.wrong[f"{way}: {what}"] += 1
            if len(self.told.examples) < 20:
                self.told.examples.append(f"{way}: {text[:300]}")

    def _use(self) -> tuple[str, dict[str, Any], int]:
        self._number += 1
        key, user = f"use-{self._number}", self._random.choice(USERS)
        tokens_in, tokens_out = self._random.randint(1, 4000), self._random.randint(0, 800)
        line = {"ai_model": MODEL, "input_tokens": tokens_in, "output_tokens": tokens_out}
        body = {"user_id": user, "feature_endpoint_value": FEATURE, "usage_key": key, "usages": [line]}
        micros = tokens_in * IN_MICROS + tokens_out * OUT_MICROS
        self.told.tried[key] = (user, micros)
        return key, body, micros

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(0.02, 0.12))
