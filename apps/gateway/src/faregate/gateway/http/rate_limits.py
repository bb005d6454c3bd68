"""Rate limits of credentials; concurrency limits of expensive calls."""

import asyncio
import math
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from faregate.core.clock import Deadline, IClock
from faregate.core.db.schema import SCHEMA
from faregate.core.logging import get_logger
from faregate.core.settings import Settings
from faregate.gateway.http.operation import Operation
from faregate.gateway.http.redis_clients import REDIS_TIMEOUT_SECONDS, RedisClients
from faregate.gateway.security.auth import Principal, Role
from faregate.wire.errors import RateLimitedError

__all__ = ["LimitRules", "RateLimiter", "limit_rules"]

log = get_logger(__name__)

_MEMORY = "async+memory://"
_AWAY_SECONDS = 1.0
"""How long Redis is not used after a failure, because every request would wait for its timeout."""


@dataclass(frozen=True, slots=True)
class LimitRules:
    """Requests per minute of one credential, by kind; 0 for no limit. `refused` limits wrong credentials from one address, and
    `tenant` all credentials together.
    """

    key: int
    admin: int
    analyst: int
    user: int
    refused: int
    tenant: int = 0

    def of(self, principal: Principal) -> int:
        """Return the limit of a credential; a person has the highest limit of their roles."""
        if principal.user_id is None:
            return self.key
        by_role = {Role.ADMIN: self.admin, Role.ANALYST: self.analyst, Role.USER: self.user}
        held = [by_role[role] for role in principal.roles]
        return 0 if 0 in held else max(held)


def limit_rules(settings: Settings) -> LimitRules:
    """Return the limits of the settings."""
    return LimitRules(
        settings.rate_limit_key,
        settings.rate_limit_admin,
        settings.rate_limit_analyst,
        settings.rate_limit_user,
        settings.rate_limit_refused,
        settings.rate_limit_tenant,
    )


class RateLimiter:
    """Counts requests in a sliding window of a minute, in process or in Redis.

    While Redis is unavailable, slow or sends invalid answers, reads pass uncounted, and each process counts writes on its
    own. A rate limit protects from load; it never decides whether somebody may spend credits.
    """

    def __init__(
        self, rules: LimitRules, clock: IClock, redis: RedisClients | None = None, *, namespace: str = SCHEMA
    ) -> None:
        """`namespace`: separates the counters of tenants that share a Redis."""
        self._rules = rules
        self._prefix = "" if namespace == SCHEMA else f"{namespace}:"
        self._clock = clock
        self._local = SlidingWindowCounterRateLimiter(storage_from_string(_MEMORY))
        self._shared = SlidingWindowCounterRateLimiter(redis.limits) if redis is not None else None
        self._away = Deadline(0)
        self._busy: Counter[str] = Counter()
        self.refused = 0
        self.uncounted = 0

    async def take(self, principal: Principal, operation: Operation) -> Mapping[str, str]:
        """Count one request; return the headers with the remaining number of requests.

        The keys of one client and all keys made by them share the limit of one key.

        Raises:
            RateLimitedError: the limit of this minute is used up.
        """
        return await self.count(principal, reading=operation.method == "GET")

    async def count(self, principal: Principal, *, reading: bool, calls: int = 1) -> Mapping[str, str]:
        """Count one request to a path of a foreign protocol, or `calls` that one request stands for; see `take`."""
        limit = self._rules.of(principal)
        headers = await self._count(f"principal:{_counted_as(principal)}", limit, reading=reading, calls=calls)
        if self._rules.tenant:
            await self._count("tenant", self._rules.tenant, reading=reading, calls=calls)
        return headers

    async def refuse(self, address: str | None) -> None:
        """Count one wrong credential of an address.

        Raises:
            RateLimitedError: there were too many, as when somebody guesses keys.
        """
        await self._count(f"refused:{address}", self._rules.refused, reading=False)

    @contextmanager
    def slot(self, operation: Operation) -> Generator[None]:
        """Hold one of the slots of an expensive call, of which a process has few.

        Raises:
            RateLimitedError: no slot is free.
        """
        if operation.concurrency is None:
            yield
            return
        if self._busy[operation.id] >= operation.concurrency:
            self.refused += 1
            raise RateLimitedError(
                f"{operation.concurrency} calls of this kind are already running; try again in a moment",
                retry_after_seconds=1,
            )
        self._busy[operation.id] += 1
        try:
            yield
        finally:
            self._busy[operation.id] -= 1

    async def _count(self, name: str, limit: int, *, reading: bool, calls: int = 1) -> Mapping[str, str]:
        if limit == 0:
            return {}
        item = RateLimitItemPerMinute(limit)
        allowed, reset_at, remaining = await self._hit(item, self._prefix + name, reading=reading, calls=calls)
        if reset_at is None:
            return {}
        wait = max(1, math.ceil(reset_at - self._clock.now().timestamp()))
        if not allowed:
            self.refused += 1
            raise RateLimitedError(
                f"More than {limit} requests in a minute; try again in {wait} s", retry_after_seconds=wait
            )
        return {
            "ratelimit-limit": str(limit),
            "ratelimit-remaining": str(max(0, min(remaining, limit))),
            "ratelimit-reset": str(wait),
        }

    async def _hit(
        self, item: RateLimitItem, name: str, *, reading: bool, calls: int
    ) -> tuple[bool, float | None, int]:
        if self._shared is not None:
            if self._away.passed:
                try:
                    async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                        return await _hit(self._shared, item, name, calls)
                except Exception as error:  # noqa: BLE001  the client may raise anything if Redis sends invalid answers
                    self._leave(error)
            if reading:
                self.uncounted += 1
                return True, None, 0
        return await _hit(self._local, item, name, calls)

    def _leave(self, error: Exception) -> None:
        self._away = Deadline(_AWAY_SECONDS)
        log.warning(
            "rate_limits_fail_open",
            reason=type(error).__name__,
            seconds=_AWAY_SECONDS,
            reads="pass",
            writes="counted here",
        )


def _counted_as(principal: Principal) -> str:
    return f"key:{principal.line[-1]}" if principal.line else principal.id


async def _hit(limiter: Any, item: RateLimitItem, name: str, calls: int) -> tuple[bool, float, int]:
    allowed = await limiter.hit(item, name, cost=calls)
    stats = await limiter.get_window_stats(item, name)
    return allowed, stats.reset_time, stats.remaining
