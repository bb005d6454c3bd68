"""Key rotation of feature logs.

Encrypts again, under the key in use, what is encrypted under older keys or not at all; in small steps, while the system runs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.partitions import Month
from faregate.feature_log.preparing import json_text
from faregate.feature_log.routes import split_endpoint
from faregate.feature_log.sealing import Sealer
from faregate.feature_log.sql import ROTATION_NEXT, ROTATION_STORE
from faregate.feature_log.values import BODY_COLUMNS
from faregate.wire import exact_json

__all__ = ["LogRotation"]

_CHUNK = 500
_SEALED = ("email", *BODY_COLUMNS)


class LogRotation:
    """Encrypts logs again. Writers use the new key already, so that one pass is enough."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def rotate(self, *, on_progress: Callable[[int], None] = lambda _: None) -> int:
        """Encrypt all logs under the key in use; return how many were changed. May be interrupted and restarted.

        Raises:
            LogSealedError: the key of a log is no longer in the ring; logs that were changed before stay changed.
        """
        place: tuple[Any, Any] | None = (Month(1970, 1).start, UUID(int=0))
        done = 0
        while place is not None:
            count, place = await self._database.run(partial(self._step, after=place))
            done += count
            on_progress(done)
        return done

    async def _step(self, session: AsyncSession, after: tuple[Any, Any]) -> tuple[int, tuple[Any, Any] | None]:
        rows = await self._database.rows(
            session, ROTATION_NEXT, after_at=after[0], after_id=after[1], key_id=self._sealer.key_id, limit=_CHUNK
        )
        if not rows:
            return 0, None
        sealed = [self._sealed(row) for row in rows]
        await self._database.rows(
            session,
            ROTATION_STORE,
            key_id=self._sealer.key_id,
            log_id=[row.log_id for row in rows],
            logged_at=[row.logged_at for row in rows],
            first=rows[0].logged_at,
            last=rows[-1].logged_at,
            **{name: [cells[name] for cells in sealed] for name in ("endpoint", "email_index", *_SEALED)},
        )
        return len(rows), (rows[-1].logged_at, rows[-1].log_id)

    def _sealed(self, row: Any) -> dict[str, Any]:
        plain = {name: self._sealer.open(name, row.log_id, row.key_id, getattr(row, name)) for name in _SEALED}
        email = plain["email"]
        endpoint = row.endpoint
        if self._sealer.key_id is not None:
            endpoint, plain["query"] = _split_query(endpoint, plain["query"])
        cells = {name: self._sealer.seal(name, row.log_id, text) for name, text in plain.items()}
        index = self._sealer.index(email.decode()) if email is not None else None
        return {**cells, "endpoint": endpoint, "email_index": index}


def _split_query(endpoint: str | None, query: bytes | None) -> tuple[str | None, bytes | None]:
    """Return the path of a row's endpoint, and its query including the endpoint's query string."""
    path, found = split_endpoint(endpoint or "")
    if endpoint is None or not found:
        return endpoint and path, query
    known: Any = exact_json.loads(query) if query else {}
    members = cast("dict[str, Any]", known) if isinstance(known, dict) else {"[query]": known}
    return path, json_text({**found, **members})
