"""SQL of the ledger.

Reads force index lookups (LATERAL) and writes store whole rows by key (ON CONFLICT), so that no plan depends on statistics,
which a new table does not have yet.
"""

from faregate.core.privacy.erased_keys import key_without

__all__ = ["COPIES", "WRITES"]

ADD_WALLETS = """
insert into faregate.wallet (wallet_id, head_hash)
select w.id, :genesis from unnest(cast(:ids as bigint[])) as w (id) order by w.id
on conflict (wallet_id) do nothing
returning wallet_id
"""

WALLET_COLUMNS = """wallet_id, credits, debits, held, earmarked, debt, clawback_debt, credit_limit, status, plan,
  low_balance, top_up_below, top_up_amount, top_up_order, top_up_not_before, next_change_at, last_seq, head_hash, changed_at,
  low_told_at, exhausted_told_at"""

LOCK_WALLETS = f"""
select w.*, coalesce(cast(:now as timestamptz), clock_timestamp()) as now
from unnest(cast(:ids as bigint[])) as wanted (id)
cross join lateral (
  select {WALLET_COLUMNS}
  from faregate.wallet where wallet_id = wanted.id for no key update
) w
"""  # noqa: S608
"""`ids` are sorted, and the nested loop locks the rows in that order."""

READ_WALLETS = f"""
select {WALLET_COLUMNS}, coalesce(cast(:now as timestamptz), clock_timestamp()) as now
from faregate.wallet where wallet_id = any(cast(:ids as bigint[]))
"""  # noqa: S608

HAS_WALLET = "select 1 as found from faregate.wallet where wallet_id = :wallet_id"

LIST_WALLETS = """
select s.external_id, s.email, w.wallet_id
from faregate.subject s join faregate.wallet w on w.wallet_id = s.subject_id
where (cast(:after as text) is null or s.external_id > :after)
  and (cast(:prefix as text) is null or starts_with(s.external_id, :prefix))
order by s.external_id limit :limit
"""

CHARGE_COLUMNS = """usage_key, wallet_id, subject_id, organization_id, feature_key, rule, status, hold, hold_grants,
  expires_at, start_hash, meaning_hash, consumed, charged, shortfall, flags, first_seq, balance_after, free_after,
  duration_ms, metadata, close_reason, created_at, closed_at, settled_at, limit_scopes"""

READ_CHARGES = f"""
select c.* from unnest(cast(:keys as text[])) as wanted (usage_key)
cross join lateral (
  select {CHARGE_COLUMNS} from faregate.charge where usage_key = wanted.usage_key offset 0
) c
"""  # noqa: S608

READ_STARTED = f"""
select c.*, s.external_id, o.external_id as organization from unnest(cast(:keys as text[])) as wanted (usage_key)
cross join lateral (
  select {CHARGE_COLUMNS} from faregate.charge where usage_key = wanted.usage_key offset 0
) c
cross join lateral (select external_id from faregate.subject where subject_id = c.subject_id offset 0) s
left join lateral (select external_id from faregate.subject where subject_id = c.organization_id offset 0) o on true
"""  # noqa: S608

READ_CHANGED_CHARGES = f"""
select c.* from unnest(cast(:keys as text[]), cast(:ends as timestamptz[]), cast(:holds as bigint[]))
  as seen (usage_key, expires_at, hold)
cross join lateral (
  select {CHARGE_COLUMNS} from faregate.charge
  where usage_key = seen.usage_key
    and (status <> 0 or expires_at is distinct from seen.expires_at or hold is distinct from seen.hold) offset 0
) c
"""  # noqa: S608
"""Charges that have changed since they were seen. Only `expires_at` and `hold` of an open charge can change until it closes;
`ends` and `holds` are null for the others."""

DUE_CHARGES = f"""
select c.* from unnest(cast(:ids as bigint[])) as wanted (wallet_id)
cross join lateral (
  (select {CHARGE_COLUMNS} from faregate.charge
   where wallet_id = wanted.wallet_id and status = 0 and expires_at <= cast(:until as timestamptz)
   order by expires_at)
  union all
  (select {CHARGE_COLUMNS} from faregate.charge
   where wallet_id = wanted.wallet_id and status = 0 and expires_at > cast(:until as timestamptz)
   order by expires_at limit 1)
) c
"""  # noqa: S608

