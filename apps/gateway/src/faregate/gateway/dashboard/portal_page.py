"""Route of the customers' page."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from faregate.core.access.portal_links import PortalLinks
from faregate.gateway.dashboard.pages import page

__all__ = ["portal_routes"]


def portal_routes(links: PortalLinks) -> list[BaseRoute]:
    """Return the route of `/portal/<link id>`, which only the pages of the link's origins may show in a frame.

    The secret of the link is in the part of the address after `#`, which browsers do not send.
    """

    async def portal(request: Request) -> Response:
        origins = await links.origins(request.path_params["link_id"])
        return await page("portal.html", request, ancestors=" ".join(origins) or "'none'")

    return [Route("/portal/{link_id}", portal)]
