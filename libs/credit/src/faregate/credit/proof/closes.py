# ruff: noqa: S608
"""Verification of closed months against transfers, slices and payments."""

from faregate.credit.closing.sql import BEFORE, COLUMNS, FATES_OF_SLICES, SUMS, VALUES, by_source, fillings
from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.proof.checks import Check, codes, wrong

__all__ = ["CLOSED_GRANTS", "CLOSED_WALLETS", "CLOSES"]

_MONEY = (*VALUES[:3], "received_cents", "repaid_cents")


def _equal(name: str, column: str) -> Check:
    """Return the check that a stored column equals the derived one, named `all_…`."""
    return Check(f"close {name}", f"d.{column} is distinct from d.all_{column}", f"d.{column}", f"d.all_{column}")


CLOSED_WALLETS = f"""
with closed as (
  select c.*, k.period, k.until, coalesce(lag(c.last_seq) over w, 0) as all_first_seq,
    coalesce(lag(c.closing) over w, 0) as all_opening
  from faregate.close_wallet c left join faregate.close k using (number)
  where c.wallet_id > :first and c.wallet_id <= :last
  window w as (partition by c.wallet_id order by c.number)
), picked as (
  select * from closed where {{picked}}
), moved as materialized (
  select t.*, p.number from picked p
  join faregate.transfer t on t.wallet_id = p.wallet_id and t.seq > p.first_seq and t.seq <= p.last_seq
), filled as ({fillings("moved", also="m.number, ")}
), granted as ({by_source("filled", keys="wallet_id, number")}
), sums as (
  select t.wallet_id, t.number, count(*) as transfers, max(t.effective_at) as last_at,
  {SUMS}
  from moved t group by t.wallet_id, t.number
), derived as (
  select p.*, coalesce(s.transfers, 0) as all_transfers, s.last_at, coalesce(g.granted, '{{{{}}}}') as all_granted,
    p.all_opening + coalesce(s.change, 0) as all_closing,
    {", ".join(f"coalesce(s.{column}, 0) as all_{column}" for column in COLUMNS)}
  from picked p left join sums s using (wallet_id, number) left join granted g using (wallet_id, number)
)
select d.wallet_id, d.last_seq as seq, d.period as item, c.check_name, c.stored, c.derived
from derived d
{
    wrong(
        Check("close", "d.period is null", "d.number", "'a closed month'"),
        _equal("first_seq", "first_seq"),
        Check(
            "close transfers",
            "d.last_seq - d.first_seq <> d.all_transfers",
            "d.last_seq - d.first_seq",
            "d.all_transfers",
        ),
        Check("close until", "d.last_at >= d.until", "d.last_at", "'before ' || d.until"),
        _equal("opening", "opening"),
        _equal("granted", "granted"),
        *(_equal(column, column) for column in COLUMNS),
        _equal("closing", "closing"),
    )
    .replace("{", "{{")
    .replace("}", "}}")
}
order by d.wallet_id, d.number limit 100
"""
"""Each range begins where the one before ended, and its sums follow from its transfers."""


def _share(part: str) -> str:
    """Return the cents of a part of a grant's credits, as `recognition.paid_value` rounds them."""
    return f"""(case when d.granted = 0 then 0
    else div(2 * d.all_paid_cents::numeric * ({part}) + d.granted, 2 * d.granted) end)::bigint"""


_USED, _LAPSED, _GONE = _share("d.used"), _share("d.used + d.expired"), _share("d.used + d.expired + d.forfeited")

