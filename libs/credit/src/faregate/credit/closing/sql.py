# ruff: noqa: S608
"""SQL that closes a month.

A close is one range of sequence numbers for each wallet: after the last transfer of the close before, up to the last one that took
effect before the end of the month. One statement reads all ranges, so that a transfer that commits later has a higher number than
any of its wallet's range and belongs to the next close.
"""

from faregate.credit.closing.movements import FATES, MOVEMENTS, SIGNS, Fate, Movement
from faregate.credit.ledger.accounts import GRANT_ORIGINS, Account, TransferKind

__all__ = [
    "ADD_CLOSE",
    "ADD_WALLETS",
    "ASSIGN_PAYMENTS",
    "BEFORE",
    "COLUMNS",
    "DUE_WALLETS",
    "FATES_OF_SLICES",
    "FLOW_SUMS",
    "GRANTS_OF_CLOSE",
    "LATE_COUNT",
    "LATE_PAYMENTS",
    "LATE_TRANSFERS",
    "LOCK_CLOSES",
    "MONEY_SUMS",
    "MOVEMENT_SUMS",
    "NOW",
    "PLANNER",
    "SUMS",
    "UNVALUED",
    "VALUES",
    "WALLET_BOUNDS",
    "WITHOUT_LIMITS",
    "by_source",
    "fillings",
    "grown",
]

_GRANT, _LIMIT, _SHORTFALL = int(TransferKind.GRANT), int(TransferKind.LIMIT_CHARGE), int(TransferKind.SHORTFALL)
_LOST = (
    f"case when t.kind = {_SHORTFALL} then t.amount when t.kind = {int(TransferKind.REINSTATEMENT)} "
    f"and t.credit_account = {int(Account.SHORTFALL)} then -t.amount end"
)
_USES = "2, 3, 4, 10"
_CHANGE = "case when t.credit_account = 1 then t.amount when t.debit_account = 1 then -t.amount else 0 end"
_ADJUSTED_UP = f"t.kind = {_GRANT} and t.debit_account = {int(Account.ADJUSTMENT)}"
_ORIGIN = (
    "case c.source "
    + " ".join(f"when '{source}' then {int(origin)}" for source, origin in GRANT_ORIGINS.items())
    + " end"
)
_SOURCE = f"""case m.debit_account when {int(Account.PURCHASES)} then 'purchase' when {int(Account.PROMOTION)} then 'bonus'
    when {int(Account.REVENUE)} then 'refund' else 'adjustment' end"""

COLUMNS = ("used", "used_on_limit", "expired", "voided", "refunded", "adjusted", "charged_back", "shortfall")
"""The columns of a statement that are one number, in the order of the tables."""


def _kinds(movement: Movement) -> str:
    return ", ".join(str(int(kind)) for kind, found in MOVEMENTS.items() if found is movement)


def _sum(movement: Movement) -> str:
    """Return the sum of a column over transfers `t`."""
    condition = f"t.kind in ({_kinds(movement)})"
    if movement is Movement.ADJUSTED:
        condition = f"({condition} or {_ADJUSTED_UP})"
    return f"coalesce(sum({SIGNS[movement]} * ({_CHANGE})) filter (where {condition}), 0)::bigint as {movement}"


SUMS = ",\n  ".join(
    [
        *(_sum(movement) for movement in Movement if movement is not Movement.GRANTED),
        f"coalesce(sum(t.amount) filter (where t.kind = {_LIMIT}), 0)::bigint as used_on_limit",
        f"coalesce(sum({_LOST}), 0)::bigint as shortfall",
        f"sum({_CHANGE})::bigint as change",
    ]
)
"""The columns of a statement over transfers `t`; `granted` is summed by source."""


