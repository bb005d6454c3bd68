# ruff: noqa: S608
"""Verification of charges, corrections, top-up orders and spending limits."""

from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.proof.checks import Check, codes, wrong

__all__ = ["CHARGES", "CORRECTIONS", "LIMITS", "PURCHASES", "TOP_UPS"]

_CHARGES = codes(TransferKind.CHARGE, TransferKind.LIMIT_CHARGE, TransferKind.REPRICE)

_PAYER = "case d.rule when 'pooled' then d.organization_id else d.subject_id end"
"""The payer: the organisation's pool, otherwise the user (whose wallet also lists recorded uses)."""

CHARGES = f"""
with paid as (
  select t.wallet_id, t.usage_key, coalesce(sum(t.amount) filter (where t.kind in ({_CHARGES})), 0) as charged,
    coalesce(sum(t.amount) filter (where t.kind = 4), 0) as shortfall,
    min(t.seq) as first_seq, min(t.balance_after) filter (where t.kind <> 10) as balance_after
  from ({{new}}) t
  where t.usage_key is not null and t.kind in (2, 3, 4, 10) group by t.wallet_id, t.usage_key
), derived as (
  select wallet_id, usage_key, c.status is null as missing, c.rule, c.subject_id, c.organization_id,
    c.status, c.consumed, c.charged, c.shortfall, c.flags,
    c.first_seq, c.balance_after, c.settled_at, coalesce(p.charged, 0) as all_charged,
    coalesce(p.shortfall, 0) as all_shortfall, p.first_seq as all_first_seq, p.balance_after as all_balance_after
  from {{charges}} join paid p using (wallet_id, usage_key)
)
select d.wallet_id, coalesce(d.all_first_seq, d.first_seq) as seq, d.usage_key as item, c.check_name, c.stored, c.derived
from derived d
left join faregate.wallet w on w.wallet_id = d.wallet_id
{
    wrong(
        Check("charge", "d.missing", "'no row'", "'a row'"),
        Check("charge wallet", "w.wallet_id is null", "d.wallet_id", "'a wallet'"),
        Check(
            "charge payer",
            f"not d.missing and d.wallet_id is distinct from {_PAYER}",
            "d.wallet_id",
            f"d.rule || ': ' || coalesce(({_PAYER})::text, 'nobody')",
        ),
        Check("charge rule", "d.rule = 'recorded' and d.charged <> 0", "d.charged", "'0, recorded'"),
        Check(
            "charge organization",
            "not d.missing and (d.rule = 'individual') <> (d.organization_id is null)",
            "d.organization_id",
            "d.rule",
        ),
        Check("charge status", "d.status <> 1 and d.all_first_seq is not null", "d.status", "1"),
        Check("charge charged", "d.charged <> d.all_charged", "d.charged", "d.all_charged"),
        Check("charge shortfall", "d.shortfall <> d.all_shortfall", "d.shortfall", "d.all_shortfall"),
        Check(
            "charge consumed",
            "d.charged + d.shortfall not in (0, d.consumed)",
            "d.consumed",
            "d.charged + d.shortfall",
        ),
        Check(
            "charge flags",
            "((d.flags & 8) = 8) <> (d.shortfall > 0)",
            "d.flags",
            "'shortfall ' || case when d.shortfall > 0 then 'set' else 'unset' end",
        ),
        Check("charge first_seq", "d.first_seq is distinct from d.all_first_seq", "d.first_seq", "d.all_first_seq"),
        Check(
            "charge balance_after",
            '''d.balance_after <> d.all_balance_after and not exists (
    select from faregate.transfer t where t.wallet_id = d.wallet_id and t.seq > d.all_first_seq
      and t.created_at = d.settled_at and t.balance_after = d.balance_after)''',
            "d.balance_after",
            "d.all_balance_after",
        ),
        Check(
            "charge settled_at",
            "(d.settled_at is null) <> (d.status <> 1)",
            "d.settled_at",
            "case when d.status = 1 then 'a moment' else 'nothing' end",
        ),
    )
}
order by d.wallet_id, seq limit 100
"""

_SAME_GRANT = """select from faregate.grant_slice taken
  join faregate.grant_slice filled on filled.wallet_id = taken.wallet_id and filled.grant_id = taken.grant_id
  where taken.wallet_id = g.wallet_id and taken.seq = g.seq and filled.seq = g.corrects_seq and filled.amount > 0"""

