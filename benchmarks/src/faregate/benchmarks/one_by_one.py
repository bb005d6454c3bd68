"""Settlements written by pgbench, one message per transaction.

It makes the writes of a settlement, with all indexes and fsync, and none of the work of a worker: no message is received or
acknowledged, nothing is parsed, priced, checked or hashed. A sequence stands for the queue.
"""

import asyncio
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from faregate.benchmarks.ground import Ground
from faregate.core.db.embedded import postgres_program
from faregate.core.errors import FaregateError

__all__ = ["settle_one_by_one"]

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


async def settle_one_by_one(ground: Ground, messages: int, clients: Sequence[int]) -> tuple[float, int]:
    """Return the best rate of pgbench and its number of clients; no use is settled twice.

    The uses `one-1`, `one-2` … must be started; each number of clients settles an equal share of the messages.
    """
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