CLOSED_GRANTS = f"""
with closed as (
  select g.*, coalesce(lag(g.seq) over w, 0) as first_seq, coalesce(lag(g.granted) over w, 0) as granted_before,
    coalesce(lag(g.used) over w, 0) as used_before, coalesce(lag(g.expired) over w, 0) as expired_before,
    coalesce(lag(g.forfeited) over w, 0) as forfeited_before, lead(g.number) over w is null as is_last
  from faregate.close_grant g where g.wallet_id > :first and g.wallet_id <= :last
  window w as (partition by g.grant_id order by g.number)
), picked as materialized (
  select * from closed where {{picked}}
), reach as (
  select wallet_id, min(first_seq) as first_seq, max(seq) as last_seq from picked group by wallet_id
), granting as (
  select t.* from reach r join faregate.transfer t on t.wallet_id = r.wallet_id and t.seq > r.first_seq and t.seq <= r.last_seq
  where t.kind = {codes(TransferKind.GRANT)}
), filled as materialized ({fillings("granting")}
), put as (
  select p.grant_id, p.number, sum(f.amount)::bigint as granted, sum(f.repaid)::bigint as repaid
  from picked p join filled f on f.wallet_id = p.wallet_id and f.grant_id = p.grant_id and f.seq > p.first_seq and f.seq <= p.seq
  group by 1, 2
), taken as (
  select p.grant_id, p.number, {FATES_OF_SLICES}
  from picked p
  join faregate.grant_slice s on s.wallet_id = p.wallet_id and s.grant_id = p.grant_id and s.seq > p.first_seq and s.seq <= p.seq
  join faregate.transfer t on t.wallet_id = s.wallet_id and t.seq = s.seq
  group by 1, 2
), heads as (
  select distinct on (c.wallet_id) c.wallet_id, c.last_seq from faregate.close_wallet c
  where c.wallet_id > :first and c.wallet_id <= :last order by c.wallet_id, c.number desc
), lefts as (
  select p.grant_id, sum(s.amount)::bigint as amount
  from picked p join heads h using (wallet_id)
  join faregate.grant_slice s on s.wallet_id = p.wallet_id and s.grant_id = p.grant_id and s.seq <= h.last_seq
  where p.is_last group by 1
), derived as (
  select p.*, k.period, p.granted_before + coalesce(u.granted, 0) as all_granted,
    p.used_before + coalesce(t.used, 0) + coalesce(u.repaid, 0) as all_used,
    p.expired_before + coalesce(t.expired, 0) as all_expired, p.forfeited_before + coalesce(t.forfeited, 0) as all_forfeited,
    coalesce((select sum(y.cents) from faregate.grant_payment y
      where y.grant_id = p.grant_id and y.number <= p.number), 0)::bigint as all_paid_cents,
    case when p.is_last then coalesce(l.amount, 0) end as all_left
  from picked p left join faregate.close k using (number) left join put u using (grant_id, number)
  left join taken t using (grant_id, number) left join lefts l using (grant_id)
)
select d.wallet_id, d.seq, d.grant_id::text as item, c.check_name, c.stored, c.derived
from derived d
{
    wrong(
        Check("close", "d.period is null", "d.number", "'a closed month'"),
        *(_equal(f"grant {name}", name) for name in ("granted", "used", "expired", "forfeited", "paid_cents")),
        Check(
            "close grant left",
            "d.granted - d.used - d.expired - d.forfeited <> d.all_left",
            "d.granted - d.used - d.expired - d.forfeited",
            "d.all_left",
        ),
        Check("close grant revenue_cents", f"d.revenue_cents <> {_USED}", "d.revenue_cents", _USED),
        Check(
            "close grant breakage_cents",
            f"d.breakage_cents <> {_LAPSED} - {_USED}",
            "d.breakage_cents",
            f"{_LAPSED} - {_USED}",
        ),
        Check(
            "close grant forfeited_cents",
            f"d.forfeited_cents <> {_GONE} - {_LAPSED}",
            "d.forfeited_cents",
            f"{_GONE} - {_LAPSED}",
        ),
        Check(
            "close grant deferred_cents",
            f"d.deferred_cents <> d.all_paid_cents - {_GONE}",
            "d.deferred_cents",
            f"d.all_paid_cents - {_GONE}",
        ),
    )
}
order by d.wallet_id, d.number limit 100
"""
"""Each division of a price follows from the slices of its grant since it began, and from the payments up to the close."""


def _sum_of_wallets(column: str) -> str:
    return f"coalesce(sum(c.{column}), 0)::bigint as all_{column}"


