"""P4: rates of usage events by HTTP and by queue.

Events are sent as NDJSON over HTTP and as arrays over the queue, and count when they are committed and acknowledged.
"""

import asyncio
from collections.abc import Iterable
from itertools import islice

import httpx2

from faregate.benchmarks.events import make_events
from faregate.benchmarks.ground import KEY, Ground
from faregate.benchmarks.serving import serving
from faregate.benchmarks.worker_load import check_empty, working
from faregate.core.clock import SystemClock
from faregate.core.errors import FaregateError
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.wire import exact_json
from faregate.wire.queues import USAGE_EVENTS_QUEUE

__all__ = ["measure_http", "measure_queue"]

_CLOCK = SystemClock()
_BODY_EVENTS = 10_000
_ARRAY_EVENTS = 500
_WAIT_SECONDS = 900
_HEADERS = {"x-server-api-key": KEY, "content-type": "application/x-ndjson"}


async def measure_http(ground: Ground, events: int, *, processes: int) -> float:
    """Return events per second over HTTP, with one sender per server process and 10,000 events per body."""
    made = (_from("http", chunk) for chunk in make_events(events, now=_CLOCK.now()))
    bodies = [b"\n".join(map(exact_json.dumps, chunk)) for chunk in made]
    waiting = iter(bodies)
    async with (
        serving(ground, "faregate.cli", "gateway", "--port", workers=processes) as url,
        httpx2.AsyncClient(base_url=url, headers=_HEADERS, timeout=_WAIT_SECONDS) as http,
    ):
        began = _CLOCK.monotonic()
        await asyncio.gather(*(_send(http, waiting) for _ in range(processes)))
        seconds = _CLOCK.monotonic() - began
    return events / seconds


async def measure_queue(ground: Ground, events: int, *, workers: int) -> float:
    """Return events per second from a pre-filled queue, in arrays of 500, until the last one is acknowledged.

    Messages acknowledged before the workers first report are not counted, unless those are all of them; then the time
    includes the workers' start.
    """
    transport = ground.library.transport()
    messages = 0
    for chunk in make_events(events, now=_CLOCK.now()):
        bodies = [OutgoingMessage(exact_json.dumps(part)) for part in _parts(_from("queue", chunk))]
        await transport.publish(USAGE_EVENTS_QUEUE, bodies)
        messages += len(bodies)
    started, began, at_first, done = _CLOCK.monotonic(), 0.0, 0, 0
    async with working(ground, workers, queue=USAGE_EVENTS_QUEUE) as load, asyncio.timeout(_WAIT_SECONDS):
        while done < messages:
            await asyncio.sleep(0.05)
            done = await load.acknowledged()
            if done and not began:
                began, at_first = _CLOCK.monotonic(), done
        ended = _CLOCK.monotonic()
    await check_empty(ground, USAGE_EVENTS_QUEUE)
    if at_first == messages:
        began, at_first = started, 0
    seconds = ended - began
    return events * (messages - at_first) / messages / seconds


async def _send(http: httpx2.AsyncClient, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        answer = await http.post("/api/usage-events", content=body)
        told = exact_json.loads(answer.raise_for_status().content)["data"]
        if told["duplicates"] or told["rejected"]:
            raise FaregateError(f"{told['duplicates']:,} events were duplicates, and rejected: {told['rejected'][:1]}")


def _from(source: str, chunk: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the events with ids and usage keys of their own, since an id of one source or a use is never counted twice."""
    return [
        {**event, "source": source} | ({"usage_key": f"{source}:{event['usage_key']}"} if "usage_key" in event else {})
        for event in chunk
    ]


def _parts(chunk: list[dict[str, object]]) -> Iterable[list[dict[str, object]]]:
    source = iter(chunk)
    return iter(lambda: list(islice(source, _ARRAY_EVENTS)), [])
