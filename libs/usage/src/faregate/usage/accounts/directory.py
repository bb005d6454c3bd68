"""The default account directory: memberships and policies from our own tables."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subject, Subjects
from faregate.core.errors import FaregateError
from faregate.usage.errors import NotAMemberError, UnknownOrganizationError
from faregate.usage.values import AccountFacts, ChargingPolicy
from faregate.wire.ids import ORGANIZATION_PREFIX, organization_owner_id

__all__ = ["DatabaseDirectory", "OrganizationClaim"]

OrganizationClaim = Literal["member", "trusted"]

_FACTS = """
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

# Each of these rows is written by whatever changes the wallet, and `xmin` names the last transaction that did.
_VERSION = """
select concat_ws('/', s.subject_id, s.xmin, w.xmin, m.xmin, (
  select string_agg(concat(g.grant_id, ':', g.xmin), ',' order by g.grant_id) from faregate.credit_grant g
  where g.wallet_id = w.wallet_id and not g.voided and (g.remaining > 0 or not g.active or g.every is not null)
)) as version
from faregate.subject s join faregate.wallet w on w.wallet_id = s.subject_id
left join faregate.member m on m.subject_id = s.subject_id
where s.external_id = :owner_id and (w.next_change_at is null or w.next_change_at > clock_timestamp())
"""

_JOIN = """
insert into faregate.member (subject_id, organization_id) values (:user, :organization)
on conflict (subject_id) do update set organization_id = excluded.organization_id
"""

_LEAVE = "delete from faregate.member where subject_id = :user"

_ADD_ORGANIZATION = """
insert into faregate.organization (subject_id) values (:organization) on conflict (subject_id) do nothing
"""

_SET_POLICY = "update faregate.organization set policy = :policy where subject_id = :organization"


_POLICY = """
select o.policy from faregate.organization o join faregate.subject s using (subject_id) where s.external_id = :owner_id
"""

_MEMBERS = """
select u.external_id from faregate.member m join faregate.subject u using (subject_id)
join faregate.subject o on o.subject_id = m.organization_id
where o.external_id = :owner_id order by u.external_id limit 1000
"""

_ORGANIZATIONS = """
select s.external_id, o.policy from faregate.organization o join faregate.subject s using (subject_id)
where s.external_id > :after order by s.external_id limit :limit
"""


class DatabaseDirectory:
    """`IAccountDirectory` on the tables `organization` and `member`.

    Args:
        claim: what an organisation named by a caller counts for: `member`, only for its members; `trusted`, for every
            user the caller names it for. In both cases the organisation must exist.
    """

    def __init__(self, database: Database, subjects: Subjects, *, claim: OrganizationClaim = "member") -> None:
        self._database = database
        self._subjects = subjects
        self._claim = claim

    async def facts(self, session: AsyncSession, accounts: Sequence[tuple[str, str | None]]) -> Sequence[AccountFacts]:
        rows = await self._database.rows(
            session,
            _FACTS,
            users=[user_id for user_id, _ in accounts],
            organizations=[organization_owner_id(named) if named else None for _, named in accounts],
        )
        return [
            _facts(user_id, named, row, self._refusal(user_id, named, row))
            for (user_id, named), row in zip(accounts, rows, strict=True)
        ]

    def _refusal(self, user_id: str, named: str | None, row: Any) -> FaregateError | None:
        if not named:
            return None
        if not row.organization_exists:
            return UnknownOrganizationError(named)
        if self._claim == "member" and not row.is_member:
            return NotAMemberError(user_id, named)
        return None

    async def version(self, session: AsyncSession, owner_id: str) -> str | None:
        """Return the version of an owner's wallet and membership; None if there is none, or a change of it is due."""
        rows = await self._database.rows(session, _VERSION, owner_id=owner_id)
        return rows[0].version if rows else None

    async def join(self, session: AsyncSession, user_id: str, organization_id: str | None) -> None:
        """Make the user a member of this organisation only, or (None) of none; it counts from the next start on."""
        owner_id = organization_owner_id(organization_id) if organization_id is not None else None
        found = await self._subjects.ensure(session, [user_id, *([owner_id] if owner_id else [])])
        user = found[user_id].subject_id
        if owner_id is None:
            await self._database.rows(session, _LEAVE, user=user)
            return
        organization = found[owner_id].subject_id
        await self._database.rows(session, _ADD_ORGANIZATION, organization=organization)
        await self._database.rows(session, _JOIN, user=user, organization=organization)

    async def set_policy(self, session: AsyncSession, organization_id: str, policy: ChargingPolicy) -> None:
        """Decide how this organisation's members are charged, from their next start on."""
        owner_id = organization_owner_id(organization_id)
        organization = (await self._subjects.ensure(session, [owner_id]))[owner_id].subject_id
        await self._database.rows(session, _ADD_ORGANIZATION, organization=organization)
        await self._database.rows(session, _SET_POLICY, organization=organization, policy=policy.value)

    async def add(self, session: AsyncSession, organization_id: str) -> None:
        """Make an organisation unless there is one of that id."""
        owner_id = organization_owner_id(organization_id)
        organization = (await self._subjects.ensure(session, [owner_id]))[owner_id].subject_id
        await self._database.rows(session, _ADD_ORGANIZATION, organization=organization)

    async def policy(self, session: AsyncSession, organization_id: str) -> ChargingPolicy | None:
        """Return how an organisation's members are charged; None if there is no such organisation."""
        rows = await self._database.rows(session, _POLICY, owner_id=organization_owner_id(organization_id))
        return ChargingPolicy(rows[0].policy) if rows else None

    async def members(self, session: AsyncSession, organization_id: str) -> list[str]:
        """Return the members' user ids, in order (at most 1,000)."""
        rows = await self._database.rows(session, _MEMBERS, owner_id=organization_owner_id(organization_id))
        return [row.external_id for row in rows]

    async def organizations(self, session: AsyncSession, *, after: str, limit: int) -> list[tuple[str, ChargingPolicy]]:
        """Return (id, policy), in order of the ids, from just behind `after`."""
        start = organization_owner_id(after) if after else ORGANIZATION_PREFIX
        rows = await self._database.rows(session, _ORGANIZATIONS, after=start, limit=limit)
        return [(row.external_id.removeprefix(ORGANIZATION_PREFIX), ChargingPolicy(row.policy)) for row in rows]


def _facts(user_id: str, named: str | None, row: Any, refusal: FaregateError | None) -> AccountFacts:
    owners: list[Subject] = []
    if row.user_wallet is not None:
        owners.append(Subject(row.user_wallet, user_id, row.user_email))
    if row.organization_wallet is not None:
        owners.append(Subject(row.organization_wallet, row.organization, row.organization_email))
    return AccountFacts(
        user_id=user_id,
        organization_id=named or (row.organization or "").removeprefix(ORGANIZATION_PREFIX) or None,
        policy=ChargingPolicy(row.policy),
        plan=row.plan,
        owners=tuple(owners),
        refusal=refusal,
    )
