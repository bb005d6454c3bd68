"""One question to the database for what waits at many tenants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError

from faregate.core.db.database import Database
from faregate.core.logging import get_logger
from faregate.core.tenants.values import Tenant
from faregate.worker.tenancy.sql import forget_many, probe, report_many, settled

__all__ = ["Probing", "Waiting"]

T = TypeVar("T")
log = get_logger(__name__)

_AT_ONCE = 50
_FAILURES = (DBAPIError, asyncpg.PostgresError)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits at one tenant: queues with messages, and whether webhooks are due."""

    ready: Sequence[str]
    has_webhooks: bool


class Probing:
    """Reads and writes the schemas of many tenants, some fifty in each statement; one that fails does not hide the others."""

    def __init__(self, database: Database, queues: Sequence[str], settling: Sequence[str]) -> None:
        self._database = database
        self._queues = list(queues)
        self._settling = list(settling)

    async def waiting(self, tenants: Sequence[Tenant]) -> Mapping[str, Waiting]:
        """Return what waits, by tenant; those whose tables cannot be read are left out."""
        found = await self._of_each(tenants, probe, self._queues)
        return {tenant.key: Waiting(row["ready"], row["has_webhooks"]) for tenant, row in found}

    async def settled_until(self, tenants: Sequence[Tenant]) -> Sequence[tuple[Tenant, datetime]]:
        """Return the moment before which everything published is settled, as far as the table `message` tells."""
        return [(tenant, row["until"]) for tenant, row in await self._of_each(tenants, settled, self._settling)]

    async def report(self, instance: str, settled_until: Sequence[tuple[Tenant, datetime]]) -> None:
        """Report a worker to tenants, with the moment until which each is settled."""
        for part in _parts(settled_until):
            await self._execute(report_many([tenant for tenant, _ in part]), instance, *(until for _, until in part))

    async def forget(self, instance: str, tenants: Sequence[Tenant]) -> None:
        """Take the reports of a worker back that has stopped."""
        for part in _parts(tenants):
            await self._execute(forget_many(part), instance)

    async def _of_each(
        self, tenants: Sequence[Tenant], question: Callable[[Sequence[Tenant]], str], queues: Sequence[str]
    ) -> list[tuple[Tenant, Any]]:
        return [pair for part in _parts(tenants) for pair in await self._of_part(part, question, queues)]

    async def _of_part(
        self, tenants: Sequence[Tenant], question: Callable[[Sequence[Tenant]], str], queues: Sequence[str]
    ) -> list[tuple[Tenant, Any]]:
        try:
            rows = await self._execute(question(tenants), queues)
        except _FAILURES as error:
            if len(tenants) == 1:
                log.warning("tenant_not_read", tenant=tenants[0].key, reason=str(error).partition("\n")[0])
                return []
            return [pair for tenant in tenants for pair in await self._of_part([tenant], question, queues)]
        return [(tenants[row["number"]], row) for row in rows]

    async def _execute(self, sql: str, *arguments: Any) -> Sequence[Any]:
        async with self._database.transaction() as session:
            driver = await self._database.driver(session)
            return await driver.fetch(sql, *arguments)


def _parts(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