GRANT_COLUMNS = """grant_id, wallet_id, source, priority, amount, remaining, held, features, effective_at, expires_at,
  active, voided, every, rollover_min, rollover_max, next_renewal_at, key, meaning_hash, actor, reason, void_note,
  created_at"""

FIRST_GRANTS = f"""
select g.* from unnest(cast(:ids as bigint[])) as wanted (wallet_id)
cross join lateral (
  select {GRANT_COLUMNS} from faregate.credit_grant
  where wallet_id = wanted.wallet_id and remaining > 0
  order by wallet_id, priority, expires_at nulls last, burn_class, created_at, grant_id limit :limit
) g
"""  # noqa: S608

ALL_GRANTS = f"""
select g.* from unnest(cast(:ids as bigint[])) as wanted (wallet_id)
cross join lateral (
  (select {GRANT_COLUMNS} from faregate.credit_grant where wallet_id = wanted.wallet_id and remaining > 0)
  union all
  (select {GRANT_COLUMNS} from faregate.credit_grant
   where wallet_id = wanted.wallet_id and remaining = 0 and not voided and (not active or every is not null))
) g
"""  # noqa: S608

GRANTS_BY_ID = f"select {GRANT_COLUMNS} from faregate.credit_grant where grant_id = any(cast(:ids as uuid[]))"  # noqa: S608

GRANTS_BY_KEY = f"""
select g.* from unnest(cast(:ids as bigint[]), cast(:keys as text[])) as wanted (wallet_id, key)
cross join lateral (
  select {GRANT_COLUMNS} from faregate.credit_grant
  where wallet_id = wanted.wallet_id and key = any(array[wanted.key, {key_without("wanted.key")}]) offset 0
) g
"""  # noqa: S608

LIST_GRANTS = f"""
select {GRANT_COLUMNS} from faregate.credit_grant
where wallet_id = :wallet_id and (not cast(:live as boolean) or (not voided and (remaining > 0 or not active or every is not null)))
order by created_at, grant_id limit :limit
"""  # noqa: S608

GRANTS_BY_PREFIX = f"""
select {GRANT_COLUMNS} from faregate.credit_grant where wallet_id = :wallet_id and starts_with(key, :prefix)
order by created_at desc, grant_id desc limit 1000
"""  # noqa: S608

GRANT_USE = """
select g.grant_id, g.remaining, coalesce(sum(s.amount), 0)::bigint as moved,
  coalesce(sum(-s.amount) filter (where t.kind not in (1, 5, 6)), 0)::bigint as spent,
  coalesce(sum(-s.amount) filter (where t.kind = 5), 0)::bigint as lapsed
from faregate.credit_grant g
left join (faregate.grant_slice s join faregate.transfer t
    on t.wallet_id = s.wallet_id and t.seq = s.seq and t.effective_at >= :since)
  on s.wallet_id = g.wallet_id and s.grant_id = g.grant_id
where g.wallet_id = :wallet_id and g.grant_id = any(cast(:ids as uuid[])) group by g.grant_id
"""

GRANT_REPAID = """
select coalesce(sum(case t.kind when 1 then t.amount else -t.amount end - coalesce(s.amount, 0)), 0)::bigint as repaid
from faregate.transfer t left join faregate.grant_slice s on s.wallet_id = t.wallet_id and s.seq = t.seq
where t.wallet_id = :wallet_id and t.effective_at >= :since and t.kind in (1, 6) and t.actor = any(cast(:actors as text[]))
  and (s.grant_id is null or s.grant_id = any(cast(:ids as uuid[])))
"""
"""How much of the credit limit the fillings of grants have repaid. A filling that went entirely into the repayment has no
slice and is found by its actor."""

