# ruff: noqa: S608
"""SQL of the reads of closes, and of payments for grants."""

from faregate.credit.closing.sql import BEFORE, COLUMNS, LATE_PAYMENTS, LATE_TRANSFERS, VALUES, grown

__all__ = [
    "ADD_PAYMENT",
    "CLOSES",
    "GRANT_OF_WALLET",
    "LATE_FACTS",
    "PAYMENTS_OF_GRANT",
    "WALLET_STATEMENTS",
]

CLOSES = """
select * from faregate.close where (cast(:period as text) is null or period = :period) order by number
"""

LATE_FACTS = f"""
select l.*, s.external_id as owner_id from ({LATE_TRANSFERS} union all {LATE_PAYMENTS}) l
join faregate.subject s on s.subject_id = l.wallet_id
where (l.wallet_id, l.seq, coalesce(l.grant_id::text, ''), coalesce(l.key, ''))
  > (cast(:after_wallet as bigint), cast(:after_seq as bigint), cast(:after_grant as text), cast(:after_key as text))
order by l.wallet_id, l.seq, coalesce(l.grant_id::text, ''), coalesce(l.key, '') limit :limit
"""

WALLET_STATEMENTS = f"""
select s.external_id as owner_id, w.wallet_id, c.number = :number as moved, c.opening, c.granted, c.closing,
  {", ".join(f"c.{column}" for column in COLUMNS)}, v.*, p.*
from (
  select wallet_id from faregate.wallet
  where wallet_id > :after and (cast(:wallet_id as bigint) is null or wallet_id = :wallet_id)
) w
join faregate.subject s on s.subject_id = w.wallet_id
left join lateral (
  select c.* from faregate.close_wallet c where c.wallet_id = w.wallet_id and c.number <= :number order by c.number desc limit 1
) c on true
cross join lateral (
  select {", ".join(grown(name, "filter (where g.number = :number)") for name in VALUES[:3])},
    coalesce(sum(g.deferred_cents), 0)::bigint as deferred_closing_cents,
    coalesce(sum(case when g.number = :number then b.deferred_cents else g.deferred_cents end), 0)::bigint as deferred_opening_cents
  from (
    select distinct on (x.grant_id) x.* from faregate.close_grant x
    where x.wallet_id = w.wallet_id and x.number <= :number order by x.grant_id, x.number desc
  ) g {BEFORE}
) v
cross join lateral (
  select coalesce(sum(p.cents) filter (where p.cents > 0), 0)::bigint as received_cents,
    coalesce(-sum(p.cents) filter (where p.cents < 0), 0)::bigint as repaid_cents
  from faregate.grant_payment p where p.wallet_id = w.wallet_id and p.number = :number
) p
where c.wallet_id is not null or v.deferred_closing_cents <> 0 or p.received_cents <> 0 or p.repaid_cents <> 0
order by w.wallet_id limit :limit
"""

GRANT_OF_WALLET = """
select source from faregate.credit_grant where grant_id = :grant_id and wallet_id = :wallet_id for no key update
"""

PAYMENTS_OF_GRANT = "select key, cents from faregate.grant_payment where grant_id = :grant_id order by recorded_at, key"

ADD_PAYMENT = """
insert into faregate.grant_payment (grant_id, key, wallet_id, cents, paid_at)
values (:grant_id, :key, :wallet_id, :cents, coalesce(cast(:paid_at as timestamptz), cast(:now as timestamptz), clock_timestamp()))
"""
