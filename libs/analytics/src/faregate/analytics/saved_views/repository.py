"""SQL of saved views."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.wire import exact_json

__all__ = ["SavedViewRepository"]

_FIELDS = "view_id, actor, subject_id, name, shared, state::text as state, created_at, updated_at"
_OWN = "actor = :actor and subject_id is not distinct from cast(:subject_id as bigint)"

_LIST = f"select {_FIELDS} from faregate.saved_view where shared or ({_OWN}) order by name, view_id"  # noqa: S608

_PUT = f"""
insert into faregate.saved_view as v (view_id, actor, subject_id, name, shared, state)
values (:view_id, :actor, cast(:subject_id as bigint), :name, :shared, cast(:state as text)::jsonb)
on conflict (view_id) do update set name = excluded.name, shared = excluded.shared, state = excluded.state,
  updated_at = clock_timestamp()
where v.actor = excluded.actor and v.subject_id is not distinct from excluded.subject_id
returning {_FIELDS}
"""  # noqa: S608

_DELETE = f"delete from faregate.saved_view where view_id = :view_id and {_OWN} returning view_id"  # noqa: S608


class SavedViewRepository:
    """Reads and writes the table `saved_view`; owners are given as `actor` and `subject_id`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, session: AsyncSession, actor: str, subject_id: int | None) -> Sequence[Any]:
        """Return the owner's views and all shared ones, by name."""
        return await self._database.rows(session, _LIST, actor=actor, subject_id=subject_id)

    async def put(
        self, session: AsyncSession, view_id: UUID, owner: tuple[str, int | None], fields: Mapping[str, Any]
    ) -> Any:
        """Store a view; None if the id belongs to a view of another owner."""
        rows = await self._database.rows(
            session,
            _PUT,
            view_id=view_id,
            actor=owner[0],
            subject_id=owner[1],
            name=fields["name"],
            shared=fields["shared"],
            state=exact_json.dumps(fields["state"]).decode(),
        )
        return rows[0] if rows else None

    async def delete(self, session: AsyncSession, view_id: UUID, actor: str, subject_id: int | None) -> bool:
        """Delete a view of the owner; False if there is none."""
        return bool(await self._database.rows(session, _DELETE, view_id=view_id, actor=actor, subject_id=subject_id))
