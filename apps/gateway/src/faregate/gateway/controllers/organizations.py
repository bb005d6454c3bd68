"""Controller of `/api/organizations`: charging policies and members."""

from faregate.gateway.http.operation import Audit, Controller, Page, link, operation
from faregate.gateway.schemas.base import PageQuery, cursor_of, position_of
from faregate.gateway.schemas.prices import OrganizationAnswer, OrganizationBody
from faregate.gateway.security.auth import Scope
from faregate.usage.accounts.organizations import Organization, OrganizationService
from faregate.usage.errors import UnknownOrganizationError
from faregate.usage.values import ChargingPolicy

__all__ = ["OrganizationsController"]


class OrganizationsController(Controller):
    """Organisations over HTTP."""

    def __init__(self, organizations: OrganizationService) -> None:
        self._organizations = organizations

    @operation("GET", "/api/organizations", scope=Scope.WALLETS_READ, answer=list[OrganizationAnswer])
    async def list_organizations(self, query: PageQuery) -> Page:
        """List organisations, without their members."""
        position = position_of(query.cursor, str)
        found = await self._organizations.list(after=position[0] if position else "", limit=query.limit)
        more = len(found) == query.limit
        return Page([_answer(item) for item in found], cursor_of(found[-1].organization_id) if more else None)

    @operation(
        "GET",
        "/api/organizations/{organization_id}",
        scope=Scope.WALLETS_READ,
        answer=OrganizationAnswer,
        errors=(UnknownOrganizationError,),
        audit=Audit.PERSONAL,
    )
    async def get_organization(self, organization_id: str) -> OrganizationAnswer:
        """Return an organisation with its members."""
        return _answer(await self._organizations.get(organization_id))

    @operation(
        "PUT",
        "/api/organizations/{organization_id}",
        scope=Scope.WALLETS_WRITE,
        answer=OrganizationAnswer,
        links={
            "read": link("organizations.get_organization", path={"organization_id": "organization_id"}),
            "limits": link("organizations.put_member_limits", path={"organization_id": "organization_id"}),
        },
        rehearsable=True,
    )
    async def put_organization(self, organization_id: str, body: OrganizationBody) -> OrganizationAnswer:
        """Create an organisation, or change its policy and members."""
        policy = ChargingPolicy(body.policy) if body.policy is not None else None
        return _answer(
            await self._organizations.change(organization_id, policy=policy, join=body.join, leave=body.leave)
        )


def _answer(organization: Organization) -> OrganizationAnswer:
    return OrganizationAnswer(
        organization_id=organization.organization_id,
        policy=organization.policy.value,
        members=list(organization.members),
    )
