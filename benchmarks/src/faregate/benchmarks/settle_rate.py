"""P1: settlement rate of worker processes, compared with pgbench.

Workers settle a pre-filled queue; pgbench makes the same writes with one transaction per message.
"""

import asyncio
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faregate.benchmarks.ground import FEATURE, Ground, user
from faregate.benchmarks.hot_wallet import settle_body
from faregate.benchmarks.worker_load import check_empty, working
from faregate.core.clock import SystemClock
from faregate.core.db.embedded import postgres_program
from faregate.core.errors import FaregateError
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.usage.values import StartRequest
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE

__all__ = ["Settlements", "measure_settlements"]

_CLIENTS = (4, 8, 16, 32)
_HALF_LOAD_SECONDS = 6
_WARM_SECONDS = 1
_LOOK_SECONDS = 0.1
_START_CHUNK = 1_000
_WAIT_SECONDS = 600
_PUBLISH_CHUNK = 500

_COMMITTED = """
select usage_key, pg_xact_commit_timestamp(xmin) as committed_at from faregate.charge
where usage_key = any(cast(:keys as text[]))
"""

_ONE_MESSAGE = r"""
select nextval('bench_message') as n \gset
begin;
select c.usage_key, c.wallet_id, c.hold from faregate.charge c where c.usage_key = 'one-' || :n;
select w.wallet_id, w.credits, w.debits, w.held, w.last_seq, w.head_hash from faregate.wallet w
  where w.wallet_id = (select wallet_id from faregate.charge where usage_key = 'one-' || :n) for no key update;
with c as (
  update faregate.charge set status = 1, consumed = 252, charged = 252, settled_at = now(), closed_at = now(),
    meaning_hash = decode(repeat('00', 32), 'hex'), first_seq = 1, balance_after = 1, free_after = 1
  where usage_key = 'one-' || :n and status = 0 returning wallet_id, hold, usage_key, subject_id
), w as (
  update faregate.wallet set debits = debits + 252, held = held - c.hold, last_seq = last_seq + 1,
    head_hash = sha256(head_hash), changed_at = now()
  from c where faregate.wallet.wallet_id = c.wallet_id
  returning faregate.wallet.wallet_id, credits - debits as balance, last_seq, head_hash, c.usage_key, c.subject_id
), g as (
  update faregate.credit_grant set remaining = remaining - 252
  where grant_id = (select grant_id from faregate.credit_grant join w using (wallet_id) where remaining > 0 limit 1)
  returning grant_id
), t as (
  insert into faregate.transfer (wallet_id, seq, kind, debit_account, credit_account, amount, balance_after, usage_key,
    effective_at, created_at, hash)
  select wallet_id, last_seq, 2, 1, 2, 252, balance, usage_key, now(), now(), head_hash from w
), s as (
  insert into faregate.grant_slice (wallet_id, seq, grant_id, amount) select w.wallet_id, w.last_seq, g.grant_id, -252
  from w cross join g
), k as (
  insert into faregate.usage_event_key (key, event_key, subject_id, time)
  select gen_random_uuid(), gen_random_uuid(), subject_id, now() from w
), l as (
  insert into faregate.usage_line (usage_key, line_no, model, provider, tokens, provider_cost_usd, input_cost_usd,
    output_cost_usd, margin_percent, credit_price_usd, credits, price_version, settled_at)
  select usage_key, 0, 'gpt-4o-mini', 'openai', '{"input_tokens": 1000, "output_tokens": 100}', 0.00021, 0.00015, 0.00006,
    20, 0.01, 25200, 'genai-prices', now()
  from w
)
insert into faregate.usage_event (time, event_key, kind, subject_id, service, feature_key, usage_key, requests, calls,
  input_tokens, output_tokens, credits, charged, source, external_id)
select now(), gen_random_uuid(), kind, subject_id, 'bench', 'bench', usage_key, 1 - kind, kind, 1000, 100, 252, 252, 'use',
  usage_key
from w cross join generate_series(0, 1) kind;
commit;
"""


@dataclass(frozen=True, slots=True)
class Settlements:
    """Messages per second: ours from the queue to committed and acknowledged, and pgbench's with the same writes, one message
    per transaction.
    """

    messages: int
    wallets: int
    workers: int
    ours: float
    one_by_one: float
    clients: int
    half_load_p99_ms: float

    @property
    def ratio(self) -> float:
        """Our rate divided by pgbench's."""
        return self.ours / self.one_by_one


async def measure_settlements(
    ground: Ground,
    *,
    wallets: int,
    messages: int,
    workers: int,
    on_progress: Callable[[str, int], None],
    clients: Sequence[int] = _CLIENTS,
    seconds: int = _HALF_LOAD_SECONDS,
) -> Settlements:
    """Settle `messages` from a pre-filled queue, make the same writes with pgbench, then publish at half the rate.

    Args:
        clients: numbers of pgbench clients to try, with an equal share of the messages each; the best rate counts.
        seconds: length of the measured part at half load.
    """
    await _start(ground, "use", wallets, messages, lambda done: on_progress("starting uses", done))
    await _start(ground, "one", wallets, messages, lambda done: on_progress("starting uses for pgbench", done))
    await _publish(ground, wallets, messages)
    ours = await _settle(ground, messages, workers, lambda done: on_progress("settling", done))
    one_by_one, best = await _one_by_one(ground, messages, clients)
    p99 = await _half_load(ground, wallets, ours / 2, workers, seconds)
    return Settlements(messages, wallets, workers, ours, one_by_one, best, p99)


