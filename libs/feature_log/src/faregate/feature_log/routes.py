"""Cached routes: combinations of feature, endpoint and type.

There are few of them, and many logs share one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.runtime.bounded_memory import BoundedCache, bounded_cache
from faregate.feature_log.sql import ROUTE_ADD, ROUTE_FIND, ROUTE_MATCHING
from faregate.feature_log.values import Route

__all__ = ["Routes", "endpoint_template", "split_endpoint"]

_REMEMBERED = 50_000
_REMEMBERED_BYTES = 32 * 1024 * 1024
_PLAIN_SEGMENT = re.compile(
    r"(?=[^A-Za-z]*[A-Za-z])(?!(?:\D*\d){4})[A-Za-z0-9_.-]{1,40}|\{\w{1,40}\}|:[A-Za-z]\w{0,39}"
)
"""A segment of a path that is not an id: it has a letter, three digits at most, and is short."""


class Routes:
    """Finds and adds routes, in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: BoundedCache[tuple[str, ...], int] = BoundedCache(
            limit_bytes=_REMEMBERED_BYTES, entries=_REMEMBERED
        )

    def known(self, routes: Iterable[Route]) -> dict[Route, int]:
        """Return the numbers of the routes that are cached."""
        return {route: number for route in routes if (number := self._known.get(_order(route))) is not None}

    async def ensure(self, session: AsyncSession, routes: Iterable[Route]) -> Mapping[Route, int]:
        """Return the numbers of all `routes`, adding the unknown ones in a fixed order. Call `remember` after the commit."""
        wanted = _columns(sorted(routes, key=_order))
        await self._database.rows(session, ROUTE_ADD, **wanted)
        rows = await self._database.rows(session, ROUTE_FIND, **wanted)
        return {Route(row.feature_key, row.feature_id, row.endpoint, row.type): row.route_id for row in rows}

    def remember(self, numbers: Mapping[Route, int]) -> None:
        """Cache numbers that are committed."""
        self._known.update({_order(route): number for route, number in numbers.items()})

    async def matching(self, session: AsyncSession, *, feature: str | None, text: str | None) -> list[int]:
        """Return the routes of a feature (by key or id) that contain `text`, case-insensitively."""
        pattern = None
        if text is not None:
            pattern = "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
        rows = await self._database.rows(session, ROUTE_MATCHING, feature=feature, pattern=pattern)
        return [row.route_id for row in rows]


def endpoint_template(endpoint: str, user_id: str) -> str:
    """Return an endpoint without query, with `{user}` for the user and `{id}` for each segment that looks like an id."""
    scheme, found, rest = endpoint.partition("://")
    path = (rest if found else endpoint).partition("?")[0].partition("#")[0]
    return (scheme + found if found else "") + _path(path, user_id)[:300]


def split_endpoint(endpoint: str) -> tuple[str, dict[str, Any]]:
    """Return an endpoint without its query string and fragment, and their contents as members of a `query` object."""
    rest, _, fragment = endpoint.partition("#")
    path, _, query = rest.partition("?")
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        known = found.get(name)
        found[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
    return path, {**found, **({"#": fragment} if fragment else {})}


def _path(path: str, user_id: str) -> str:
    if "/" in user_id:
        path = re.sub(rf"(?<![^/]){re.escape(user_id)}(?![^/])", quote(user_id, safe=""), path)
    return "/".join(["{user}" if _is_user(part, user_id) else _template_segment(part) for part in path.split("/")])


def _is_user(part: str, user_id: str) -> bool:
    return part == user_id or ("%" in part and unquote(part) == user_id)


@bounded_cache(entries=10_000, longest=64)
def _template_segment(part: str) -> str:
    return part if not part or _PLAIN_SEGMENT.fullmatch(part) else "{id}"


def _columns(routes: Iterable[Route]) -> dict[str, list[Any]]:
    kept = list(routes)
    return {
        name: [getattr(route, name) for route in kept] for name in ("feature_key", "feature_id", "endpoint", "type")
    }


def _order(route: Route) -> tuple[str, ...]:
    return (route.feature_key, route.feature_id, route.endpoint, route.type)