CLOSES = f"""
with closes as (
  select k.*, lag(k.number) over w as previous, lag(k.until) over w as all_since, coalesce(lag(k.closing) over w, 0) as all_opening,
    coalesce(lag(k.deferred_closing_cents) over w, 0) as all_deferred_opening_cents
  from faregate.close k window w as (order by k.number)
), wallets as (
  select c.number, count(*) as all_wallets, coalesce(sum(c.last_seq - c.first_seq), 0)::bigint as all_transfers,
    coalesce(sum(c.closing - c.opening), 0)::bigint as change, {
    ", ".join(_sum_of_wallets(column) for column in COLUMNS)
}
  from faregate.close_wallet c group by c.number
), sources as (
  select number, jsonb_object_agg(source, amount) as all_granted from (
    select w.number, e.key as source, sum(e.value::bigint)::bigint as amount
    from faregate.close_wallet w cross join lateral jsonb_each_text(w.granted) e group by 1, 2
  ) s group by number
), flows as (
  select number, jsonb_object_agg(flow, amount) as all_flows from (
    select c.number, t.debit_account || '>' || t.credit_account as flow, sum(t.amount)::bigint as amount
    from faregate.close_wallet c
    join faregate.transfer t on t.wallet_id = c.wallet_id and t.seq > c.first_seq and t.seq <= c.last_seq group by 1, 2
  ) f group by number
), money as (
  select g.number, sum(g.deferred_cents - coalesce(b.deferred_cents, 0))::bigint as deferred_change,
    {", ".join(f"sum(g.{column} - coalesce(b.{column}, 0))::bigint as all_{column}" for column in VALUES[:3])}
  from faregate.close_grant g {BEFORE}
  group by g.number
), payments as (
  select number, coalesce(sum(cents) filter (where cents > 0), 0)::bigint as all_received_cents,
    coalesce(-sum(cents) filter (where cents < 0), 0)::bigint as all_repaid_cents
  from faregate.grant_payment where number is not null group by number
), derived as (
  select k.*, coalesce(w.all_wallets, 0) as all_wallets, coalesce(w.all_transfers, 0) as all_transfers,
    coalesce(s.all_granted, '{{}}') as all_granted, coalesce(f.all_flows, '{{}}') as all_flows,
    k.all_opening + coalesce(w.change, 0) as all_closing,
    k.all_deferred_opening_cents + coalesce(m.deferred_change, 0) as all_deferred_closing_cents,
    {", ".join(f"coalesce(w.all_{column}, 0) as all_{column}" for column in COLUMNS)},
    {", ".join(f"coalesce(m.all_{column}, 0) as all_{column}" for column in VALUES[:3])},
    coalesce(p.all_received_cents, 0) as all_received_cents, coalesce(p.all_repaid_cents, 0) as all_repaid_cents
  from closes k left join wallets w using (number) left join sources s using (number) left join flows f using (number)
  left join money m using (number) left join payments p using (number)
)
select null::bigint as wallet_id, null::bigint as seq, d.period as item, c.check_name, c.stored, c.derived
from derived d
{
    wrong(
        Check("close number", "d.number <> coalesce(d.previous + 1, 0)", "d.number", "coalesce(d.previous + 1, 0)"),
        _equal("since", "since"),
        *(_equal(name, name) for name in ("wallets", "transfers", "opening", "granted", *COLUMNS, "closing", "flows")),
        *(_equal(name, name) for name in ("deferred_opening_cents", *_MONEY, "deferred_closing_cents")),
        Check(
            "close deferred revenue",
            "d.deferred_opening_cents + d.received_cents - d.repaid_cents - d.revenue_cents - d.breakage_cents - d.forfeited_cents"
            " <> d.deferred_closing_cents",
            "d.deferred_closing_cents",
            "d.deferred_opening_cents + d.received_cents - d.repaid_cents - d.revenue_cents - d.breakage_cents - d.forfeited_cents",
        ),
    )
}
order by d.number limit 100
"""
"""Each total is the sum over its wallets and grants, and each month begins where the one before ended."""
