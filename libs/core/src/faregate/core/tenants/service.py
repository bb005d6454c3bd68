"""Life of a tenant, from its creation to its deletion."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.migrate import upgrade
from faregate.core.db.shared_pool import SchemaDatabase
from faregate.core.errors import KeyConflictError
from faregate.core.settings import Settings
from faregate.core.tenants.overrides import check_apart, settings_of
from faregate.core.tenants.registry import TenantRegistry
from faregate.core.tenants.values import Tenant, Tenants, TenantState, check_host, check_key, check_schema, schema_of

__all__ = ["TenantService"]

_NOTICED_SECONDS = 3.0
"""Time in which every process notices that a tenant is suspended; requests that it was running may take longer."""


class TenantService:
    """Changes the tenants of one deployment, whose settings are `deployment`."""

    def __init__(self, database: Database, registry: TenantRegistry, deployment: Settings, clock: IClock) -> None:
        self._database = database
        self._registry = registry
        self._deployment = deployment
        self._clock = clock

    async def list(self) -> Sequence[Tenant]:
        """Return all tenants, by key."""
        async with self._database.transaction(read_only=True) as session:
            return (await self._registry.read(session)).all

    async def get(self, key: str) -> Tenant:
        """Return one tenant, or raise `UnknownTenantError`."""
        async with self._database.transaction(read_only=True) as session:
            return await self._registry.get(session, key)

    async def create(
        self,
        key: str,
        *,
        hosts: Sequence[str] = (),
        schema: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Tenant:
        """Create a tenant and its tables, and serve it. Safe to repeat, also after it was interrupted.

        `schema`: where its tables are, also if they exist already.

        Raises:
            InvalidError: key, schema, host or settings are wrong, or let in credentials of another tenant.
            TenantExistsError: another tenant has the key, the schema or a host.
        """
        chosen = check_schema(schema or schema_of(check_key(key)))
        checked = [check_host(host) for host in hosts]

        async def add(session: AsyncSession) -> Tenant:
            tenant = await self._registry.add(session, key, chosen, checked)
            if tenant.state is not TenantState.CREATING:
                return tenant
            return await self._changed(session, tenant, hosts=checked, overrides=overrides or {})

        tenant = await self._database.run(add)
        await self.migrate(tenant)
        return tenant if tenant.state is not TenantState.CREATING else await self._set_state(key, TenantState.ACTIVE)

    async def configure(
        self, key: str, *, hosts: Sequence[str] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Tenant:
        """Replace the hosts, and change settings; a setting of None is that of the deployment again. Raises as `create` does."""

        async def change(session: AsyncSession) -> Tenant:
            await self._registry.locked(session)
            tenant = await self._registry.get(session, key)
            merged = {**tenant.overrides, **(overrides or {})}
            kept = {name: value for name, value in merged.items() if value is not None}
            checked = [check_host(host) for host in hosts] if hosts is not None else None
            return await self._changed(session, tenant, hosts=checked, overrides=kept)

        return await self._database.run(change)

    async def suspend(self, key: str) -> Tenant:
        """Stop serving a tenant; within seconds every process refuses its requests and leaves its messages. Safe to repeat."""
        return await self._set_state(key, TenantState.SUSPENDED)

    async def resume(self, key: str) -> Tenant:
        """Serve a suspended tenant again, after its tables are brought up to date. Safe to repeat.

        Raises:
            KeyConflictError: it is being deleted.
        """
        tenant = await self.get(key)
        if tenant.state is TenantState.DELETING:
            raise KeyConflictError(f"Tenant {key!r} is being deleted; repeat `faregate tenants delete {key}`")
        await self.migrate(tenant)
        return await self._set_state(key, TenantState.ACTIVE)

    async def deletable(self, key: str) -> Tenant:
        """Return a tenant that `delete` accepts; raises as it does."""
        tenant = await self.get(key)
        if tenant.is_active:
            raise KeyConflictError(f"Tenant {key!r} is served; suspend it first: `faregate tenants suspend {key}`")
        return tenant

    async def delete(self, key: str, *, remove_rest: Callable[[], Awaitable[None]] | None = None) -> Tenant:
        """Drop the tables of a suspended tenant, and forget it. What was interrupted is repeated by another call.

        `remove_rest`: removes what the tenant has elsewhere; if it fails, the tenant is not forgotten. It is safe to repeat.

        Raises:
            UnknownTenantError: there is no such tenant.
            KeyConflictError: it is not suspended.
        """
        tenant = await self.deletable(key)
        suspended_for = (self._clock.now() - tenant.changed_at).total_seconds()
        await self._set_state(key, TenantState.DELETING)
        await asyncio.sleep(max(0.0, min(_NOTICED_SECONDS, _NOTICED_SECONDS - suspended_for)))
        await self._drop(tenant.schema)
        if remove_rest is not None:
            await remove_rest()

        async def remove(session: AsyncSession) -> None:
            await self._registry.remove(session, key)

        await self._database.run(remove)
        return tenant

    async def migrate(self, tenant: Tenant) -> tuple[str | None, str]:
        """Migrate the tables of one tenant; return the revisions before and after. Safe to repeat, also concurrently."""
        return await upgrade(self.database_of(tenant))

    def database_of(self, tenant: Tenant) -> Database:
        """Return the database of one tenant, on the connections of the deployment."""
        return SchemaDatabase(self._database, tenant.schema, share=self._deployment.db_pool_size)

    def settings_of(self, tenant: Tenant) -> Settings:
        """Return the settings of one tenant."""
        return settings_of(self._deployment, tenant)

    async def _changed(
        self, session: AsyncSession, tenant: Tenant, *, hosts: Sequence[str] | None, overrides: Mapping[str, Any]
    ) -> Tenant:
        changed = await self._registry.change(session, tenant, hosts=hosts, overrides=overrides)
        self._check(changed, await self._registry.read(session))
        return changed

    def _check(self, tenant: Tenant, known: Tenants) -> None:
        others = {other.key: self.settings_of(other) for other in known.all if other.key != tenant.key}
        check_apart(tenant, self.settings_of(tenant), {"the deployment": self._deployment, **others})

    async def _set_state(self, key: str, state: TenantState) -> Tenant:
        async def change(session: AsyncSession) -> Tenant:
            tenants = await self._registry.locked(session)
            tenant = tenants.by_key.get(key) or await self._registry.get(session, key)
            return tenant if tenant.state is state else await self._registry.change(session, tenant, state=state)

        return await self._database.run(change)

    async def _drop(self, schema: str) -> None:
        connection = await self._database.connect()
        try:
            await connection.execute("set statement_timeout = 0; set lock_timeout = '60s'")
            await connection.execute(f'drop schema if exists "{schema}" cascade')
        finally:
            await connection.close()