def fillings(relation: str, *, also: str = "") -> str:
    """Return the query of the grants that transfers of `relation` filled (and the column `also`): the slice says which.

    A filling that went entirely into repaying the credit limit has no slice; its grant is the one of that amount and account that
    began last. Only columns that never change are compared, so that the answer is always the same.
    """
    return f"""
  select m.wallet_id, {also}m.seq, m.amount, m.debit_account, m.amount - coalesce(s.amount, 0) as repaid, g.grant_id,
    coalesce(g.source, {_SOURCE}) as source
  from {relation} m
  left join faregate.grant_slice s on s.wallet_id = m.wallet_id and s.seq = m.seq
  left join lateral (
    select c.grant_id, c.source from faregate.credit_grant c where c.grant_id = s.grant_id
    union all
    (select c.grant_id, c.source from faregate.credit_grant c
     where s.grant_id is null and c.wallet_id = m.wallet_id and c.features is null and c.amount <= m.amount
       and {_ORIGIN} = m.debit_account and c.created_at <= m.created_at and c.effective_at <= m.effective_at
     order by (c.created_at = m.created_at) desc, (c.effective_at = m.effective_at) desc, c.created_at desc, c.grant_id limit 1)
  ) g on true
  where m.kind = {_GRANT}"""


def by_source(relation: str, *, keys: str = "wallet_id") -> str:
    """Return the query of what was granted by source to each wallet (or by other `keys`), without adjustments."""
    return f"""
  select {keys}, jsonb_object_agg(source, amount) as granted from (
    select {keys}, source, sum(amount)::bigint as amount from {relation}
    where debit_account <> {int(Account.ADJUSTMENT)} group by {keys}, source
  ) f group by {keys}"""


WITHOUT_LIMITS = """
select set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
  set_config('idle_in_transaction_session_timeout', '0', true)
"""
"""A close may wait for another one, and takes as long as the month is large."""

LOCK_CLOSES = "lock table faregate.close in share row exclusive mode"

NOW = "select coalesce(cast(:now as timestamptz), clock_timestamp()) as now"

DUE_WALLETS = """
select wallet_id from faregate.wallet
where next_change_at < cast(:until as timestamptz) and wallet_id > :after order by wallet_id limit :limit
"""

ADD_WALLETS = f"""
insert into faregate.close_wallet (number, wallet_id, first_seq, last_seq, opening, granted, {", ".join(COLUMNS)}, closing)
with heads as (
  select w.wallet_id, coalesce(p.last_seq, 0) as first_seq, coalesce(p.closing, 0) as opening
  from faregate.wallet w
  left join lateral (
    select c.last_seq, c.closing from faregate.close_wallet c where c.wallet_id = w.wallet_id order by c.number desc limit 1
  ) p on true
  where w.last_seq > coalesce(p.last_seq, 0)
), moved as materialized (
  select t.*, h.first_seq, h.opening from heads h
  join faregate.transfer t on t.wallet_id = h.wallet_id and t.seq > h.first_seq
  where t.effective_at < cast(:until as timestamptz)
), filled as ({fillings("moved")}
), granted as ({by_source("filled")}
), sums as (
  select t.wallet_id, min(t.first_seq) as first_seq, max(t.seq) as last_seq, min(t.opening) as opening,
  {SUMS}
  from moved t group by t.wallet_id
)
select :number, s.wallet_id, s.first_seq, s.last_seq, s.opening, coalesce(g.granted, '{{}}'),
  {", ".join(f"s.{column}" for column in COLUMNS)}, s.opening + s.change
from sums s left join granted g using (wallet_id)
"""

ASSIGN_PAYMENTS = """
update faregate.grant_payment set number = :number where number is null and paid_at < cast(:until as timestamptz)
"""

PLANNER = "select set_config('enable_nestloop', cast(:nestloop as text), true)"
"""A range of many wallets is joined by hashes, whatever the statistics of tables say that this transaction has just filled."""

WALLET_BOUNDS = """
select wallet_id from (
  select wallet_id, row_number() over (order by wallet_id) as place from faregate.close_wallet where number = :number
) w where place % :size = 0 order by wallet_id
"""


def _fate(fate: Fate) -> str:
    """Return the sum of slices `s` of transfers `t` that had this fate."""
    movements = [movement for movement, found in FATES.items() if found is fate]
    kinds = ", ".join(_kinds(movement) for movement in movements)
    return f"coalesce(sum(-s.amount) filter (where t.kind in ({kinds})), 0)::bigint as {fate}"