ADD_LIMITS = """
insert into faregate.spend_limit (scope, period, soft, hard, started_at, held)
select wanted.scope, t.period, t.soft, t.hard, t.started_at, coalesce((
  select sum(c.hold) from faregate.charge c where c.status = 0 and c.limit_scopes @> array[wanted.scope]), 0)
from unnest(cast(:scopes as text[]), cast(:templates as text[])) as wanted (scope, template)
join faregate.spend_limit t on t.scope = wanted.template
where not exists (select from faregate.spend_limit l where l.scope = wanted.scope and l.period = t.period)
order by wanted.scope, t.period
on conflict (scope, period) do nothing
"""
"""Gives each pool member without a limit of its own a copy of the limit for all members."""

LOCK_LIMITS = """
select l.* from unnest(cast(:scopes as text[])) as wanted (scope)
cross join lateral (
  select scope, period, soft, hard, started_at, spent, held from faregate.spend_limit
  where scope = wanted.scope order by period for no key update
) l
"""

HELD_BY_SCOPE = """
select coalesce(sum(hold), 0)::bigint as held from faregate.charge
where status = 0 and limit_scopes @> array[cast(:scope as text)]
"""

LIMIT_KINDS = "select distinct split_part(scope, ':', 1) as kind from faregate.spend_limit"

LIST_LIMITS = """
select scope, period, soft, hard, started_at, spent, held from faregate.spend_limit
where scope = any(cast(:scopes as text[])) or (cast(:prefix as text) is not null and starts_with(scope, :prefix))
order by scope, period limit 1000
"""

DROP_LIMIT = "delete from faregate.spend_limit where scope = :scope and period = :period returning scope"

DUE_WALLETS = """
select wallet_id from faregate.wallet
where next_change_at <= coalesce(cast(:now as timestamptz), clock_timestamp()) order by next_change_at limit :limit
"""

TRANSFER_COLUMNS = """wallet_id, seq, kind, debit_account, credit_account, amount, balance_after, corrects_seq, usage_key,
  operation_key, actor, reason, effective_at, created_at, hash,
  (select r.words from faregate.transfer_reason r
    where transfer.reason is not null and r.wallet_id = transfer.wallet_id and r.seq = transfer.seq) as words"""

LIST_TRANSFERS = f"""
select {TRANSFER_COLUMNS} from faregate.transfer
where wallet_id = :wallet_id and seq < :before order by seq desc limit :limit
"""  # noqa: S608

TRANSFER = f"""
select {TRANSFER_COLUMNS} from faregate.transfer where wallet_id = :wallet_id and seq = :seq
"""  # noqa: S608

CORRECTIONS = f"""
select {TRANSFER_COLUMNS} from faregate.transfer where wallet_id = :wallet_id and corrects_seq = :seq order by seq
"""  # noqa: S608

OPERATION = f"""
select {TRANSFER_COLUMNS} from faregate.transfer
where wallet_id = :wallet_id and operation_key = any(cast(:keys as text[])) order by seq
"""  # noqa: S608

SLICES = """
select wallet_id, seq, grant_id, amount from faregate.grant_slice
where wallet_id = :wallet_id and seq = any(cast(:seqs as bigint[])) order by seq, grant_id
"""

FILLED_BY = """
select t.seq from faregate.grant_slice s join faregate.transfer t on t.wallet_id = s.wallet_id and t.seq = s.seq
where s.wallet_id = :wallet_id and s.grant_id = :grant_id and s.amount > 0 and t.kind in (1, 7, 12)
order by t.kind, case when t.kind = 1 then -t.seq else t.seq end limit 1
"""
"""The last grant or renewal; for a grant made by a refund or a reinstatement, this."""

TRANSFERS_OF_CHARGE = f"""
select {TRANSFER_COLUMNS} from faregate.transfer
where wallet_id = :wallet_id and seq between :first_seq and :first_seq + 2 and usage_key = :usage_key
union all
select {TRANSFER_COLUMNS} from faregate.transfer
where wallet_id = :wallet_id and corrects_seq between :first_seq and :first_seq + 2
  and seq > :first_seq + 2 and usage_key = :usage_key
order by seq
"""  # noqa: S608

