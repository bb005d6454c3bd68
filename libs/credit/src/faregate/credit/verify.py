"""The proof: every counter derived again from the transfers, in one snapshot; the first divergence is named."""

from dataclasses import dataclass

from faregate.core.database import Database

__all__ = ["Drift", "Verification", "Verifier"]

_DERIVED = """
with moved as (
  select wallet_id,
    coalesce(sum(amount) filter (where credit_account = 1), 0) as credits,
    coalesce(sum(amount) filter (where debit_account = 1), 0) as debits,
    count(*) as transfers, max(seq) as last_seq
  from faregate.transfer group by wallet_id
), open as (
  select wallet_id, sum(hold) as held from faregate.charge where status = 0 group by wallet_id
), lots as (
  select wallet_id, sum(remaining) as remaining from faregate.credit_grant group by wallet_id
)
select w.wallet_id, check_name, stored, derived
from faregate.wallet w
left join moved m using (wallet_id)
left join open o using (wallet_id)
left join lots l using (wallet_id)
cross join lateral (values
  ('credits', w.credits, coalesce(m.credits, 0)),
  ('debits', w.debits, coalesce(m.debits, 0)),
  ('held', w.held, coalesce(o.held, 0)),
  ('grants', w.credits - w.debits + w.debt, coalesce(l.remaining, 0)),
  ('last_seq', w.last_seq, coalesce(m.last_seq, 0)),
  ('transfers', w.last_seq, coalesce(m.transfers, 0))
) as checks (check_name, stored, derived)
where stored <> derived
order by w.wallet_id, check_name
limit 100
"""

_COUNTS = """
select (select count(*) from faregate.wallet) as wallets, (select count(*) from faregate.transfer) as transfers,
  (select count(*) from faregate.charge) as charges
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """One number that does not follow from the transfers, in micro-credits (or a count)."""

    wallet_id: int
    check: str
    stored: int
    derived: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and what was found (at most 100 drifts)."""

    wallets: int
    charges: int
    transfers: int
    drifts: tuple[Drift, ...]


class Verifier:
    """Re-derives the ledger; reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def verify(self) -> Verification:
        """Compare every wallet with its transfers, holds and grants, in one snapshot."""
        async with self._database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            await self._database.rows(session, "set local statement_timeout = 0")
            drifts = [
                Drift(row.wallet_id, row.check_name, int(row.stored), int(row.derived))
                for row in await self._database.rows(session, _DERIVED)
            ]
            (counts,) = await self._database.rows(session, _COUNTS)
        return Verification(counts.wallets, counts.charges, counts.transfers, tuple(drifts))
