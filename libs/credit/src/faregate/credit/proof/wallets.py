# ruff: noqa: S608
"""Verification of wallet counters and grants against transfers and slices."""

from faregate.credit.ledger.accounts import GRANT_ORIGINS, GrantSource, TransferKind, burn_class
from faregate.credit.proof.checks import Check, codes, wrong

__all__ = ["GRANTS", "WALLETS"]

_GENESIS = "decode(repeat('00', 32), 'hex')"
_LAST_HASH = f"coalesce(last.hash, {_GENESIS})"
_DEBT = "d.all_slices - d.all_credits + d.all_debits"

WALLETS = f"""
with heads as ({{heads}}), moved as (
  select t.wallet_id, count(*) as transfers, max(t.seq) as last_seq,
    sum(t.amount) filter (where t.credit_account = 1) as credits,
    sum(t.amount) filter (where t.debit_account = 1) as debits
  from ({{new}}) t group by t.wallet_id
), sliced as (
  select s.wallet_id, sum(s.amount) as amount from ({{new_slices}}) s group by s.wallet_id
), open as (
  select wallet_id, sum(hold) as held, min(expires_at) as next_at from faregate.charge
  where status = 0 and wallet_id > :first and wallet_id <= :last group by wallet_id
), lots as (
  select wallet_id, sum(remaining - held) filter (where features is not null) as earmarked, sum(remaining) as remaining,
    least(min(effective_at) filter (where not active and not voided), min(expires_at) filter (where remaining > 0),
      min(next_renewal_at) filter (where expires_at is null or next_renewal_at < expires_at)) as next_at
  from faregate.credit_grant where wallet_id > :first and wallet_id <= :last group by wallet_id
), every as (
  select wallet_id from faregate.wallet where wallet_id > :first and wallet_id <= :last
  union select wallet_id from moved union select wallet_id from sliced union select wallet_id from open
  union select wallet_id from lots
), derived as (
  select e.wallet_id, w.wallet_id is null as missing,
    w.credits, w.debits, w.held, w.earmarked, w.debt, w.clawback_debt, w.last_seq, w.head_hash, w.changed_at, w.next_change_at,
    coalesce(h.credits, 0) + coalesce(m.credits, 0) as all_credits,
    coalesce(h.debits, 0) + coalesce(m.debits, 0) as all_debits,
    coalesce(h.remaining, 0) + coalesce(s.amount, 0) as all_slices,
    coalesce(m.last_seq, h.seq, 0) as all_seq, coalesce(h.seq, 0) + coalesce(m.transfers, 0) as all_transfers,
    coalesce(o.held, 0) as all_held, coalesce(l.earmarked, 0) as all_earmarked, coalesce(l.remaining, 0) as all_remaining,
    least(o.next_at, l.next_at) as next_at
  from every e left join faregate.wallet w using (wallet_id) left join heads h using (wallet_id)
  left join moved m using (wallet_id) left join sliced s using (wallet_id) left join open o using (wallet_id)
  left join lots l using (wallet_id)
)
select d.wallet_id, case when c.check_name in ('head_hash', 'last_seq') then d.all_seq end as seq, null as item,
  c.check_name, c.stored, c.derived
from derived d
left join lateral (
  select t.hash, t.effective_at from faregate.transfer t where t.wallet_id = d.wallet_id and t.seq = d.all_seq
) last on true
{
    wrong(
        Check("wallet", "d.missing", "'no row'", "'a row'"),
        Check("last_seq", "d.last_seq <> d.all_seq", "d.last_seq", "d.all_seq"),
        Check("transfers", "d.last_seq <> d.all_transfers", "d.last_seq", "d.all_transfers"),
        Check(
            "head_hash", f"d.head_hash <> {_LAST_HASH}", "encode(d.head_hash, 'hex')", f"encode({_LAST_HASH}, 'hex')"
        ),
        Check("credits", "d.credits <> d.all_credits", "d.credits", "d.all_credits"),
        Check("debits", "d.debits <> d.all_debits", "d.debits", "d.all_debits"),
        Check("held", "d.held <> d.all_held", "d.held", "d.all_held"),
        Check("earmarked", "d.earmarked <> d.all_earmarked", "d.earmarked", "d.all_earmarked"),
        Check("debt", f"d.debt <> {_DEBT}", "d.debt", _DEBT),
        Check("clawback_debt", "d.clawback_debt not between 0 and d.debt", "d.clawback_debt", "'0 to ' || d.debt"),
        Check(
            "grants",
            "d.all_remaining <> d.credits - d.debits + d.debt",
            "d.all_remaining",
            "d.credits - d.debits + d.debt",
        ),
        Check("changed_at", "d.changed_at is distinct from last.effective_at", "d.changed_at", "last.effective_at"),
        Check(
            "next_change_at",
            "d.next_at is not null and coalesce(d.next_change_at, 'infinity') > d.next_at",
            "d.next_change_at",
            "'by ' || d.next_at",
        ),
    )
}
order by d.wallet_id limit 100
"""

