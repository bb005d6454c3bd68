"""SQL of the export in FOCUS."""

from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.states import ChargeStatus

__all__ = ["FOCUS_LINES", "FOCUS_REFUNDS", "FOCUS_USES"]

_USE = """
c.usage_key, c.consumed, c.charged, c.settled_at, c.created_at, c.feature_key, f.name as feature_name,
p.external_id as payer_id, g.name as payer_name, u.external_id as user_id
"""
_JOINS = """
join faregate.subject p on p.subject_id = c.wallet_id
join faregate.subject u on u.subject_id = c.subject_id
left join faregate.organization g on g.subject_id = c.wallet_id
left join faregate.feature f on f.key = c.feature_key
"""

FOCUS_USES = f"""
select {_USE} from faregate.charge c {_JOINS}
where c.status = {ChargeStatus.SETTLED.value} and c.settled_at >= :start and c.settled_at < :end
  and (c.settled_at, c.usage_key) > (:after, :after_key)
order by c.settled_at, c.usage_key
"""  # noqa: S608

FOCUS_LINES = """
select l.usage_key, l.line_no, l.model, l.provider, l.service_tier, l.unit, l.quantity, l.tokens::text as tokens,
  l.provider_cost_usd, l.input_cost_usd, l.output_cost_usd, l.credit_price_usd, l.credits, l.price_version
from faregate.usage_line l where l.usage_key = any(cast(:keys as text[])) order by l.usage_key, l.line_no
"""

FOCUS_REFUNDS = f"""
select {_USE}, t.amount, t.created_at as refunded_at, t.wallet_id, t.seq, coalesce(r.words, t.reason) as reason
from faregate.transfer t
join faregate.charge c on c.usage_key = t.usage_key {_JOINS}
left join faregate.transfer_reason r on r.wallet_id = t.wallet_id and r.seq = t.seq
where t.kind = {TransferKind.REFUND.value} and t.created_at >= :start and t.created_at < :end
  and (t.created_at, t.wallet_id, t.seq) > (:after, :after_wallet, :after_seq)
order by t.created_at, t.wallet_id, t.seq
"""  # noqa: S608
