"""Default account directory: memberships and policies from the database."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subject, Subjects
from faregate.core.errors import FaregateError
from faregate.usage.accounts.sql import (
    ADD_ORGANIZATION,
    FACTS,
    JOIN,
    LEAVE,
    MEMBERS,
    ORGANIZATIONS,
    POLICY,
    SET_POLICY,
    VERSION,
)
from faregate.usage.errors import NotAMemberError, UnknownOrganizationError
from faregate.usage.values import AccountFacts, ChargingPolicy
from faregate.wire.ids import ORGANIZATION_PREFIX, organization_owner_id

__all__ = ["DatabaseDirectory", "OrganizationClaim"]

_POLICIES = {policy.value: policy for policy in ChargingPolicy}

OrganizationClaim = Literal["member", "trusted"]


class DatabaseDirectory:
    """`IAccountDirectory` on the tables `organization` and `member`.

    Args:
        claim: for whom an organisation named by a caller counts: `member`, only for its members; `trusted`, for every user.
            In both cases the organisation must exist.
    """

    def __init__(self, database: Database, subjects: Subjects, *, claim: OrganizationClaim = "member") -> None:
        self._database = database
        self._subjects = subjects
        self._claim = claim

    async def facts(self, session: AsyncSession, accounts: Sequence[tuple[str, str | None]]) -> Sequence[AccountFacts]:
        rows = await self._database.rows(
            session,
            FACTS,
            users=[user_id for user_id, _ in accounts],
            organizations=[organization_owner_id(named) if named else None for _, named in accounts],
        )
        return [
            _facts(user_id, named, row, self._refusal(user_id, named, row) if named else None)
            for (user_id, named), row in zip(accounts, rows, strict=True)
        ]

    def _refusal(self, user_id: str, named: str, row: Any) -> FaregateError | None:
        if not row.organization_exists:
            return UnknownOrganizationError(named)
        if self._claim == "member" and not row.is_member:
            return NotAMemberError(user_id, named)
        return None

    async def version(self, session: AsyncSession, owner_id: str) -> str | None:
        """Return the version of an owner's wallet and membership; None if there is none, or if a change is due by time."""
        rows = await self._database.rows(session, VERSION, owner_id=owner_id)
        return rows[0].version if rows else None

    async def join(self, session: AsyncSession, user_id: str, organization_id: str | None) -> None:
        """Make the user a member of only this organisation, or (None) of none; it counts from the next start."""
        owner_id = organization_owner_id(organization_id) if organization_id is not None else None
        found = await self._subjects.ensure(session, [user_id, *([owner_id] if owner_id else [])])
        user = found[user_id].subject_id
        if owner_id is None:
            await self._database.rows(session, LEAVE, user=user)
            return
        organization = found[owner_id].subject_id
        await self._database.rows(session, ADD_ORGANIZATION, organization=organization)
        await self._database.rows(session, JOIN, user=user, organization=organization)

    async def set_policy(self, session: AsyncSession, organization_id: str, policy: ChargingPolicy) -> None:
        """Set how this organisation's members are charged, from their next start."""
        owner_id = organization_owner_id(organization_id)
        organization = (await self._subjects.ensure(session, [owner_id]))[owner_id].subject_id
        await self._database.rows(session, ADD_ORGANIZATION, organization=organization)
        await self._database.rows(session, SET_POLICY, organization=organization, policy=policy.value)

    async def add(self, session: AsyncSession, organization_id: str) -> None:
        """Create the organisation unless it exists."""
        owner_id = organization_owner_id(organization_id)
        organization = (await self._subjects.ensure(session, [owner_id]))[owner_id].subject_id
        await self._database.rows(session, ADD_ORGANIZATION, organization=organization)

    async def policy(self, session: AsyncSession, organization_id: str) -> ChargingPolicy | None:
        """Return how an organisation's members are charged; None if it does not exist."""
        rows = await self._database.rows(session, POLICY, owner_id=organization_owner_id(organization_id))
        return ChargingPolicy(rows[0].policy) if rows else None

    async def members(self, session: AsyncSession, organization_id: str) -> list[str]:
        """Return the members' user ids, sorted (at most 1,000)."""
        rows = await self._database.rows(session, MEMBERS, owner_id=organization_owner_id(organization_id))
        return [row.external_id for row in rows]

    async def organizations(self, session: AsyncSession, *, after: str, limit: int) -> list[tuple[str, ChargingPolicy]]:
        """Return (id, policy) of organisations in order of their ids, starting after `after`."""
        start = organization_owner_id(after) if after else ORGANIZATION_PREFIX
        rows = await self._database.rows(session, ORGANIZATIONS, after=start, limit=limit)
        return [(row.external_id.removeprefix(ORGANIZATION_PREFIX), ChargingPolicy(row.policy)) for row in rows]


def _facts(user_id: str, named: str | None, row: Any, refusal: FaregateError | None) -> AccountFacts:
    organization, policy, plan, user_wallet, user_email, _, _, organization_wallet, organization_email = row
    owners: list[Subject] = []
    if user_wallet is not None:
        owners.append(Subject(user_wallet, user_id, user_email))
    if organization_wallet is not None:
        owners.append(Subject(organization_wallet, organization, organization_email))
    return AccountFacts(
        user_id=user_id,
        organization_id=named or (organization or "").removeprefix(ORGANIZATION_PREFIX) or None,
        policy=_POLICIES[policy],
        plan=plan,
        owners=tuple(owners),
        refusal=refusal,
    )