_PUT = codes(TransferKind.GRANT, TransferKind.REFUND, TransferKind.REINSTATEMENT)
_ORIGINS = " ".join(f"when '{source}' then {int(account)}" for source, account in GRANT_ORIGINS.items())
_CLASSES = " ".join(f"when '{source}' then {burn_class(source)}" for source in GrantSource)

_LATER_FILLING = """f.amount > d.amount and exists (
    select from faregate.transfer t where t.wallet_id = d.wallet_id and t.kind = 3 and t.seq < f.seq)"""
"""The first slice of a recurring grant can be a renewal, if the grant itself went entirely into repaying the credit limit."""

GRANTS = f"""
with heads as ({{heads}}), sliced as (
  select s.grant_id, s.wallet_id, sum(s.amount) as amount, min(s.seq) as first_seq
  from ({{new_slices}}) s group by s.grant_id, s.wallet_id
), before as (
  select h.wallet_id, e.key::uuid as grant_id, e.value::bigint as amount
  from heads h cross join lateral jsonb_each_text(h.grants) e
), holds as (
  select c.wallet_id, e.key::uuid as grant_id, sum(e.value::bigint) as held
  from faregate.charge c cross join lateral jsonb_each_text(c.hold_grants) e
  where c.status = 0 and c.wallet_id > :first and c.wallet_id <= :last group by 1, 2
), lots as (
  select * from faregate.credit_grant where wallet_id > :first and wallet_id <= :last
), derived as (
  select wallet_id, grant_id, g.amount is null as missing, g.amount, g.remaining, g.held, g.active, g.burn_class, g.source,
    s.first_seq, s.amount is null as unmoved, coalesce(b.amount, 0) + coalesce(s.amount, 0) as all_remaining,
    coalesce(h.held, 0) as all_held, case g.source {_ORIGINS} end as origin, case g.source {_CLASSES} end as class,
    b.amount is null as unseen
  from lots g full join sliced s using (wallet_id, grant_id)
  full join before b using (wallet_id, grant_id) full join holds h using (wallet_id, grant_id)
)
select d.wallet_id, d.first_seq as seq, d.grant_id::text as item, c.check_name, c.stored, c.derived
from derived d
left join faregate.transfer f on f.wallet_id = d.wallet_id and f.seq = d.first_seq and {{from_the_start}}
  and f.wallet_id > :first and f.wallet_id <= :last
left join faregate.grant_slice s on s.wallet_id = d.wallet_id and s.seq = f.seq and s.grant_id = d.grant_id and f.kind in (7, 12)
  and s.wallet_id > :first and s.wallet_id <= :last
{
    wrong(
        Check("grant", "d.missing", "'no row'", "'a row'"),
        Check("grant remaining", "d.remaining <> d.all_remaining", "d.remaining", "d.all_remaining"),
        Check("grant held", "d.held <> d.all_held", "d.held", "d.all_held"),
        Check("grant active", "not d.active and not d.unmoved", "d.active", "true"),
        Check("grant burn_class", "d.burn_class is distinct from d.class", "d.burn_class", "d.class"),
        Check(
            "grant origin",
            f"f.kind in ({_PUT}) and f.debit_account is distinct from d.origin",
            "d.source",
            "'a source of account ' || f.debit_account",
        ),
        Check(
            "grant filled by", f"f.kind not in ({_PUT})", "'kind ' || f.kind", "'a grant, a refund or a reinstatement'"
        ),
        Check(
            "grant amount",
            f"case when f.kind in (7, 12) then d.amount <> s.amount else d.amount <> f.amount and not ({_LATER_FILLING}) end",
            "d.amount",
            "coalesce(s.amount, f.amount)",
        ),
        Check(
            "grant amount",
            '''d.active and d.unmoved and d.unseen and not exists (
    select from faregate.transfer t where t.wallet_id = d.wallet_id and t.kind = 1 and t.amount = d.amount
      and t.debit_account = d.origin)''',
            "d.amount",
            "'a transfer of that amount'",
        ),
    )
}
order by d.wallet_id, d.first_seq limit 100
"""
