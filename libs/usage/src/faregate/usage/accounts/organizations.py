"""Organisations, their charging policies and their members."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.usage.accounts.directory import DatabaseDirectory
from faregate.usage.errors import UnknownOrganizationError
from faregate.usage.values import ChargingPolicy
from faregate.wire.ids import check_external_id, check_user_id

__all__ = ["Organization", "OrganizationService"]


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation: `policy` counts from the members' next start; `members` are the first 1,000, by id."""

    organization_id: str
    policy: ChargingPolicy
    members: Sequence[str]


class OrganizationService:
    """Reads and changes organisations; owns its transactions."""

    def __init__(self, database: Database, directory: DatabaseDirectory) -> None:
        self._database = database
        self._directory = directory

    async def get(self, organization_id: str) -> Organization:
        """Return an organisation, or raise `UnknownOrganizationError`."""
        async with self._database.transaction(read_only=True) as session:
            return await self._read(session, organization_id)

    async def change(
        self,
        organization_id: str,
        *,
        policy: ChargingPolicy | None = None,
        join: Sequence[str] = (),
        leave: Sequence[str] = (),
    ) -> Organization:
        """Create the organisation if needed, set its policy, and add and remove members. Joining ends another membership."""
        check_external_id(organization_id, param="organization_id")
        for user_id in (*join, *leave):
            check_user_id(user_id)

        async def work(session: AsyncSession) -> Organization:
            await self._directory.add(session, organization_id)
            if policy is not None:
                await self._directory.set_policy(session, organization_id, policy)
            for user_id in sorted(join):
                await self._directory.join(session, user_id, organization_id)
            for user_id in sorted(set(leave) & set(await self._directory.members(session, organization_id))):
                await self._directory.join(session, user_id, None)
            return await self._read(session, organization_id)

        return await self._database.run(work)

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[Organization]:
        """Return organisations without their members, in order of their ids, starting after `after`."""
        async with self._database.transaction(read_only=True) as session:
            found = await self._directory.organizations(session, after=after, limit=limit)
        return [Organization(organization_id, policy, ()) for organization_id, policy in found]

    async def _read(self, session: AsyncSession, organization_id: str) -> Organization:
        policy = await self._directory.policy(session, organization_id)
        if policy is None:
            raise UnknownOrganizationError(organization_id)
        return Organization(organization_id, policy, await self._directory.members(session, organization_id))
