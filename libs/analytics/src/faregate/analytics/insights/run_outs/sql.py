"""SQL of wallets, grants, limits and daily charges for run-out dates."""

__all__ = ["DAILY_CHARGES", "OUTLOOK_GRANTS", "OUTLOOK_LIMITS", "OUTLOOK_WALLETS"]

DAILY_CHARGES = """
with spending as (
  select c.wallet_id, c.feature_key, width_bucket(c.settled_at, cast(:periods as timestamptz[])) as day,
    sum(c.charged) as charged
  from faregate.charge c where c.settled_at >= :start and c.settled_at < :end and c.charged > 0 group by 1, 2, 3
), chosen as (
  select wallet_id from spending s join faregate.subject u on u.subject_id = s.wallet_id
  where (cast(:owner_id as text) is null or u.external_id = :owner_id)
  group by wallet_id order by sum(charged) desc, wallet_id limit :limit
)
select s.wallet_id, s.feature_key, s.day, s.charged from spending s join chosen using (wallet_id)
"""

OUTLOOK_WALLETS = """
select w.wallet_id, w.plan, w.credits - w.debits as balance, w.held + w.earmarked as held, w.credit_limit,
  w.top_up_below, w.top_up_amount
from faregate.wallet w where w.wallet_id = any(cast(:wallet_ids as bigint[])) and w.status = 1
"""

OUTLOOK_GRANTS = """
select g.wallet_id, g.amount, g.remaining, g.features, g.effective_at, g.expires_at, g.active, g.every, g.rollover_min,
  g.rollover_max, g.next_renewal_at,
  row_number() over (
    partition by g.wallet_id order by g.priority, g.expires_at nulls last, g.burn_class, g.created_at, g.grant_id) as rank
from faregate.credit_grant g
where g.wallet_id = any(cast(:wallet_ids as bigint[])) and not g.voided and (g.expires_at is null or g.expires_at > :now)
  and (g.remaining > 0 or not g.active or g.every is not null)
"""

OUTLOOK_LIMITS = """
select substr(l.scope, 6)::bigint as subject_id, l.period, l.hard, l.spent, l.started_at from faregate.spend_limit l
where l.scope = any(cast(:scopes as text[])) and l.hard is not null
"""
