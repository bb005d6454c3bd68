"""Response cache, keyed by the version of the data.

Answers are kept in this process or in Redis. No invalidation is needed: each call first reads the current version from the
database, in one small query, and uses a kept answer only if it was made from exactly that version. So an answer is never
older than its request, whichever process wrote in between.
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from starlette.responses import Response

from faregate.core.clock import Deadline
from faregate.core.db.database import Database
from faregate.core.logging import get_logger
from faregate.gateway.http.envelope import json_bytes_response
from faregate.gateway.http.redis_clients import RedisClients

if TYPE_CHECKING:
    from cashews import Cache

__all__ = ["ResponseCache"]

log = get_logger(__name__)

_KEPT_SECONDS = 10.0
_AWAY_SECONDS = 5.0
_OK = 200
_LARGEST_BYTES = 64 * 1024
"""The largest answer that is kept. The number of kept answers is a setting; together they bound the memory."""


class ResponseCache:
    """Keeps answers for ten seconds at most; while Redis is unavailable, every answer is computed.

    `size` is the number of answers in the memory of this process (the least recently used are evicted first); 0 turns the
    cache off, in Redis too.
    """

    def __init__(self, database: Database, size: int, redis: RedisClients | None = None) -> None:
        self._database = database
        self._size = size
        self._redis = redis
        self._store: Cache | None = None
        self._away = Deadline(0)
        self._running: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def answer(
        self, name: str, question: str, version: str | None, make: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Return the kept answer to `question` at `version`, or make it; concurrent equal requests make it once.

        With a `version` of None the answer is not kept. Only answers of status 200 are kept.
        """
        if version is None or self._size == 0:
            return await make()
        key = self._key(name, question, version)
        lock = self._running.setdefault(key, asyncio.Lock())
        async with lock:
            body = await self._find(key)
            self._database.cache_metrics.count(name, hit=body is not None)
            if body is not None:
                return json_bytes_response(body, _OK)
            response = await make()
            if response.status_code == _OK and len(response.body) <= _LARGEST_BYTES:
                await self._keep(key, bytes(response.body))
            return response

    async def close(self) -> None:
        """Forget the answers in this process."""
        if self._store is not None:
            await self._store.close()
            self._store = None

    def _key(self, name: str, question: str, version: str) -> str:
        parts = (self._database.url, self._database.sql.schema, name, question, version)
        return "faregate:" + sha256("\0".join(parts).encode()).hexdigest()

    async def _find(self, key: str) -> bytes | None:
        if not self._away.passed:
            return None
        try:
            found = await self._cache.get(key)
        except Exception:  # noqa: BLE001  the client may raise anything if Redis sends invalid answers
            self._leave()
            return None
        return found if isinstance(found, bytes) else None

    async def _keep(self, key: str, body: bytes) -> None:
        if not self._away.passed:
            return
        try:
            await self._cache.set(key, body, expire=_KEPT_SECONDS)
        except Exception:  # noqa: BLE001  the client may raise anything if Redis sends invalid answers
            self._leave()

    def _leave(self) -> None:
        self._away = Deadline(_AWAY_SECONDS)
        log.warning("answers_not_kept", reason="Redis is unavailable or sends invalid answers", seconds=_AWAY_SECONDS)

    @property
    def _cache(self) -> "Cache":
        if self._redis is not None:
            return self._redis.answers
        if self._store is None:
            from cashews import Cache  # slow to import, and needed only if answers are kept

            self._store = Cache()
            self._store.setup("mem://", size=self._size, check_interval=0, pickle_type="null")
        return self._store