CORRECTIONS = f"""
with given as (
  select wallet_id, corrects_seq, case when kind in (4, 9, 11, 12) then 9 else kind end as kind,
    sum(case kind when 12 then -amount else amount end) as amount, max(seq) as seq, min(usage_key) as usage_key
  from faregate.transfer where corrects_seq is not null and kind in (4, 6, 7, 9, 11, 12)
  group by 1, 2, 3
)
select g.wallet_id, g.seq, 'of ' || g.corrects_seq as item, c.check_name, c.stored, c.derived
from given g
left join faregate.transfer o on o.wallet_id = g.wallet_id and o.seq = g.corrects_seq
{
    wrong(
        Check(
            "refund",
            f"g.kind = 7 and (o.seq is null or o.kind not in ({_CHARGES}) or o.usage_key is distinct from g.usage_key)",
            "'of transfer ' || g.corrects_seq",
            "'of a charge of the same use'",
        ),
        Check("refund amount", "g.kind = 7 and g.amount > o.amount", "g.amount", "'at most ' || o.amount"),
        Check(
            "grant void",
            f"g.kind = 6 and not exists ({_SAME_GRANT})",
            "'of transfer ' || g.corrects_seq",
            "'of the grant'",
        ),
        Check(
            "charge-back",
            "g.kind = 9 and (o.seq is null or o.kind <> 1 or o.debit_account <> 6)",
            "'of transfer ' || g.corrects_seq",
            "'of a purchase'",
        ),
        Check(
            "charge-back amount",
            "g.kind = 9 and g.amount not between 0 and o.amount",
            "g.amount",
            "'0 to ' || o.amount",
        ),
    )
}
order by g.wallet_id, g.seq limit 100
"""

_GRANT_KEY = "case when p.order_id is null then 'payment:' || p.purchase_id else 'top-up:' || p.order_id end"
_GRANT_KEYS = f"{_GRANT_KEY}, 'operation:' || encode(sha256(convert_to({_GRANT_KEY}, 'UTF8')), 'hex')"

TOP_UPS = f"""
select coalesce(t.wallet_id, w.wallet_id) as wallet_id, null as seq, coalesce(t.order_id, w.top_up_order)::text as item,
  c.check_name, c.stored, c.derived
from faregate.top_up t
full join (select wallet_id, top_up_order from faregate.wallet where top_up_order is not null) w
  on w.top_up_order = t.order_id and w.wallet_id = t.wallet_id
left join faregate.credit_grant g on g.wallet_id = t.wallet_id and g.key = 'top-up:' || t.order_id
{
    wrong(
        Check(
            "top-up order",
            "t.order_id is null or (t.status <> 'requested' and w.wallet_id is not null)",
            "coalesce(t.status, 'no row')",
            "'requested'",
        ),
        Check("top-up under way", "t.status = 'requested' and w.wallet_id is null", "'none'", "t.order_id"),
        Check("top-up grant", "t.status = 'paid' and g.amount is distinct from t.amount", "g.amount", "t.amount"),
        Check("top-up unpaid", "t.status <> 'paid' and g.grant_id is not null", "t.status", "'paid'"),
    )
}
order by 1 limit 100
"""

PURCHASES = f"""
with moved as (
  select p.purchase_id, f.seq, f.amount as granted,
    coalesce(sum(case when c.kind in (9, 11) then c.amount when c.kind = 12 and c.credit_account = 1 then -c.amount end), 0)
      as taken,
    coalesce(sum(case when c.kind = 4 then c.amount when c.kind = 12 and c.credit_account = 5 then -c.amount end), 0) as lost
  from faregate.purchase p
  left join faregate.transfer f on f.wallet_id = p.wallet_id and f.kind = 1 and f.operation_key in ({_GRANT_KEYS})
  left join faregate.transfer c on c.wallet_id = p.wallet_id and c.corrects_seq = f.seq and c.kind in (4, 9, 11, 12)
  group by p.purchase_id, f.seq, f.amount
)
select p.wallet_id, m.seq, p.purchase_id::text as item, c.check_name, c.stored, c.derived
from faregate.purchase p join moved m using (purchase_id)
{
    wrong(
        Check("purchase granted", "p.granted > 0 and p.granted is distinct from m.granted", "p.granted", "m.granted"),
        Check("purchase taken", "p.taken > m.taken", "p.taken", "m.taken"),
        Check("purchase lost", "p.lost > m.lost", "p.lost", "m.lost"),
    )
}
order by 1, 2 limit 100
"""
"""A charge-back by an operator takes more than the payment has; nothing takes less."""

LIMITS = """
with open as (
  select scope, sum(c.hold) as held from faregate.charge c cross join lateral unnest(c.limit_scopes) as s (scope)
  where c.status = 0 group by scope
)
select null as wallet_id, null as seq, l.scope || ' per ' || l.period as item, 'limit held' as check_name,
  l.held::text as stored, coalesce(o.held, 0)::text as derived
from faregate.spend_limit l left join open o using (scope)
where l.held <> coalesce(o.held, 0)
order by l.scope, l.period limit 100
"""