FATES_OF_SLICES = ", ".join(_fate(fate) for fate in Fate)

GRANTS_OF_CLOSE = f"""
with part as (
  select c.wallet_id, c.first_seq, c.last_seq from faregate.close_wallet c
  where c.number = :number and c.wallet_id > :first and c.wallet_id <= :last
), granting as (
  select t.* from part p join faregate.transfer t on t.wallet_id = p.wallet_id and t.seq > p.first_seq and t.seq <= p.last_seq
  where t.kind = {_GRANT}
), filled as ({fillings("granting")}
), touched as materialized (
  select s.wallet_id, s.grant_id from part p
  join faregate.grant_slice s on s.wallet_id = p.wallet_id and s.seq > p.first_seq and s.seq <= p.last_seq
  union select wallet_id, grant_id from filled where grant_id is not null
  union select wallet_id, grant_id from faregate.grant_payment
  where number = :number and wallet_id > :first and wallet_id <= :last
), paid as (
  select t.wallet_id, t.grant_id, sum(p.cents)::bigint as paid_cents
  from touched t join faregate.grant_payment p on p.grant_id = t.grant_id and p.number <= :number group by t.wallet_id, t.grant_id
), known as materialized (
  select p.wallet_id, p.grant_id, p.paid_cents, coalesce(b.seq, 0) as first_seq, coalesce(h.last_seq, 0) as last_seq,
    coalesce(b.granted, 0) as granted, coalesce(b.used, 0) as used, coalesce(b.expired, 0) as expired,
    coalesce(b.forfeited, 0) as forfeited
  from paid p
  left join lateral (
    select c.* from faregate.close_grant c where c.grant_id = p.grant_id order by c.number desc limit 1
  ) b on true
  left join lateral (
    select c.last_seq from faregate.close_wallet c where c.wallet_id = p.wallet_id order by c.number desc limit 1
  ) h on true
), reach as (
  select wallet_id, min(first_seq) as first_seq, max(last_seq) as last_seq from known group by wallet_id
), refilling as (
  select t.* from reach r join faregate.transfer t on t.wallet_id = r.wallet_id and t.seq > r.first_seq and t.seq <= r.last_seq
  where t.kind = {_GRANT}
), refilled as materialized ({fillings("refilling")}
), put as (
  select k.grant_id, sum(f.amount)::bigint as granted, sum(f.repaid)::bigint as repaid
  from known k join refilled f on f.wallet_id = k.wallet_id and f.grant_id = k.grant_id and f.seq > k.first_seq group by k.grant_id
), taken as (
  select k.grant_id, {FATES_OF_SLICES}
  from known k
  join faregate.grant_slice s on s.wallet_id = k.wallet_id and s.grant_id = k.grant_id
    and s.seq > k.first_seq and s.seq <= k.last_seq
  join faregate.transfer t on t.wallet_id = s.wallet_id and t.seq = s.seq
  group by k.grant_id
)
select k.grant_id, k.wallet_id, k.last_seq as seq, k.paid_cents,
  k.granted + coalesce(p.granted, 0) as granted, k.used + coalesce(t.used, 0) + coalesce(p.repaid, 0) as used,
  k.expired + coalesce(t.expired, 0) as expired, k.forfeited + coalesce(t.forfeited, 0) as forfeited
from known k left join put p using (grant_id) left join taken t using (grant_id)
order by k.wallet_id, k.grant_id
"""
"""What has become of each paid grant that changed in the close, since it began. The credits of a filling that repaid the credit
limit were used before: they are used at once."""

MOVEMENT_SUMS = f"""
select count(*) as wallets, coalesce(sum(c.last_seq - c.first_seq), 0)::bigint as transfers,
  {", ".join(f"coalesce(sum(c.{column}), 0)::bigint as {column}" for column in COLUMNS)},
  coalesce(sum(c.closing - c.opening), 0)::bigint as change,
  coalesce((
    select jsonb_object_agg(g.source, g.amount) from (
      select e.key as source, sum(e.value::bigint)::bigint as amount
      from faregate.close_wallet w cross join lateral jsonb_each_text(w.granted) e where w.number = :number group by e.key
    ) g), '{{}}') as granted
from faregate.close_wallet c where c.number = :number
"""

