"""Controller of `/api/portal/links`: links to the customers' page."""

from datetime import timedelta
from html import escape

from faregate.core.access.portal_links import NewPortalLink, PortalLinks, UnknownPortalLinkError
from faregate.core.db.database import Database
from faregate.gateway.http.operation import Call, Controller, link, operation
from faregate.gateway.schemas.portal import PortalLinkAnswer, PortalLinkBody, PortalRevokedAnswer
from faregate.gateway.security.auth import Scope

__all__ = ["PortalLinksController"]


class PortalLinksController(Controller):
    """Links to the customers' page over HTTP."""

    def __init__(self, database: Database, links: PortalLinks, public_url: str | None) -> None:
        self._database = database
        self._links = links
        self._public_url = public_url

    @operation(
        "POST",
        "/api/portal/links",
        scope=Scope.WALLETS_WRITE,
        answer=PortalLinkAnswer,
        status=201,
        shown_once=("url", "frame"),
        links={"revoke": link("portal.revoke", path={"link_id": "id"})},
    )
    async def create(self, call: Call, body: PortalLinkBody) -> PortalLinkAnswer:
        """Make a short-lived link to the page on which one user or organisation sees their credits, and nothing else."""
        async with self._database.transaction() as session:
            made = await self._links.create(
                session,
                body.owner_id,
                lifetime=timedelta(seconds=body.expires_in_seconds),
                origins=body.allowed_origins,
            )
        url = call.request.url
        return _answer(made, self._public_url or f"{url.scheme}://{url.netloc}")

    @operation(
        "DELETE",
        "/api/portal/links/{link_id}",
        scope=Scope.WALLETS_WRITE,
        answer=PortalRevokedAnswer,
        errors=(UnknownPortalLinkError,),
    )
    async def revoke(self, link_id: str) -> PortalRevokedAnswer:
        """Revoke a link; the next call of its page is refused."""
        async with self._database.transaction() as session:
            await self._links.revoke(session, link_id)
        return PortalRevokedAnswer(id=link_id)


def _answer(made: NewPortalLink, base: str) -> PortalLinkAnswer:
    url = f"{base}/portal/{made.link.link_id}#{made.token}"
    frame = f'<iframe src="{escape(url)}" title="Credits" width="100%" height="800"></iframe>'
    return PortalLinkAnswer(
        id=made.link.link_id,
        owner_id=made.link.owner_id,
        url=url,
        frame=frame if made.origins else None,
        expires_at=made.link.expires_at,
    )
