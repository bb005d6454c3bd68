"""SQL of web sessions."""

__all__ = ["SESSION_ADD", "SESSION_END", "SESSION_END_ALL", "SESSION_FIND", "SESSION_FORGET", "SESSION_TAKE"]

SESSION_ADD = """
insert into faregate.web_session
  (token_hash, actor, subject_id, organization_id, roles, scopes, key_id, credential_hash, expires_at)
values (:token_hash, :actor, cast(:subject_id as bigint), cast(:organization_id as text), cast(:roles as text[]),
  cast(:scopes as text[]), cast(:key_id as text), cast(:credential_hash as bytea),
  clock_timestamp() + cast(:lifetime as interval))
returning created_at, expires_at
"""

SESSION_FIND = """
select s.*, p.external_id as user_id from faregate.web_session s
left join faregate.subject p on p.subject_id = s.subject_id
where s.token_hash = :token_hash and s.expires_at > clock_timestamp()
"""

SESSION_TAKE = """
with taken as (
  delete from faregate.web_session where token_hash = :token_hash and expires_at > clock_timestamp() returning *)
select s.*, p.external_id as user_id from taken s left join faregate.subject p on p.subject_id = s.subject_id
"""

SESSION_END = "delete from faregate.web_session where token_hash = :token_hash returning 1"

SESSION_END_ALL = """
delete from faregate.web_session
where actor = :actor and subject_id is not distinct from cast(:subject_id as bigint)
returning 1
"""

SESSION_FORGET = """
delete from faregate.web_session where ctid in (
  select ctid from faregate.web_session where expires_at < clock_timestamp() limit 1000 for update skip locked)
"""