FLOW_SUMS = """
select coalesce(jsonb_object_agg(f.flow, f.amount), '{}') as flows from (
  select t.debit_account || '>' || t.credit_account as flow, sum(t.amount)::bigint as amount
  from faregate.close_wallet c
  join faregate.transfer t on t.wallet_id = c.wallet_id and t.seq > c.first_seq and t.seq <= c.last_seq
  where c.number = :number group by t.debit_account, t.credit_account
) f
"""

BEFORE = """left join lateral (
  select b.* from faregate.close_grant b where b.grant_id = g.grant_id and b.number < g.number order by b.number desc limit 1
) b on true"""


def grown(column: str, condition: str = "") -> str:
    """Return by how much a sum of close grants `g` has grown since the rows `b` before them."""
    return f"coalesce(sum(g.{column} - coalesce(b.{column}, 0)) {condition}, 0)::bigint as {column}"


VALUES = ("revenue_cents", "breakage_cents", "forfeited_cents", "deferred_cents")

MONEY_SUMS = f"""
select {", ".join(grown(column) for column in VALUES)},
  (select coalesce(sum(p.cents) filter (where p.cents > 0), 0)::bigint from faregate.grant_payment p
   where p.number = :number) as received_cents,
  (select coalesce(-sum(p.cents) filter (where p.cents < 0), 0)::bigint from faregate.grant_payment p
   where p.number = :number) as repaid_cents
from faregate.close_grant g {BEFORE}
where g.number = :number
"""

UNVALUED = f"""
with granting as (
  select t.* from faregate.close_wallet c
  join faregate.transfer t on t.wallet_id = c.wallet_id and t.seq > c.first_seq and t.seq <= c.last_seq
  where c.number = :number and t.kind = {_GRANT} and t.debit_account = {int(Account.PURCHASES)}
), filled as ({fillings("granting")}
)
select coalesce(sum(f.amount), 0)::bigint as unvalued from filled f
where not exists (select from faregate.grant_payment p where p.grant_id = f.grant_id and p.number <= :number)
"""

LATE_TRANSFERS = f"""
select t.wallet_id, t.seq, 'transfer' as kind, {_CHANGE} as amount, null::uuid as grant_id, null::text as key,
  least(t.effective_at, h.created_at) as happened_at, t.created_at as recorded_at
from faregate.close_wallet c
join faregate.transfer t on t.wallet_id = c.wallet_id and t.seq > c.first_seq and t.seq <= c.last_seq
left join faregate.charge h on h.usage_key = t.usage_key and h.wallet_id = t.wallet_id and t.kind in ({_USES})
where c.number = :number and least(t.effective_at, h.created_at) < cast(:since as timestamptz)
"""
"""Transfers that took effect before the month, and those of uses that began before it."""

LATE_PAYMENTS = """
select p.wallet_id, 0 as seq, 'payment' as kind, p.cents as amount, p.grant_id, p.key, p.paid_at as happened_at, p.recorded_at
from faregate.grant_payment p where p.number = :number and p.paid_at < cast(:since as timestamptz)
"""

LATE_COUNT = f"select count(*) as late from ({LATE_TRANSFERS} union all {LATE_PAYMENTS}) l"

_TOTALS = (
    *(
        "number",
        "period",
        "timezone",
        "since",
        "until",
        "closed_at",
        "wallets",
        "transfers",
        "late",
        "unvalued",
        "opening",
    ),
    *("granted", *COLUMNS, "closing", "flows", "received_cents", "repaid_cents", *VALUES[:3]),
    *("deferred_opening_cents", "deferred_closing_cents"),
)
_CASTS = {"since": "timestamptz", "granted": "jsonb", "flows": "jsonb"}

ADD_CLOSE = f"""
insert into faregate.close ({", ".join(_TOTALS)})
values ({", ".join(f"cast(:{name} as {_CASTS[name]})" if name in _CASTS else f":{name}" for name in _TOTALS)})
returning *
"""
