"""SQL over the schemas of many tenants in one statement."""

from collections.abc import Sequence

from faregate.core.db.statements import Sql
from faregate.core.monitoring.sql import FORGET
from faregate.core.tenants.values import Tenant

__all__ = ["forget_many", "probe", "report_many", "settled"]

_PROBE = """
select {number}::int as number,
  array(select wanted.queue from unnest($1::text[]) as wanted (queue)
    where exists (select 1 from faregate.message m
      where m.queue = wanted.queue and m.dead_at is null and m.available_at <= now())) as ready,
  exists (select 1 from faregate.webhook_delivery d where d.due_at <= clock_timestamp()) as has_webhooks
"""

_SETTLED = """
select {number}::int as number, coalesce(
  (select min(m.created_at) from faregate.message m where m.queue = any($1::text[]) and m.dead_at is null), now()) as until
"""

_REPORT = """
insert into faregate.heartbeat (instance, role, settled_until, reported_at)
values ($1, 'worker', ${number}::timestamptz, clock_timestamp())
on conflict (instance) do update
set role = excluded.role, settled_until = excluded.settled_until, reported_at = excluded.reported_at
"""


def probe(tenants: Sequence[Tenant]) -> str:
    """Return the question of what waits: $1 the queues. One row for each tenant, by its place."""
    return _united(_PROBE, tenants)


def settled(tenants: Sequence[Tenant]) -> str:
    """Return the question until when everything is settled: $1 the queues. One row for each tenant, by its place."""
    return _united(_SETTLED, tenants)


def report_many(tenants: Sequence[Tenant]) -> str:
    """Return the statement that reports one worker to many tenants: $1 the worker, then until when each is settled."""
    parts = [
        f"t{place} as ({Sql(tenant.schema).text(_REPORT.format(number=place + 2))})"
        for place, tenant in enumerate(tenants)
    ]
    return f"with {', '.join(parts)} select 1"


def forget_many(tenants: Sequence[Tenant]) -> str:
    """Return the statement that takes the reports of one worker back: $1 the worker."""
    forget = FORGET.replace(":instance", "$1")
    parts = [f"t{place} as ({Sql(tenant.schema).text(forget)})" for place, tenant in enumerate(tenants)]
    return f"with {', '.join(parts)} select 1"


def _united(sql: str, tenants: Sequence[Tenant]) -> str:
    parts = [Sql(tenant.schema).text(sql.format(number=place)) for place, tenant in enumerate(tenants)]
    return "\nunion all\n".join(parts)
