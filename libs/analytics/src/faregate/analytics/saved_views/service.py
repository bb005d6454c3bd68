"""Saved views of the dashboard, private or shared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.saved_views.errors import UnknownViewError
from faregate.analytics.saved_views.repository import SavedViewRepository
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.wire import exact_json

__all__ = ["SavedView", "SavedViews", "ViewOwner"]

_PERSON = "user"


@dataclass(frozen=True, slots=True)
class ViewOwner:
    """The person, or the credential, whose views they are."""

    actor: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view. `state` is the query of the dashboard's address; `own`: whether the reader may change it."""

    view_id: UUID
    name: str
    shared: bool
    own: bool
    state: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


class SavedViews:
    """Lists, stores and deletes views. Everybody sees the shared ones; only the owner changes a view."""

    def __init__(self, database: Database, subjects: Subjects, repository: SavedViewRepository) -> None:
        self._database = database
        self._subjects = subjects
        self._repository = repository

    async def list(self, owner: ViewOwner) -> Sequence[SavedView]:
        """Return the owner's views and all shared ones, by name."""
        async with self._database.transaction() as session:
            actor, number = await self._names(session, owner)
            rows = await self._repository.list(session, actor, number)
        return [_view(row, actor, number) for row in rows]

    async def put(
        self, owner: ViewOwner, view_id: UUID, *, name: str, shared: bool, state: Mapping[str, Any]
    ) -> SavedView:
        """Store a view under this id; the same view again changes nothing.

        Raises:
            UnknownViewError: the id belongs to another owner's view.
        """
        async with self._database.transaction() as session:
            actor, number = await self._names(session, owner)
            fields = {"name": name, "shared": shared, "state": dict(state)}
            row = await self._repository.put(session, view_id, (actor, number), fields)
        if row is None:
            raise UnknownViewError(view_id)
        return _view(row, actor, number)

    async def delete(self, owner: ViewOwner, view_id: UUID) -> None:
        """Delete a view, or raise `UnknownViewError`."""
        async with self._database.transaction() as session:
            actor, number = await self._names(session, owner)
            deleted = await self._repository.delete(session, view_id, actor, number)
        if not deleted:
            raise UnknownViewError(view_id)

    async def _names(self, session: AsyncSession, owner: ViewOwner) -> tuple[str, int | None]:
        if owner.user_id is None:
            return owner.actor, None
        return _PERSON, (await self._subjects.ensure(session, [owner.user_id]))[owner.user_id].subject_id


def _view(row: Any, actor: str, number: int | None) -> SavedView:
    return SavedView(
        view_id=row.view_id,
        name=row.name,
        shared=row.shared,
        own=(row.actor, row.subject_id) == (actor, number),
        state=exact_json.loads(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
