"""SQL of the operators' lookups: open holds, grants behind a transaction."""

__all__ = ["ALL_WALLETS", "GRANTS_BEHIND", "OPEN_HOLDS"]

ALL_WALLETS = """
select count(*) as wallets, coalesce(sum(credits - debits), 0)::bigint as balance, coalesce(sum(held), 0)::bigint as held,
  coalesce(sum(earmarked), 0)::bigint as earmarked, coalesce(sum(debt), 0)::bigint as debt, clock_timestamp() as at
from faregate.wallet
"""

OPEN_HOLDS = """
select c.usage_key, u.external_id as user_id, p.external_id as payer_id, c.feature_key, c.rule, c.hold, c.expires_at, c.created_at
from faregate.charge c
join faregate.subject u on u.subject_id = c.subject_id join faregate.subject p on p.subject_id = c.wallet_id
where c.status = 0
  and (cast(:user_id as text) is null or u.external_id = :user_id or p.external_id = :user_id)
  and (cast(:feature_key as text) is null or c.feature_key = :feature_key)
  and (cast(:after_at as timestamptz) is null or (c.expires_at, c.usage_key) > (:after_at, cast(:after_key as text)))
order by c.expires_at, c.usage_key limit :limit
"""

GRANTS_BEHIND = """
select s.grant_id, s.amount, g.source, g.expires_at from faregate.grant_slice s
join faregate.credit_grant g on g.grant_id = s.grant_id
where s.wallet_id = :wallet_id and s.seq = :seq order by s.grant_id
"""
