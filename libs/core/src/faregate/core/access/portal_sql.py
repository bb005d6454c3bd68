"""SQL of links to the customers' page."""

__all__ = ["LINK_ADD", "LINK_FIND", "LINK_FORGET", "LINK_ORIGINS", "LINK_REVOKE"]

LINK_ADD = """
insert into faregate.portal_link (link_id, secret_hash, subject_id, origins, expires_at)
values (:link_id, :secret_hash, :subject_id, cast(:origins as text[]),
  clock_timestamp() + cast(:lifetime as interval))
returning expires_at
"""

LINK_FIND = """
select l.*, s.external_id as owner_id from faregate.portal_link l join faregate.subject s using (subject_id)
where l.link_id = :link_id and l.expires_at > clock_timestamp()
"""

LINK_ORIGINS = "select origins from faregate.portal_link where link_id = :link_id and expires_at > clock_timestamp()"

LINK_REVOKE = "delete from faregate.portal_link where link_id = :link_id returning 1"

LINK_FORGET = """
delete from faregate.portal_link where ctid in (
  select ctid from faregate.portal_link where expires_at < clock_timestamp() limit 1000 for update skip locked)
"""
