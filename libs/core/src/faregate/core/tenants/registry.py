"""Registry of the tenants of a deployment, in the deployment's own schema.

Every process reads it at most twice a second, by its version number, so that a change counts everywhere within a second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.core.errors import EngineUnavailableError
from faregate.core.privacy.key_ring import KeyRing
from faregate.core.tenants.errors import TenantExistsError, UnknownTenantError
from faregate.core.tenants.sql import (
    HOST_OWNERS,
    HOSTS_ADD,
    HOSTS_REMOVE,
    TENANT_ADD,
    TENANT_CHANGE,
    TENANT_LIST,
    TENANT_LOCK,
    TENANT_REMOVE,
)
from faregate.core.tenants.values import Tenant, Tenants, TenantState, tag_of
from faregate.wire import exact_json

__all__ = ["TenantRegistry"]


class TenantRegistry:
    """Reads and changes the tables `tenant` and `tenant_host`; `ring` encrypts the settings of tenants, which may be secrets."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring
        self._cache: VersionedCache[Tenants] = VersionedCache(database, "tenants", self.read)

    async def current(self) -> Tenants:
        """Return all tenants, as of a second ago at most; as they were last known while the database is unavailable.

        Raises:
            EngineUnavailableError: the database is unavailable, and they were never read.
        """
        try:
            return await self._cache.get()
        except EngineUnavailableError:
            if self._cache.last is None:
                raise
            return self._cache.last

    async def read(self, session: AsyncSession) -> Tenants:
        """Return all tenants as `session` sees them."""
        return Tenants([self._tenant(row) for row in await self._database.rows(session, TENANT_LIST)])

    async def get(self, session: AsyncSession, key: str) -> Tenant:
        """Return one tenant, or raise `UnknownTenantError`."""
        found = (await self.read(session)).by_key.get(key)
        if found is None:
            raise UnknownTenantError(f"There is no tenant {key!r}; `faregate tenants list` shows all", param="key")
        return found

    async def locked(self, session: AsyncSession) -> Tenants:
        """Return all tenants; nobody else changes them until `session` ends."""
        await self._database.rows(session, TENANT_LOCK)
        return await self.read(session)

    async def add(self, session: AsyncSession, key: str, schema: str, hosts: Sequence[str]) -> Tenant:
        """Add a tenant whose tables are not complete yet. Safe to repeat: one that is there with this schema is returned.

        Raises:
            TenantExistsError: another tenant has the schema, the tag or one of the hosts.
        """
        known = await self.locked(session)
        same = known.by_key.get(key)
        if same is not None and same.schema == schema:
            return same
        tag = tag_of(key)
        other = same or known.by_tag.get(tag) or next((each for each in known.all if each.schema == schema), None)
        if other is not None or schema == self._database.sql.schema:
            raise _taken(key, schema, other)
        await self._database.rows(
            session,
            TENANT_ADD,
            key=key,
            db_schema=schema,
            tag=tag,
            state=TenantState.CREATING.value,
            overrides=self._sealed(key, {}),
        )
        await self._set_hosts(session, key, hosts)
        await self._cache.changed(session)
        return await self.get(session, key)

    async def change(
        self,
        session: AsyncSession,
        tenant: Tenant,
        *,
        state: TenantState | None = None,
        hosts: Sequence[str] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Tenant:
        """Change a tenant and return it as it is then; what is None stays.

        Raises:
            TenantExistsError: another tenant is served at one of the hosts.
        """
        wanted = replace(tenant, state=state or tenant.state)
        await self._database.rows(
            session,
            TENANT_CHANGE,
            key=tenant.key,
            state=wanted.state.value,
            overrides=self._sealed(tenant.key, overrides if overrides is not None else tenant.overrides),
        )
        if hosts is not None:
            await self._set_hosts(session, tenant.key, hosts)
        await self._cache.changed(session)
        return await self.get(session, tenant.key)

    async def remove(self, session: AsyncSession, key: str) -> None:
        """Remove a tenant and its hosts; its schema stays. Safe to repeat."""
        await self._database.rows(session, HOSTS_REMOVE, tenant=key)
        await self._database.rows(session, TENANT_REMOVE, key=key)
        await self._cache.changed(session)

    async def _set_hosts(self, session: AsyncSession, key: str, hosts: Sequence[str]) -> None:
        owners = await self._database.rows(session, HOST_OWNERS, hosts=list(hosts))
        taken = [row for row in owners if row.tenant != key]
        if taken:
            raise TenantExistsError(
                f"The host {taken[0].host!r} belongs to tenant {taken[0].tenant!r}; take it from there first, or choose another",
                param="host",
            )
        await self._database.rows(session, HOSTS_REMOVE, tenant=key)
        await self._database.rows(session, HOSTS_ADD, tenant=key, hosts=sorted(set(hosts)))

    def _tenant(self, row: Any) -> Tenant:
        overrides = exact_json.loads(self._ring.open_text(_place(row.key), row.overrides))
        return Tenant(
            row.key,
            row.db_schema,
            row.tag,
            TenantState(row.state),
            tuple(row.hosts),
            overrides,
            row.created_at,
            row.changed_at,
        )

    def _sealed(self, key: str, overrides: Mapping[str, Any]) -> str:
        return self._ring.seal_text(_place(key), exact_json.dumps(dict(overrides)).decode())


def _place(key: str) -> str:
    return f"tenant|overrides|{key}"


def _taken(key: str, schema: str, other: Tenant | None) -> TenantExistsError:
    if other is None:
        return TenantExistsError(
            f"The schema {schema!r} is the deployment's own; give the tenant another", param="schema"
        )
    if other.key == key:
        return TenantExistsError(f"There is a tenant {key!r} already, with the schema {other.schema!r}", param="key")
    if other.schema == schema:
        return TenantExistsError(
            f"The schema {schema!r} belongs to tenant {other.key!r}; choose another", param="schema"
        )
    return TenantExistsError(
        f"Keys of {key!r} and of tenant {other.key!r} would begin alike; choose another key for the new tenant",
        param="key",
    )