_WRITE_WALLETS = """
insert into faregate.wallet as w (wallet_id, credits, debits, held, earmarked, debt, clawback_debt, credit_limit, status, plan,
  low_balance, top_up_below, top_up_amount, top_up_order, top_up_not_before, next_change_at, last_seq, head_hash,
  changed_at, low_told_at, exhausted_told_at)
select * from unnest(cast(:w_wallet_id as bigint[]), cast(:w_credits as bigint[]), cast(:w_debits as bigint[]),
  cast(:w_held as bigint[]), cast(:w_earmarked as bigint[]), cast(:w_debt as bigint[]),
  cast(:w_clawback_debt as bigint[]), cast(:w_credit_limit as bigint[]),
  cast(:w_status as smallint[]), cast(:w_plan as text[]), cast(:w_low_balance as bigint[]),
  cast(:w_top_up_below as bigint[]), cast(:w_top_up_amount as bigint[]), cast(:w_top_up_order as uuid[]),
  cast(:w_top_up_not_before as timestamptz[]), cast(:w_next_change_at as timestamptz[]),
  cast(:w_last_seq as bigint[]), cast(:w_head_hash as bytea[]),
  cast(:w_changed_at as timestamptz[]), cast(:w_low_told_at as timestamptz[]),
  cast(:w_exhausted_told_at as timestamptz[]))
on conflict (wallet_id) do update set credits = excluded.credits, debits = excluded.debits, held = excluded.held,
  earmarked = excluded.earmarked, debt = excluded.debt, clawback_debt = excluded.clawback_debt,
  credit_limit = excluded.credit_limit, status = excluded.status, plan = excluded.plan, low_balance = excluded.low_balance,
  top_up_below = excluded.top_up_below, top_up_amount = excluded.top_up_amount, top_up_order = excluded.top_up_order,
  top_up_not_before = excluded.top_up_not_before, next_change_at = excluded.next_change_at,
  last_seq = excluded.last_seq, head_hash = excluded.head_hash, changed_at = excluded.changed_at,
  low_told_at = excluded.low_told_at, exhausted_told_at = excluded.exhausted_told_at
"""

_SAME_PAYER = "status = case when c.wallet_id = excluded.wallet_id then excluded.status end"
"""Only a charge of the same wallet is overwritten. If a charge of another wallet was inserted after the charges were read
(under the lock of that wallet), its status is set to null, which the table refuses."""

_WRITE_CHARGES = f"""
insert into faregate.charge as c (usage_key, wallet_id, subject_id, organization_id, feature_key, rule, status, hold,
  hold_grants, expires_at, start_hash, meaning_hash, consumed, charged, shortfall, flags, first_seq, balance_after,
  free_after, duration_ms, metadata, close_reason, created_at, closed_at, settled_at, limit_scopes)
select usage_key, wallet_id, subject_id, organization_id, feature_key, rule, status, hold, hold_grants::jsonb, expires_at,
  start_hash, meaning_hash, consumed, charged, shortfall, flags, first_seq, balance_after, free_after, duration_ms,
  metadata::jsonb, close_reason, created_at, closed_at, settled_at, string_to_array(limit_scopes, ' ')
from unnest(cast(:c_usage_key as text[]), cast(:c_wallet_id as bigint[]), cast(:c_subject_id as bigint[]),
  cast(:c_organization_id as bigint[]), cast(:c_feature_key as text[]), cast(:c_rule as text[]),
  cast(:c_status as smallint[]), cast(:c_hold as bigint[]), cast(:c_hold_grants as text[]),
  cast(:c_expires_at as timestamptz[]), cast(:c_start_hash as bytea[]), cast(:c_meaning_hash as bytea[]),
  cast(:c_consumed as bigint[]), cast(:c_charged as bigint[]), cast(:c_shortfall as bigint[]), cast(:c_flags as int[]),
  cast(:c_first_seq as bigint[]), cast(:c_balance_after as bigint[]), cast(:c_free_after as bigint[]),
  cast(:c_duration_ms as bigint[]), cast(:c_metadata as text[]), cast(:c_close_reason as text[]),
  cast(:c_created_at as timestamptz[]), cast(:c_closed_at as timestamptz[]), cast(:c_settled_at as timestamptz[]),
  cast(:c_limit_scopes as text[]))
  as n (usage_key, wallet_id, subject_id, organization_id, feature_key, rule, status, hold, hold_grants, expires_at,
  start_hash, meaning_hash, consumed, charged, shortfall, flags, first_seq, balance_after, free_after, duration_ms,
  metadata, close_reason, created_at, closed_at, settled_at, limit_scopes)
on conflict (usage_key) do update set {_SAME_PAYER}, hold = excluded.hold,
  hold_grants = excluded.hold_grants, expires_at = excluded.expires_at, meaning_hash = excluded.meaning_hash,
  consumed = excluded.consumed, charged = excluded.charged, shortfall = excluded.shortfall, flags = excluded.flags,
  first_seq = excluded.first_seq, balance_after = excluded.balance_after, free_after = excluded.free_after,
  duration_ms = excluded.duration_ms, metadata = coalesce(excluded.metadata, c.metadata),
  close_reason = coalesce(excluded.close_reason, c.close_reason), closed_at = excluded.closed_at, settled_at = excluded.settled_at
"""  # noqa: S608

