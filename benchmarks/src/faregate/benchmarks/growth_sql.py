# ruff: noqa: S608
"""SQL that fills the tables that grow, with a ledger that verifies."""

from faregate.credit.ledger.accounts import GRANT_ORIGINS, Account, GrantSource, TransferKind
from faregate.credit.proof.chain import LINK

__all__ = ["AMOUNT_MICROS", "GRANT_MICROS", "OPEN_WALLETS", "ROWS_OF_A_USE", "SETTLE_EVERY_WALLET"]

GRANT_MICROS = 10**12
AMOUNT_MICROS = 25_200
ROWS_OF_A_USE = 7
"""A charge, a transfer, a slice, a line, two events and the claim on an identity."""

_TRANSFER = """t.wallet_id, t.seq, t.kind, t.debit_account, t.credit_account, t.amount, t.balance_after, t.corrects_seq,
  t.usage_key, t.operation_key, t.actor, t.reason, t.effective_at, t.created_at"""
_TRANSFER_COLUMNS = _TRANSFER.replace("t.", "")
_NO_NOTE = "cast(null as text) as operation_key, cast(null as text) as actor, cast(null as text) as reason"

OPEN_WALLETS = f"""
with s as materialized (
  insert into faregate.subject (external_id) select 'bench-' || n from generate_series(0, cast(:wallets as int) - 1) n
  returning subject_id
), w as materialized (
  select subject_id as wallet_id, gen_random_uuid() as grant_id, cast(:at as timestamptz) as at from s
), t as materialized (
  select wallet_id, cast(1 as bigint) as seq, cast({TransferKind.GRANT:d} as smallint) as kind,
    cast({GRANT_ORIGINS[GrantSource.PURCHASE]:d} as smallint) as debit_account,
    cast({Account.WALLET:d} as smallint) as credit_account, cast({GRANT_MICROS} as bigint) as amount,
    cast({GRANT_MICROS} as bigint) as balance_after, cast(null as bigint) as corrects_seq, cast(null as text) as usage_key,
    {_NO_NOTE}, at as effective_at, at as created_at, cast(null as bytea) as previous_hash, grant_id
  from w
), h as materialized (
  select t.*, {LINK} as hash
  from t cross join lateral (select uuid_send(t.grant_id) || int8send(t.amount) as parts) s
), wallets as (
  insert into faregate.wallet (wallet_id, credits, last_seq, head_hash, changed_at, created_at)
  select wallet_id, amount, seq, hash, created_at, created_at from h
), grants as (
  insert into faregate.credit_grant (grant_id, wallet_id, source, burn_class, priority, amount, remaining, effective_at,
    active, created_at)
  select grant_id, wallet_id, '{GrantSource.PURCHASE.value}', 1, 0, amount, amount, effective_at, true, created_at from h
), slices as (
  insert into faregate.grant_slice (wallet_id, seq, grant_id, amount) select wallet_id, seq, grant_id, amount from h
)
insert into faregate.transfer ({_TRANSFER_COLUMNS}, hash) select {_TRANSFER}, t.hash from h t
"""

SETTLE_EVERY_WALLET = f"""
with t as materialized (
  select w.wallet_id, w.last_seq + 1 as seq, cast({TransferKind.CHARGE:d} as smallint) as kind,
    cast({Account.WALLET:d} as smallint) as debit_account, cast({Account.REVENUE:d} as smallint) as credit_account,
    cast({AMOUNT_MICROS} as bigint) as amount, w.credits - w.debits - {AMOUNT_MICROS} as balance_after,
    cast(null as bigint) as corrects_seq,
    lpad(to_hex((extract(epoch from cast(:at as timestamptz)) * 1000)::bigint), 12, '0') || '-' || w.wallet_id || '-' ||
      w.last_seq as usage_key,
    {_NO_NOTE}, cast(:at as timestamptz) as effective_at, cast(:at as timestamptz) as created_at,
    w.head_hash as previous_hash, g.grant_id
  from faregate.wallet w join faregate.credit_grant g on g.wallet_id = w.wallet_id where w.changed_at < :at
), h as materialized (
  select t.*, {LINK} as hash, md5(t.usage_key)::uuid as event_key
  from t cross join lateral (select uuid_send(t.grant_id) || int8send(-t.amount) as parts) s
), wallets as (
  update faregate.wallet w set debits = w.debits + h.amount, last_seq = h.seq, head_hash = h.hash, changed_at = h.created_at
  from h where w.wallet_id = h.wallet_id
), grants as (
  update faregate.credit_grant g set remaining = g.remaining - h.amount from h where g.grant_id = h.grant_id
), charges as (
  insert into faregate.charge (usage_key, wallet_id, subject_id, feature_key, rule, status, start_hash, meaning_hash, consumed,
    charged, first_seq, balance_after, free_after, created_at, closed_at, settled_at)
  select usage_key, wallet_id, wallet_id, 'bench', 'individual', 1, hash, hash, amount, amount, seq, balance_after,
    balance_after, created_at, created_at, created_at from h
), slices as (
  insert into faregate.grant_slice (wallet_id, seq, grant_id, amount) select wallet_id, seq, grant_id, -amount from h
), lines as (
  insert into faregate.usage_line (usage_key, line_no, model, provider, tokens, provider_cost_usd, input_cost_usd,
    output_cost_usd, margin_percent, credit_price_usd, credits, price_version, settled_at)
  select usage_key, 0, 'gpt-4o-mini', 'openai', '{{"input_tokens": 1000, "output_tokens": 100}}', 0.00021, 0.00015, 0.00006,
    20, 0.01, amount, 'genai-prices', created_at from h
), events as (
  insert into faregate.usage_event (time, event_key, kind, subject_id, service, feature_key, usage_key, requests, calls,
    input_tokens, output_tokens, credits, charged, source, external_id)
  select h.created_at, h.event_key, k, h.wallet_id, 'bench', 'bench', h.usage_key, 1 - k, k, 1000 * k, 100 * k,
    h.amount * k, h.amount * (1 - k), 'faregate:use', h.usage_key from h cross join generate_series(0, 1) k
), claims as (
  insert into faregate.usage_event_key (key, event_key, subject_id, time, received_at)
  select event_key, event_key, wallet_id, created_at, created_at from h
), transfers as (
  insert into faregate.transfer ({_TRANSFER_COLUMNS}, hash) select {_TRANSFER}, t.hash from h t
)
select count(*) as uses from h
"""
"""Adds a settled use at the moment `at` to each wallet that has none later; returns how many it has added."""