async def _start(ground: Ground, prefix: str, wallets: int, messages: int, on_progress: Callable[[int], None]) -> None:
    for first in range(0, messages, _START_CHUNK):
        last = min(first + _START_CHUNK, messages)
        requests = [
            StartRequest(user(n % wallets), FEATURE, usage_key=f"{prefix}-{n + 1}", ttl_seconds=86_400)
            for n in range(first, last)
        ]
        await asyncio.gather(*(ground.usage.authorize(request) for request in requests))
        on_progress(last)


async def _publish(ground: Ground, wallets: int, messages: int) -> None:
    transport = ground.library.transport()
    for first in range(0, messages, _PUBLISH_CHUNK):
        numbers = range(first, min(first + _PUBLISH_CHUNK, messages))
        bodies = [settle_body(f"use-{n + 1}", user(n % wallets)) for n in numbers]
        await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(body) for body in bodies])


async def _settle(ground: Ground, messages: int, workers: int, on_progress: Callable[[int], None]) -> float:
    """Return messages per second, from the first acknowledged message to the last, so that the start of processes is excluded."""
    clock, transport = SystemClock(), ground.library.transport()
    async with working(ground, workers, queue=SETTLE_MULTIMODEL_QUEUE) as acknowledged, asyncio.timeout(_WAIT_SECONDS):
        while not (at_first := await acknowledged()):
            await asyncio.sleep(_LOOK_SECONDS)
        began = clock.monotonic()
        while waiting := (await transport.backlog(SETTLE_MULTIMODEL_QUEUE)).depth:  # cheaper than the workers' metrics
            on_progress(messages - waiting)
            await asyncio.sleep(_LOOK_SECONDS)
        while await acknowledged() < messages:
            await asyncio.sleep(_LOOK_SECONDS)
        took = clock.monotonic() - began
    await check_empty(ground, SETTLE_MULTIMODEL_QUEUE)
    return (messages - at_first) / took


async def _settled(ground: Ground, prefix: str) -> int:
    async with ground.library.database().transaction(read_only=True) as session:
        sql = "select count(*) as n from faregate.usage_line where usage_key like cast(:like as text)"
        (row,) = await ground.library.database().rows(session, sql, like=f"{prefix}-%")
    return int(row.n)


async def _half_load(ground: Ground, wallets: int, rate: float, workers: int, seconds: int) -> float:
    """Publish at `rate` for some seconds; return the p99 from publish to commit in milliseconds, by the commit timestamps.

    The first second is not counted, since new processes load their prices and plans then.
    """
    burst, count = max(1, int(rate / 50)), int(rate * (seconds + _WARM_SECONDS))
    warm = int(rate * _WARM_SECONDS)
    await _start(ground, "half", wallets, count, lambda _: None)
    transport = ground.library.transport()
    clock, sent = SystemClock(), dict[str, float]()
    async with working(ground, workers, queue=SETTLE_MULTIMODEL_QUEUE):
        await asyncio.sleep(5)
        began, offset = clock.monotonic(), clock.now().timestamp() - clock.monotonic()
        for first in range(0, count, burst):
            await asyncio.sleep(max(0.0, began + first / rate - clock.monotonic()))
            numbers = range(first, min(first + burst, count))
            for n in (number for number in numbers if number >= warm):
                sent[f"half-{n + 1}"] = clock.monotonic() + offset
            messages = [OutgoingMessage(settle_body(f"half-{n + 1}", user(n % wallets))) for n in numbers]
            await transport.publish(SETTLE_MULTIMODEL_QUEUE, messages)
        async with asyncio.timeout(_WAIT_SECONDS):
            while await _settled(ground, "half") < count:
                await asyncio.sleep(0.2)
    return await _p99(ground, sent)


async def _p99(ground: Ground, sent: dict[str, float]) -> float:
    database = ground.library.database()
    async with database.transaction(read_only=True) as session:
        rows = await database.rows(session, _COMMITTED, keys=list(sent))
    waits = sorted(row.committed_at.timestamp() - sent[row.usage_key] for row in rows)
    return 1000 * float(waits[int(len(waits) * 0.99)])


async def _one_by_one(ground: Ground, messages: int, clients: Sequence[int]) -> tuple[float, int]:
    """Return the best rate of pgbench and its number of clients; no message is settled twice."""
    database = ground.library.database()
    async with database.transaction() as session:
        await database.rows(session, f"create sequence public.bench_message maxvalue {messages}")
    share = messages // len(clients)
    found = [(await asyncio.to_thread(_pgbench, ground, number, share), number) for number in clients]
    return max(found)


def _pgbench(ground: Ground, clients: int, messages: int) -> float:
    """Return the messages per second of `messages` transactions by `clients` connections."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "one_message.sql"
        file.write_text(_ONE_MESSAGE)
        done = subprocess.run(
            [
                *(postgres_program("pgbench"), "-n", "-M", "prepared", "-f", str(file), "-t", str(messages // clients)),
                *("-c", str(clients), "-j", "2", ground.server.url),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None or "aborted" in done.stderr:
        raise FaregateError(f"pgbench did not measure:\n{done.stdout}{done.stderr}")
    return float(found[1])