_WRITE_HOLDS = f"""
insert into faregate.charge as c (usage_key, wallet_id, subject_id, organization_id, feature_key, rule, status, hold,
  hold_grants, expires_at, start_hash, metadata, created_at, limit_scopes)
select usage_key, wallet_id, subject_id, organization_id, feature_key, rule, 0, hold, hold_grants::jsonb, expires_at,
  start_hash, metadata::jsonb, created_at, string_to_array(limit_scopes, ' ')
from unnest(cast(:h_usage_key as text[]), cast(:h_wallet_id as bigint[]), cast(:h_subject_id as bigint[]),
  cast(:h_organization_id as bigint[]), cast(:h_feature_key as text[]), cast(:h_rule as text[]), cast(:h_hold as bigint[]),
  cast(:h_hold_grants as text[]), cast(:h_expires_at as timestamptz[]), cast(:h_start_hash as bytea[]),
  cast(:h_metadata as text[]), cast(:h_created_at as timestamptz[]), cast(:h_limit_scopes as text[]))
  as n (usage_key, wallet_id, subject_id, organization_id, feature_key, rule, hold, hold_grants, expires_at, start_hash,
  metadata, created_at, limit_scopes)
on conflict (usage_key) do update set {_SAME_PAYER}, hold = excluded.hold,
  hold_grants = excluded.hold_grants, expires_at = excluded.expires_at,
  metadata = coalesce(excluded.metadata, c.metadata)
"""  # noqa: S608
"""Open charges have no outcome, so that half of the columns suffice."""

_WRITE_GRANTS = """
insert into faregate.credit_grant as g (grant_id, wallet_id, source, burn_class, priority, amount, remaining, held,
  features, effective_at, expires_at, active, voided, every, rollover_min, rollover_max, next_renewal_at, key,
  meaning_hash, actor, reason, void_note, created_at)
select grant_id, wallet_id, source, burn_class, priority, amount, remaining, held, string_to_array(features, ' '),
  effective_at, expires_at, active, voided, every, rollover_min, rollover_max, next_renewal_at, key, meaning_hash, actor,
  reason, void_note::jsonb, created_at
from unnest(cast(:g_grant_id as uuid[]), cast(:g_wallet_id as bigint[]), cast(:g_source as text[]),
  cast(:g_burn_class as smallint[]), cast(:g_priority as smallint[]), cast(:g_amount as bigint[]),
  cast(:g_remaining as bigint[]), cast(:g_held as bigint[]), cast(:g_features as text[]),
  cast(:g_effective_at as timestamptz[]), cast(:g_expires_at as timestamptz[]), cast(:g_active as boolean[]),
  cast(:g_voided as boolean[]), cast(:g_every as text[]), cast(:g_rollover_min as bigint[]),
  cast(:g_rollover_max as bigint[]), cast(:g_next_renewal_at as timestamptz[]), cast(:g_key as text[]),
  cast(:g_meaning_hash as bytea[]), cast(:g_actor as text[]), cast(:g_reason as text[]),
  cast(:g_void_note as text[]), cast(:g_created_at as timestamptz[]))
  as n (grant_id, wallet_id, source, burn_class, priority, amount, remaining, held, features, effective_at, expires_at,
  active, voided, every, rollover_min, rollover_max, next_renewal_at, key, meaning_hash, actor, reason, void_note, created_at)
on conflict (grant_id) do update set remaining = excluded.remaining, held = excluded.held, active = excluded.active,
  voided = excluded.voided, expires_at = excluded.expires_at, every = excluded.every,
  next_renewal_at = excluded.next_renewal_at, void_note = excluded.void_note
"""

