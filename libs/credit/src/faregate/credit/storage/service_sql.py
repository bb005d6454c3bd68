"""SQL of accounting, gauges and top-ups."""

__all__ = [
    "ACCOUNTING_BALANCE_AT_SEQ",
    "ACCOUNTING_HEADS",
    "ACCOUNTING_SEQ_AT",
    "ACCOUNTING_SUMS_OF_ALL",
    "ACCOUNTING_SUMS_OF_WALLET",
    "GAUGES_HOLDS",
    "TOP_UP_DECLINED",
    "TOP_UP_ORDER",
    "TOP_UP_PAID",
]

ACCOUNTING_SEQ_AT = """
with recursive bisect (low, high) as (
  select cast(0 as bigint), (select last_seq from faregate.wallet where wallet_id = :wallet_id)
  union all
  select case when middle.early then b.low + (b.high - b.low + 1) / 2 else b.low end,
    case when middle.early then b.high else b.low + (b.high - b.low + 1) / 2 - 1 end
  from bisect b
  cross join lateral (
    select effective_at < cast(:moment as timestamptz) as early from faregate.transfer
    where wallet_id = :wallet_id and seq = b.low + (b.high - b.low + 1) / 2
  ) middle
  where b.low < b.high
)
select low as seq from bisect where low = high
"""
"""A wallet's transfers are ordered by time, so that the last one before a moment is found by binary search."""

ACCOUNTING_BALANCE_AT_SEQ = "select balance_after from faregate.transfer where wallet_id = :wallet_id and seq = :seq"

ACCOUNTING_SUMS_OF_WALLET = """
select t.kind, t.debit_account, t.credit_account, sum(t.amount) as amount, sum(coalesce(p.paid, 0)) as paid
from faregate.transfer t
left join lateral (
  select sum(s.amount) as paid from faregate.grant_slice s
  join faregate.credit_grant g on g.grant_id = s.grant_id and g.source = any(cast(:paid_sources as text[]))
  where s.wallet_id = t.wallet_id and s.seq = t.seq
) p on true
where t.wallet_id = :wallet_id and t.seq > :first and t.seq <= :last
group by 1, 2, 3
"""

ACCOUNTING_SUMS_OF_ALL = """
select t.kind, t.debit_account, t.credit_account, sum(t.amount) as amount, sum(coalesce(p.paid, 0)) as paid
from faregate.transfer t
left join (
  select s.wallet_id, s.seq, sum(s.amount) as paid from faregate.grant_slice s
  join faregate.credit_grant g on g.grant_id = s.grant_id and g.source = any(cast(:paid_sources as text[]))
  group by 1, 2
) p on p.wallet_id = t.wallet_id and p.seq = t.seq
where (cast(:since as timestamptz) is null or t.effective_at >= :since)
  and t.effective_at < cast(:until as timestamptz)
group by 1, 2, 3
"""

ACCOUNTING_HEADS = "select wallet_id, last_seq, head_hash from faregate.wallet where last_seq > 0 order by wallet_id"

GAUGES_HOLDS = """
select count(*) as open, coalesce(sum(hold), 0)::bigint as held,
  count(*) filter (where expires_at <= clock_timestamp()) as lapsed
from faregate.charge where status = 0
"""

TOP_UP_ORDER = "select wallet_id, amount, status from faregate.top_up where order_id = :order_id"

TOP_UP_PAID = """
update faregate.top_up
set status = 'paid', reference = coalesce(cast(:reference as text), reference), closed_at = clock_timestamp()
where order_id = :order_id and status <> 'paid'
"""

TOP_UP_DECLINED = """
update faregate.top_up set status = 'declined', detail = cast(:detail as text), closed_at = clock_timestamp()
where order_id = :order_id and status = 'requested' returning order_id
"""
