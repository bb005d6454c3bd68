"""P2: rate of `start` over HTTP, compared with a bare endpoint.

The bare endpoint uses Starlette and asyncpg and makes one conditional UPDATE.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import asyncpg

from faregate.benchmarks.ground import FEATURE, KEY, Ground
from faregate.benchmarks.http_load import Load, Waits, steady, throughput
from faregate.benchmarks.serving import serving
from faregate.core.runtime.gc_tuning import raise_gc_thresholds

__all__ = ["Starts", "measure_starts"]

_START = "/api/credits-process/start"
_HEADERS = {"x-server-api-key": KEY, "content-type": "application/json"}

_WARM_UP_SECONDS = 2
_ROUNDS = 5

_BARE_TABLE = """
create table if not exists bare_wallet (
  owner_id text primary key, credits bigint not null, held bigint not null default 0, check (credits >= held)
) with (fillfactor = 70);
insert into bare_wallet select 'bench-' || n, 1000000000 from generate_series(0, {users} - 1) n on conflict do nothing;
"""


@dataclass(frozen=True, slots=True)
class Starts:
    """Both endpoints under the same load, and the latency of `start` at a steady rate."""

    ours: Load
    bare: Load
    at_rate: Waits

    @property
    def ratio(self) -> float:
        """Our rate divided by that of the bare endpoint."""
        return self.ours.per_second / self.bare.per_second


async def measure_starts(
    ground: Ground, *, users: int, seconds: int, connections: int, processes: int, rate: int | None = None
) -> Starts:
    """Measure both endpoints in turns, with the same number of server processes.

    Args:
        rate: calls per second for the latency at a steady rate; by default half of what `start` answers under load.
    """
    more = f',"feature_endpoint_value":"{FEATURE.value}"'
    connection = await asyncpg.connect(ground.server.url)
    await connection.execute(_BARE_TABLE.format(users=users))
    await connection.close()
    bare_app = ("uvicorn", "faregate.benchmarks.bare:app", "--log-level", "warning", "--no-access-log", "--port")
    async with (
        serving(ground, "faregate.cli", "gateway", "--port", workers=processes) as url,
        serving(ground, *bare_app, workers=processes) as bare_url,
    ):
        ours = partial(_load, url + _START, users, more, connections)
        bare = partial(_load, bare_url + "/start", users, "", connections)
        loads = await asyncio.to_thread(_in_turns, ours, bare, seconds)
        half = rate or max(1, int(loads[0].per_second / 2))
        raise_gc_thresholds()  # a collection in this process, which sends the calls, would count as a wait of each of them
        at_rate = await steady(url + _START, users=users, more=more, headers=_HEADERS, rate=half, seconds=seconds)
    return Starts(*loads, at_rate)


def _in_turns(ours: Callable[[int], Load], bare: Callable[[int], Load], seconds: int) -> tuple[Load, Load]:
    """Measure both in turns for `seconds` each, and return the medians: a machine is not as fast at all times."""
    for warm_up in (ours, bare):
        warm_up(_WARM_UP_SECONDS)
    rounds = max(1, min(_ROUNDS, seconds))
    measured = [(ours(seconds // rounds), bare(seconds // rounds)) for _ in range(rounds)]
    return _median([one for one, _ in measured]), _median([one for _, one in measured])


def _median(loads: Sequence[Load]) -> Load:
    return Load(median(load.per_second for load in loads), median(load.p99_ms for load in loads))


def _load(url: str, users: int, more: str, connections: int, seconds: int) -> Load:
    return throughput(url, users=users, more=more, headers=_HEADERS, seconds=seconds, connections=connections)