_WRITE_TRANSFERS = """
insert into faregate.transfer (wallet_id, seq, kind, debit_account, credit_account, amount, balance_after, corrects_seq,
  usage_key, operation_key, actor, reason, effective_at, created_at, hash)
select * from unnest(cast(:t_wallet_id as bigint[]), cast(:t_seq as bigint[]), cast(:t_kind as smallint[]),
  cast(:t_debit_account as smallint[]), cast(:t_credit_account as smallint[]), cast(:t_amount as bigint[]),
  cast(:t_balance_after as bigint[]), cast(:t_corrects_seq as bigint[]), cast(:t_usage_key as text[]),
  cast(:t_operation_key as text[]), cast(:t_actor as text[]), cast(:t_reason as text[]),
  cast(:t_effective_at as timestamptz[]), cast(:t_created_at as timestamptz[]), cast(:t_hash as bytea[]))
"""

_WRITE_REASONS = """
insert into faregate.transfer_reason (wallet_id, seq, salt, words)
select * from unnest(cast(:r_wallet_id as bigint[]), cast(:r_seq as bigint[]), cast(:r_salt as bytea[]),
  cast(:r_words as text[]))
"""

_WRITE_SLICES = """
insert into faregate.grant_slice (wallet_id, seq, grant_id, amount)
select * from unnest(cast(:s_wallet_id as bigint[]), cast(:s_seq as bigint[]), cast(:s_grant_id as uuid[]),
  cast(:s_amount as bigint[]))
"""

_WRITE_LIMITS = """
insert into faregate.spend_limit as l (scope, period, soft, hard, started_at, spent, held)
select * from unnest(cast(:l_scope as text[]), cast(:l_period as text[]), cast(:l_soft as bigint[]),
  cast(:l_hard as bigint[]), cast(:l_started_at as timestamptz[]), cast(:l_spent as bigint[]), cast(:l_held as bigint[]))
on conflict (scope, period) do update set soft = excluded.soft, hard = excluded.hard, started_at = excluded.started_at,
  spent = excluded.spent, held = excluded.held
"""

_WRITE_TOP_UPS = """
insert into faregate.top_up (order_id, wallet_id, amount)
select * from unnest(cast(:o_order_id as uuid[]), cast(:o_wallet_id as bigint[]), cast(:o_amount as bigint[]))
"""

WRITES = {
    "w": _WRITE_WALLETS,
    "h": _WRITE_HOLDS,
    "c": _WRITE_CHARGES,
    "g": _WRITE_GRANTS,
    "t": _WRITE_TRANSFERS,
    "r": _WRITE_REASONS,
    "s": _WRITE_SLICES,
    "l": _WRITE_LIMITS,
    "o": _WRITE_TOP_UPS,
}
"""One INSERT per kind of row; `LedgerRepository.write` combines those it needs into one statement."""

COPIES = {"t": "transfer", "s": "grant_slice"}
"""The append-only tables; large numbers of rows are written to them by COPY, which is much cheaper than INSERT."""


def write_statement(parts: str) -> str:
    """Return one statement that writes the kinds of rows named by the letters of `parts`."""
    *first, last = [WRITES[part] for part in parts]
    shared = ", ".join(f"p{n} as ({sql})" for n, sql in enumerate(first))
    return f"with {shared} {last}" if first else last
