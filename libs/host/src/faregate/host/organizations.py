"""Organisations of the facade: charging policy and members."""

from collections.abc import Sequence

from faregate.core.errors import InvalidError
from faregate.host.arguments import check_list
from faregate.usage.accounts.organizations import Organization, OrganizationService
from faregate.usage.values import ChargingPolicy

__all__ = ["Organizations"]

_POLICIES = tuple(policy.value for policy in ChargingPolicy)


class Organizations:
    """Organisations and their members. Changes count from the members' next start."""

    def __init__(self, service: OrganizationService) -> None:
        self._service = service

    async def define(
        self, organization: str, *, policy: str | None = None, join: Sequence[str] = (), leave: Sequence[str] = ()
    ) -> Organization:
        """Create an organisation if needed, set its policy, add and remove members.

        Args:
            policy: `pooled`: the organisation's wallet (`org:<id>`) pays; `recorded`: nobody pays, usage is recorded (the
                default of a new organisation). None leaves it as it is.
            join: users who become members; a user is a member of one organisation at a time.

        Raises:
            InvalidError: an id or the policy is not valid.
        """
        if policy is not None and policy not in _POLICIES:
            raise InvalidError(f"policy must be {' or '.join(_POLICIES)}, not {policy!r}", param="policy")
        check_list(join, param="join")
        check_list(leave, param="leave")
        wanted = ChargingPolicy(policy) if policy is not None else None
        return await self._service.change(organization, policy=wanted, join=join, leave=leave)

    async def get(self, organization: str) -> Organization:
        """Return an organisation with its members, or raise `UnknownOrganizationError`."""
        return await self._service.get(organization)

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[Organization]:
        """Return organisations without their members, in order of their ids, starting after `after`."""
        return await self._service.list(after=after, limit=limit)
