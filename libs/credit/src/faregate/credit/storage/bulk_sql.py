"""SQL of reads about many wallets or uses at once."""

from faregate.credit.storage.sql import GRANT_COLUMNS, TRANSFER_COLUMNS

__all__ = ["LATEST_TRANSFERS", "LIVE_GRANTS", "OWNERS", "TRANSFERS_OF_CHARGES"]

OWNERS = """
select s.external_id, s.email, w.wallet_id
from faregate.subject s join faregate.wallet w on w.wallet_id = s.subject_id
where s.external_id = any(cast(:owner_ids as text[])) order by w.wallet_id
"""

LIVE_GRANTS = f"""
select g.* from unnest(cast(:ids as bigint[])) as wanted (wallet_id)
cross join lateral (
  select {GRANT_COLUMNS} from faregate.credit_grant
  where wallet_id = wanted.wallet_id and not voided and (remaining > 0 or not active or every is not null)
  order by created_at, grant_id limit :limit
) g
"""  # noqa: S608

LATEST_TRANSFERS = f"""
select t.* from unnest(cast(:ids as bigint[]), cast(:befores as bigint[])) as wanted (wallet_id, before)
cross join lateral (
  select {TRANSFER_COLUMNS} from faregate.transfer
  where wallet_id = wanted.wallet_id and seq < wanted.before order by seq desc limit :limit
) t
"""  # noqa: S608

TRANSFERS_OF_CHARGES = f"""
select t.* from unnest(cast(:ids as bigint[]), cast(:firsts as bigint[]), cast(:keys as text[])) as wanted (wallet_id, first, key)
cross join lateral (
  select {TRANSFER_COLUMNS} from faregate.transfer
  where wallet_id = wanted.wallet_id and seq between wanted.first and wanted.first + 2 and usage_key = wanted.key
  union all
  select {TRANSFER_COLUMNS} from faregate.transfer
  where wallet_id = wanted.wallet_id and corrects_seq between wanted.first and wanted.first + 2
    and seq > wanted.first + 2 and usage_key = wanted.key
) t
order by t.wallet_id, t.seq
"""  # noqa: S608
