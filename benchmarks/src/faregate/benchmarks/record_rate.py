"""Single records per second, batched and unbatched."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.benchmarks.ground import FEATURE, KEY, MODEL, Ground, user
from faregate.benchmarks.http_load import throughput
from faregate.benchmarks.serving import serving
from faregate.core.clock import SystemClock
from faregate.usage.events.event import UsageEvent
from faregate.usage.values import ModelUsage

__all__ = ["Records", "measure_records"]

_CLOCK = SystemClock()
_USAGE = ModelUsage(MODEL, tokens={"input_tokens": 1_000, "output_tokens": 100})
_HEADERS = {"x-server-api-key": KEY, "content-type": "application/json"}
_USE = f',"feature_key":"{FEATURE.value}","usages":[{{"ai_model":"{MODEL}","input_tokens":1000,"output_tokens":100}}]'
_EVENT = ',"service":"chat","latency_ms":12'

_Call = Callable[[int, AsyncSession | None], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Records:
    """Records per second of one kind: batched by the library, with one transaction each, and over HTTP."""

    gathered: float
    one_by_one: float
    over_http: float

    @property
    def ratio(self) -> float:
        """The batched rate divided by the rate of one transaction each."""
        return self.gathered / self.one_by_one


async def measure_records(ground: Ground, *, users: int, seconds: int, callers: int) -> tuple[Records, Records]:
    """Measure direct uses and usage events, by `callers` that each wait for an answer before the next call."""
    recorder = ground.library.recorder()

    async def use(number: int, session: AsyncSession | None) -> object:
        return await ground.usage.record_usage(
            FEATURE.value or "", user(number * 7919 % users), usages=(_USAGE,), session=session
        )

    async def event(number: int, session: AsyncSession | None) -> object:
        return await recorder.record([UsageEvent(user_id=user(number * 7919 % users), service="chat")], session=session)

    by_library = [await _both(ground, call, seconds, callers) for call in (use, event)]
    async with serving(ground, "faregate.cli", "gateway", "--port", workers=1) as url:
        paths = (("/api/usage", _USE), ("/api/usage-events", _EVENT))
        by_http = [await asyncio.to_thread(_http, url + path, users, more, seconds, callers) for path, more in paths]
    uses, events = (Records(*both, http) for both, http in zip(by_library, by_http, strict=True))
    return uses, events


def _http(url: str, users: int, more: str, seconds: int, callers: int) -> float:
    throughput(url, users=users, more=more, headers=_HEADERS, seconds=1, connections=callers)
    return throughput(url, users=users, more=more, headers=_HEADERS, seconds=seconds, connections=callers).per_second


async def _both(ground: Ground, call: _Call, seconds: int, callers: int) -> tuple[float, float]:
    database = ground.library.database()

    async def gathered(number: int) -> None:
        await call(number, None)

    async def alone(number: int) -> None:
        await database.run(lambda session: call(number, session))

    return await _rate(gathered, seconds, callers), await _rate(alone, seconds, callers)


async def _rate(call: Callable[[int], Awaitable[None]], seconds: int, callers: int) -> float:
    await call(0)
    began, done = _CLOCK.monotonic(), 0

    async def caller(first: int) -> None:
        nonlocal done
        number = first
        while _CLOCK.monotonic() - began < seconds:
            await call(number)
            number += callers
            done += 1

    await asyncio.gather(*map(caller, range(callers)))
    return done / (_CLOCK.monotonic() - began)
