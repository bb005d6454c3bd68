"""SQL of API keys, stored answers and the audit log."""

__all__ = [
    "ANSWER_FIND",
    "ANSWER_FORGET",
    "ANSWER_KEEP",
    "AUDIT_ADD",
    "AUDIT_ADD_LOOKS",
    "AUDIT_SEARCH",
    "KEY_ADD",
    "KEY_EXPIRE",
    "KEY_GET",
    "KEY_LINE",
    "KEY_LIST",
    "KEY_LIVE",
    "KEY_LOCK",
    "KEY_MAKER",
    "KEY_REVOKE",
    "KEY_REVOKE_MADE",
    "KEY_SIBLINGS",
    "KEY_USED",
]

AUDIT_ADD = """
insert into faregate.audit_entry
  (entry_id, actor, actor_subject_id, action, subject_id, target, status, before_hash, after_hash, address, request_id)
values (:entry_id, :actor, cast(:actor_subject_id as bigint), :action, cast(:subject_id as bigint),
  cast(:target as text)::jsonb, :status, cast(:before_hash as bytea), cast(:after_hash as bytea),
  cast(cast(:address as text) as inet), :request_id)
"""

AUDIT_ADD_LOOKS = """
insert into faregate.audit_entry
  (entry_id, actor, actor_subject_id, action, subject_id, target, status, address, request_id)
select look.entry_id, :actor, cast(:actor_subject_id as bigint), look.action, look.subject_id, cast(:target as text)::jsonb,
  :status, cast(cast(:address as text) as inet), :request_id
from unnest(cast(:entry_ids as uuid[]), cast(:actions as text[]), cast(:subject_ids as bigint[]))
  as look (entry_id, action, subject_id)
"""

AUDIT_SEARCH = """
select e.entry_id, e.actor, a.external_id as actor_user_id, e.action, s.external_id as owner_id, e.target::text as target, e.status,
  e.before_hash, e.after_hash, host(e.address) as address, e.request_id, e.created_at
from faregate.audit_entry e
left join faregate.subject a on a.subject_id = e.actor_subject_id
left join faregate.subject s on s.subject_id = e.subject_id
where (cast(:actor as text) is null or e.actor = :actor)
  and (cast(:actor_user_id as text) is null or a.external_id = :actor_user_id)
  and (cast(:owner_id as text) is null or s.external_id = :owner_id)
  and (cast(:action as text) is null or e.action like :action)
  and (cast(:request_id as text) is null or e.request_id = :request_id)
  and (cast(:since as timestamptz) is null or e.created_at >= :since)
  and (cast(:until as timestamptz) is null or e.created_at < :until)
  and (cast(:before as uuid) is null or e.entry_id < :before)
order by e.entry_id desc limit :limit
"""

ANSWER_FIND = """
select request_hash, status, body from faregate.idempotent_answer
where credential = :credential and key = any(array[cast(:key as text), cast(:erased as text)])
"""

ANSWER_KEEP = """
insert into faregate.idempotent_answer (credential, key, request_hash, status, body)
select :credential, cast(:key as text), :request_hash, :status, :body
where not exists (select from faregate.idempotent_answer where credential = :credential and key = cast(:erased as text))
on conflict (credential, key) do nothing
returning key
"""

ANSWER_FORGET = """
delete from faregate.idempotent_answer
where ctid in (
  select ctid from faregate.idempotent_answer
  where created_at < clock_timestamp() - cast(:kept as interval) limit :limit
)
returning 1
"""

KEY_LIVE = """
select k.*, coalesce(maker.client, k.minted_by) as minter from faregate.api_key k
left join faregate.api_key maker on maker.key_id = k.minted_by
where k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp())
"""
"""A key whose creator no longer exists still names it: no live client has that name, so the key is refused."""

KEY_LIST = """
select * from faregate.api_key
where (cast(:before as timestamptz) is null or (created_at, key_id) < (:before, cast(:before_id as text)))
order by created_at desc, key_id desc limit :limit
"""

KEY_GET = "select * from faregate.api_key where key_id = :key_id"

KEY_SIBLINGS = """
select count(*) as live from faregate.api_key where client = :client and revoked_at is null
  and (expires_at is null or expires_at > clock_timestamp())
"""

KEY_ADD = """
insert into faregate.api_key
  (key_id, client, name, environment, secret_hash, scopes, allowed_ips, created_by, minted_by, expires_at)
values (:key_id, :client, :name, :environment, :secret_hash, cast(:scopes as text[]), cast(:allowed_ips as text[]),
  :created_by, cast(:minted_by as text), cast(:expires_at as timestamptz))
returning *
"""

KEY_REVOKE = """
update faregate.api_key set revoked_at = coalesce(revoked_at, clock_timestamp()) where key_id = :key_id
returning *
"""

KEY_REVOKE_MADE = """
update faregate.api_key set revoked_at = clock_timestamp()
where minted_by = any(cast(:ids as text[])) and revoked_at is null
returning key_id
"""

KEY_MAKER = """
select key_id from faregate.api_key
where key_id = :key_id and revoked_at is null and (expires_at is null or expires_at > clock_timestamp()) for share
"""

KEY_LINE = """
with recursive line (client, minted_by, place) as (
  select client, minted_by, 0 from faregate.api_key where key_id = :key_id
  union all
  select k.client, k.minted_by, line.place + 1 from line join faregate.api_key k on k.key_id = line.minted_by
  where line.place < 100
)
select client from line order by place
"""

KEY_EXPIRE = """
update faregate.api_key set expires_at = least(expires_at, clock_timestamp() + cast(:overlap as interval))
where key_id = :key_id and revoked_at is null
"""

KEY_LOCK = "select key_id from faregate.api_key where key_id = :client for update"

KEY_USED = """
with free as (
  select key_id from faregate.api_key where key_id = any(cast(:ids as text[])) order by key_id
  for no key update skip locked
)
update faregate.api_key k set last_used_at = greatest(k.last_used_at, u.used_at)
from unnest(cast(:ids as text[]), cast(:moments as timestamptz[])) as u (key_id, used_at) join free using (key_id)
where k.key_id = u.key_id
"""
"""Keys locked by another transaction are skipped: a revocation locks many, and must neither wait for this statement nor fail."""
