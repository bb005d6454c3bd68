"""Clients of one Redis, shared by all tenants of a process."""

from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from limits.storage import storage_from_string

from faregate.core.errors import MissingExtraError

if TYPE_CHECKING:
    from cashews import Cache
    from redis.asyncio import Redis

__all__ = ["REDIS_TIMEOUT_SECONDS", "RedisClients"]

REDIS_TIMEOUT_SECONDS = 0.25
"""A slow Redis must not make requests slow."""

_PORT = 6379


class RedisClients:
    """The clients of the Redis at `url`, each with a pool of connections; each is made when it is first used.

    What tenants keep there is told apart by their schemas, which are part of each key, so that tenants need no connections of
    their own.
    """

    def __init__(self, url: str) -> None:
        """Raises `MissingExtraError` if redis is not installed."""
        if find_spec("redis") is None:
            raise MissingExtraError("FAREGATE_REDIS_URL", "redis")
        self._url = url

    @cached_property
    def limits(self) -> Any:
        """Storage of rate limits."""
        return storage_from_string(f"async+{_with_port(self._url)}", implementation="redispy", wrap_exceptions=True)

    @cached_property
    def answers(self) -> "Cache":
        """Store of kept answers."""
        from cashews import Cache  # slow to import, and needed only if answers are kept

        store = Cache()
        store.setup(self._url, suppress=False, socket_timeout=REDIS_TIMEOUT_SECONDS, pickle_type="null")
        return store

    @cached_property
    def marks(self) -> "Redis":
        """Client for marks of writers."""
        from redis.asyncio import Redis

        return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            self._url, socket_timeout=REDIS_TIMEOUT_SECONDS, socket_connect_timeout=REDIS_TIMEOUT_SECONDS
        )

    async def close(self) -> None:
        """Close all connections. Only the process does this, not a tenant."""
        made = self.__dict__
        if "limits" in made:
            await made.pop("limits").bridge.storage.aclose()
        if "answers" in made:
            await made.pop("answers").close()
        if "marks" in made:
            await made.pop("marks").aclose()


def _with_port(url: str) -> str:
    """Return a URL of Redis with its port; the rate limit library does not know the default port."""
    parts = urlsplit(url)
    if parts.scheme == "unix" or parts.port is not None:
        return url
    return parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:{_PORT}").geturl()
