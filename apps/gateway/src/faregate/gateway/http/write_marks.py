"""Marks of callers who have written lately, shared through Redis.

Such a caller must not read from a replica that may lack what they wrote. Where nobody can know who has written, everybody counts as
such a caller: without Redis, while Redis is away, and for a while after it has lost its marks.
"""

import math
from hashlib import sha256
from typing import TYPE_CHECKING

from faregate.core.clock import Deadline
from faregate.core.db.schema import SCHEMA
from faregate.core.logging import get_logger
from faregate.core.runtime.bounded_memory import BoundedCache
from faregate.gateway.http.redis_clients import RedisClients

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["WriteMarks"]

log = get_logger(__name__)

_PREFIX = "faregate:wrote:"
_BEGUN = "faregate:wrote-begun"
_UNSURE = "faregate:wrote-unsure"
_AWAY_SECONDS = 1.0
_CALLERS = 10_000
_CALLERS_BYTES = 4 * 1024 * 1024


class WriteMarks:
    """Remembers who has written within the last `lag_seconds`, the longest that a replica may be behind.

    `namespace` separates the callers of tenants that share a Redis.
    """

    def __init__(self, lag_seconds: float, redis: RedisClients | None = None, *, namespace: str = SCHEMA) -> None:
        self._prefix = _PREFIX if namespace == SCHEMA else f"{_PREFIX}{namespace}:"
        self._lag_seconds = lag_seconds
        self._kept_seconds = 2 * math.ceil(lag_seconds) + 1
        self._clients = redis if lag_seconds > 0 else None
        self._marked: BoundedCache[str, Deadline] = BoundedCache(limit_bytes=_CALLERS_BYTES, entries=_CALLERS)
        self._missing = False
        self._away = Deadline(0)

    async def note(self, caller: str) -> None:
        """Record that `caller` has written; one mark serves for `lag_seconds` of writes."""
        marked = self._marked.get(caller)
        if self._clients is None or (marked is not None and not marked.passed):
            return
        if not self._away.passed:
            self._missing = True
            return
        try:
            await self._restored()
            await self._redis.set(self._name(caller), b"1", ex=self._kept_seconds)
        except Exception:  # noqa: BLE001  the client may raise anything if Redis sends invalid answers
            self._missing = True
            self._leave()
            return
        self._marked[caller] = Deadline(self._lag_seconds)

    async def wrote_lately(self, caller: str) -> bool:
        """Return whether `caller` has, or may have, written within the last `lag_seconds`."""
        if self._clients is None or not self._away.passed:
            return True
        try:
            await self._restored()
            mark, unsure, begun = await self._redis.mget(self._name(caller), _UNSURE, _BEGUN)
            if begun is None:
                await self._begin()
        except Exception:  # noqa: BLE001  the client may raise anything if Redis sends invalid answers
            self._leave()
            return True
        return mark is not None or unsure is not None or begun is None

    async def _restored(self) -> None:
        """Make everybody a caller who may have written, if this process could not record somebody."""
        if self._missing:
            await self._redis.set(_UNSURE, b"1", ex=self._kept_seconds)
            self._missing = False

    async def _begin(self) -> None:
        """Begin in a Redis that holds no marks: it is new, or has lost them."""
        await self._redis.set(_UNSURE, b"1", ex=self._kept_seconds)
        await self._redis.set(_BEGUN, b"1")

    def _leave(self) -> None:
        self._away = Deadline(_AWAY_SECONDS)
        log.warning("writers_not_known", reason="Redis is unavailable or sends invalid answers", seconds=_AWAY_SECONDS)

    @property
    def _redis(self) -> "Redis":
        assert self._clients is not None  # noqa: S101  the callers have checked
        return self._clients.marks

    def _name(self, caller: str) -> str:
        return self._prefix + sha256(caller.encode()).hexdigest()
