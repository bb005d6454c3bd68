"""SQL of members and organisations."""

__all__ = [
    "ADD_ORGANIZATION",
    "FACTS",
    "JOIN",
    "LEAVE",
    "MEMBERS",
    "ORGANIZATIONS",
    "POLICY",
    "SET_POLICY",
    "VERSION",
]

FACTS = """
select coalesce(named.external_id, joined.external_id) as organization, coalesce(o.policy, 'recorded') as policy,
  coalesce(w.plan, ow.plan) as plan, w.wallet_id as user_wallet, s.email as user_email,
  o.subject_id is not null as organization_exists, m.organization_id is not distinct from named.subject_id as is_member,
  ow.wallet_id as organization_wallet, coalesce(named.email, joined.email) as organization_email
from unnest(cast(:users as text[]), cast(:organizations as text[])) with ordinality as wanted (user_id, organization, n)
left join faregate.subject s on s.external_id = wanted.user_id
left join faregate.wallet w on w.wallet_id = s.subject_id
left join faregate.subject named on named.external_id = wanted.organization
left join faregate.member m on m.subject_id = s.subject_id
left join faregate.subject joined on joined.subject_id = m.organization_id and wanted.organization is null
left join faregate.organization o on o.subject_id = coalesce(named.subject_id, joined.subject_id)
left join faregate.wallet ow on ow.wallet_id = o.subject_id
order by wanted.n
"""

# Every change of a wallet writes one of these rows, and `xmin` is the last transaction that wrote it.
VERSION = """
select concat_ws('/', s.subject_id, s.xmin, w.xmin, m.xmin, (
  select string_agg(concat(g.grant_id, ':', g.xmin), ',' order by g.grant_id) from faregate.credit_grant g
  where g.wallet_id = w.wallet_id and not g.voided and (g.remaining > 0 or not g.active or g.every is not null)
)) as version
from faregate.subject s join faregate.wallet w on w.wallet_id = s.subject_id
left join faregate.member m on m.subject_id = s.subject_id
where s.external_id = :owner_id and (w.next_change_at is null or w.next_change_at > clock_timestamp())
"""

JOIN = """
insert into faregate.member (subject_id, organization_id) values (:user, :organization)
on conflict (subject_id) do update set organization_id = excluded.organization_id
"""

LEAVE = "delete from faregate.member where subject_id = :user"

ADD_ORGANIZATION = """
insert into faregate.organization (subject_id) values (:organization) on conflict (subject_id) do nothing
"""

SET_POLICY = "update faregate.organization set policy = :policy where subject_id = :organization"

POLICY = """
select o.policy from faregate.organization o join faregate.subject s using (subject_id) where s.external_id = :owner_id
"""

MEMBERS = """
select u.external_id from faregate.member m join faregate.subject u using (subject_id)
join faregate.subject o on o.subject_id = m.organization_id
where o.external_id = :owner_id order by u.external_id limit 1000
"""

ORGANIZATIONS = """
select s.external_id, o.policy from faregate.organization o join faregate.subject s using (subject_id)
where s.external_id > :after order by s.external_id limit :limit
"""
