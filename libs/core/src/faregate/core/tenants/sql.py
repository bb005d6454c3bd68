"""SQL of the tenants of a deployment."""

__all__ = [
    "HOSTS_ADD",
    "HOSTS_REMOVE",
    "HOST_OWNERS",
    "TENANT_ADD",
    "TENANT_CHANGE",
    "TENANT_LIST",
    "TENANT_LOCK",
    "TENANT_REMOVE",
]

TENANT_LIST = """
select t.key, t.db_schema, t.tag, t.state, t.overrides, t.created_at, t.changed_at,
  array(select h.host from faregate.tenant_host h where h.tenant = t.key order by h.host) as hosts
from faregate.tenant t order by t.key
"""

TENANT_LOCK = "lock table faregate.tenant in share row exclusive mode"
"""Changes of tenants are rare, and compare one tenant with all others."""

TENANT_ADD = """
insert into faregate.tenant (key, db_schema, tag, state, overrides)
values (:key, :db_schema, :tag, :state, :overrides)
"""

TENANT_CHANGE = """
update faregate.tenant set state = :state, overrides = :overrides, changed_at = clock_timestamp() where key = :key
"""

TENANT_REMOVE = "delete from faregate.tenant where key = :key"

HOST_OWNERS = "select host, tenant from faregate.tenant_host where host = any(cast(:hosts as text[]))"

HOSTS_ADD = """
insert into faregate.tenant_host (host, tenant)
select wanted.host, :tenant from unnest(cast(:hosts as text[])) as wanted (host)
"""

HOSTS_REMOVE = "delete from faregate.tenant_host where tenant = :tenant"
