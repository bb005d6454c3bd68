"""Controller of `/api/views`: saved views of the dashboard."""

from uuid import UUID

from faregate.analytics.saved_views.errors import UnknownViewError
from faregate.analytics.saved_views.service import SavedView, SavedViews, ViewOwner
from faregate.gateway.http.operation import Audit, Call, Controller, Page, link, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.views import ViewAnswer, ViewBody, ViewDeletedAnswer
from faregate.gateway.security.auth import Scope

__all__ = ["ViewsController"]


class ViewsController(Controller):
    """Saved views over HTTP."""

    def __init__(self, views: SavedViews) -> None:
        self._views = views

    @operation(
        "GET",
        "/api/views",
        scope=Scope.ANALYTICS_READ,
        answer=list[ViewAnswer],
        personal=Personal.WORDS,
        audit=Audit.NEVER,
    )
    async def list_views(self, call: Call) -> Page:
        """List the caller's views and all shared ones, by name."""
        return Page([_answer(view) for view in await self._views.list(_owner(call))])

    @operation(
        "PUT",
        "/api/views/{view_id}",
        scope=Scope.ANALYTICS_READ,
        answer=ViewAnswer,
        errors=(UnknownViewError,),
        personal=Personal.WORDS,
        links={"delete": link("views.delete_view", path={"view_id": "id"})},
    )
    async def put_view(self, call: Call, view_id: UUID, body: ViewBody) -> ViewAnswer:
        """Save a view of the dashboard under an id of the caller's choice, or change it."""
        view = await self._views.put(_owner(call), view_id, name=body.name, shared=body.shared, state=body.state)
        return _answer(view)

    @operation(
        "DELETE",
        "/api/views/{view_id}",
        scope=Scope.ANALYTICS_READ,
        answer=ViewDeletedAnswer,
        errors=(UnknownViewError,),
    )
    async def delete_view(self, call: Call, view_id: UUID) -> ViewDeletedAnswer:
        """Delete a view of the caller."""
        await self._views.delete(_owner(call), view_id)
        return ViewDeletedAnswer(id=view_id)


def _owner(call: Call) -> ViewOwner:
    return ViewOwner(call.principal.id, call.principal.user_id)


def _answer(view: SavedView) -> ViewAnswer:
    return ViewAnswer.of(view, id=view.view_id)
