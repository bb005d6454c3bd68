"""Verification of reasons against their seals in the ledger."""

from faregate.credit.ledger.reasons import SEALED

__all__ = ["REASONS"]

REASONS = f"""
select r.wallet_id, r.seq, null::text as item, 'reason' as check_name, t.reason as stored, d.seal as derived
from faregate.transfer_reason r
left join faregate.transfer t on t.wallet_id = r.wallet_id and t.seq = r.seq
cross join lateral (select '{SEALED}' || encode(sha256(r.salt || convert_to(r.words, 'UTF8')), 'hex') as seal) d
where r.wallet_id > :first and r.wallet_id <= :last and t.reason is distinct from d.seal
order by 1, 2 limit 100
"""  # noqa: S608
"""An erased text is not checked: its seal stays in the chain."""
