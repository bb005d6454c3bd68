# ruff: noqa: S608
"""SQL statements of `verify`.

Each returns the values that do not follow from the transfers, as the columns wallet_id, seq, item (a usage key, grant, order
or scope), check_name, stored and derived: no rows if everything is consistent, at most a hundred otherwise. Each reads one
range of wallets (or of transfers), so that several connections can share the work under one snapshot. `full` derives
everything from the first transfer; `since_heads` starts at the heads that an earlier run has verified and stored, and at the last
closed month.
"""

from dataclasses import dataclass

from faregate.credit.proof.chain import CHAIN
from faregate.credit.proof.charges import CHARGES, CORRECTIONS, LIMITS, PURCHASES, TOP_UPS
from faregate.credit.proof.closes import CLOSED_GRANTS, CLOSED_WALLETS, CLOSES
from faregate.credit.proof.reasons import REASONS
from faregate.credit.proof.wallets import GRANTS, WALLETS

__all__ = ["CLOSES", "COUNTS", "OF_ALL", "OF_CLOSES", "REMEMBER", "Statements", "full", "since_heads"]

OF_ALL = (CORRECTIONS, TOP_UPS, PURCHASES, LIMITS, CLOSES)
"""Statements that are not divided into ranges, because they read few rows."""

OF_CLOSES = (CLOSED_WALLETS.format(picked="true"), CLOSED_GRANTS.format(picked="true"))
"""Statements of all closed months, for ranges of wallets."""

COUNTS = """
select (select count(*) from faregate.wallet) as wallets, (select count(*) from faregate.transfer) as transfers,
  (select count(*) from faregate.charge) as charges
"""

REMEMBER = """
insert into faregate.verified_head as h (wallet_id, seq, hash, credits, debits, remaining, grants)
select w.wallet_id, w.last_seq, w.head_hash, w.credits, w.debits, coalesce(g.remaining, 0), coalesce(g.grants, '{}')
from faregate.wallet w
left join (
  select wallet_id, sum(remaining) as remaining, jsonb_object_agg(grant_id, remaining) as grants
  from faregate.credit_grant where active group by wallet_id
) g using (wallet_id)
left join faregate.verified_head known using (wallet_id)
where w.last_seq is distinct from known.seq
on conflict (wallet_id) do update set seq = excluded.seq, hash = excluded.hash, credits = excluded.credits,
  debits = excluded.debits, remaining = excluded.remaining, grants = excluded.grants, verified_at = now()
"""
"""Run in the verified snapshot, in which the wallets' counters equal the derived ones."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one kind of run. `chain` takes a range of transfers or of wallets, the others a range of wallets.

    In a full run `charges` reads the whole table for each range, because charges have no index by wallet: use few ranges.
    """

    chain: str
    charges: str
    by_wallets: tuple[str, ...]


_RANGE = "{0}.wallet_id > :first and {0}.wallet_id <= :last"
_KEYS = "({0}.wallet_id, {0}.seq) >= (:first, :first_seq) and ({0}.wallet_id, {0}.seq) <= (:last, :last_seq)"


def full() -> Statements:
    """Return the statements that derive everything from the first transfer."""
    new = f"select t.* from faregate.transfer t where {_RANGE.format('t')}"
    new_slices = f"select s.* from faregate.grant_slice s where {_RANGE.format('s')}"
    heads = "select * from faregate.verified_head where false"
    chain = CHAIN.format(
        part=f"select t.* from faregate.transfer t where {_KEYS.format('t')}",
        slices=f"select s.* from faregate.grant_slice s where {_KEYS.format('s')}",
        counted="t.seq is null or (t.wallet_id, t.seq) > (:first, :first_seq)",
    )
    charges = CHARGES.format(new=new, charges=f"(select * from faregate.charge c where {_RANGE.format('c')}) c full")
    return Statements(chain, charges, _by_wallets(new, new_slices, heads, from_the_start="true", picked="true"))


def since_heads() -> Statements:
    """Return the statements that trust everything before the stored heads."""
    of_wallets = f"""from faregate.wallet w left join faregate.verified_head h on h.wallet_id = w.wallet_id
      cross join lateral (select x.* from faregate.{{0}} x where x.wallet_id = w.wallet_id and x.seq {{1}} coalesce(h.seq, 0)
        order by x.seq) x where {_RANGE.format("w")}"""
    new = f"select x.* {of_wallets.format('transfer', '>')}"
    new_slices = f"select x.* {of_wallets.format('grant_slice', '>')}"
    heads = f"select h.* from faregate.verified_head h where {_RANGE.format('h')}"
    part = f"select x.* {of_wallets.format('transfer', '>=')}"
    counted = """not exists (select from faregate.verified_head h
      where h.wallet_id = t.wallet_id and h.seq = t.seq and h.hash = t.hash)"""
    chain = CHAIN.format(part=part, slices=f"select x.* {of_wallets.format('grant_slice', '>=')}", counted=counted)
    charges = CHARGES.format(new=new, charges="faregate.charge c right")
    last = "number = (select max(k.number) from faregate.close k)"
    return Statements(chain, charges, _by_wallets(new, new_slices, heads, from_the_start="d.unseen", picked=last))


def _by_wallets(new: str, new_slices: str, heads: str, *, from_the_start: str, picked: str) -> tuple[str, ...]:
    return (
        WALLETS.format(new=new, new_slices=new_slices, heads=heads),
        GRANTS.format(new_slices=new_slices, heads=heads, from_the_start=from_the_start),
        REASONS,
        CLOSED_WALLETS.format(picked=picked),
        CLOSED_GRANTS.format(picked=picked),
    )
