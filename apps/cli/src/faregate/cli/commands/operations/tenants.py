"""`faregate tenants`: the tenants of a deployment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import App, Parameter

from faregate.cli.commands.operations.backup import check_new, dump_schema
from faregate.cli.shared.auditing import audited, in_audit, note
from faregate.cli.shared.deployment import home_deployment
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import console, print_done, print_facts, print_json, print_table
from faregate.core.errors import InvalidError
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.cli.commands.operations.tenant_rest import Removed
    from faregate.core.container import CoreContainer
    from faregate.core.tenants.service import TenantService
    from faregate.core.tenants.values import Tenant

__all__ = ["tenants"]

T = TypeVar("T")
_FIRST_KEY = "first key"
_Hosts = Annotated[
    list[str] | None, Parameter(name="--host", help="Host at which it is served; may be repeated.", negative="")
]
_Settings = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        help="Setting of its own, as FAREGATE_MARGIN_PERCENT=30; empty for that of the deployment; may be repeated.",
        negative="",
    ),
]

tenants = App(name="tenants", help="Create, configure, suspend, export and delete the tenants of a deployment.")


@tenants.command
@audited("tenants.create", target=("key",), apart=True)
def create(
    key: Annotated[str, Parameter(help="Short name that never changes, such as acme.")],
    *,
    host: _Hosts = None,
    schema: Annotated[
        str | None, Parameter(help="Schema of its tables, also one that exists; else tenant_KEY.")
    ] = None,
    settings: _Settings = None,
    output: Output = "table",
) -> None:
    """Create a tenant and its tables, serve it, and print its first API key, which has all scopes. Safe to repeat."""

    async def work(core: CoreContainer) -> tuple[Tenant, str | None]:
        service = core.tenant_service()
        made = await service.create(key, hosts=host or [], schema=schema, overrides=_overrides(settings))
        first = await _first_key(service, made)
        note(after=made)
        return made, first

    made, first = _with_core(work)
    if output == "json":
        print_json({**_facts(made), "api_key": first})
        return
    console.print(f"created {made.key}: schema {made.schema}, {_served(made)}", highlight=False)
    if first is not None:
        console.print(f"{first}\n\nStore it safely: it is not shown again.", highlight=False)


@tenants.command(name="set")
@audited("tenants.set", target=("key",))
def set_(
    key: str,
    settings: Annotated[list[str] | None, Parameter(help="As FAREGATE_MARGIN_PERCENT=30.", negative="")] = None,
    *,
    host: _Hosts = None,
    output: Output = "table",
) -> None:
    """Change settings of a tenant, or replace its hosts; every process follows within a second."""
    overrides = _overrides(settings)
    if not overrides and host is None:
        raise InvalidError("nothing to change; give settings as NAME=VALUE, or --host", param="settings")

    async def work(core: CoreContainer) -> Tenant:
        changed = await core.tenant_service().configure(key, hosts=host, overrides=overrides)
        note(after=changed)
        return changed

    changed = _with_core(work)
    print_done(f"{changed.key}: {_served(changed)}; own settings: {_own(changed)}", _facts(changed), output)


@tenants.command
@audited("tenants.suspend", target=("key",))
def suspend(key: str, *, output: Output = "table") -> None:
    """Stop serving a tenant: its calls are refused within seconds, and its messages wait. Safe to repeat."""
    found = _with_core(lambda core: core.tenant_service().suspend(key))
    print_done(f"suspended {found.key}", _facts(found), output)


@tenants.command
@audited("tenants.resume", target=("key",), apart=True)
def resume(key: str, *, output: Output = "table") -> None:
    """Serve a suspended tenant again. Safe to repeat."""
    found = _with_core(lambda core: core.tenant_service().resume(key))
    print_done(f"{found.key}: {_served(found)}", _facts(found), output)


@tenants.command
@audited("tenants.export", target=("key", "file"), apart=True)
def export(
    key: str,
    file: Annotated[Path, Parameter(help="File to write; must not exist.")],
    *,
    output: Output = "table",
) -> None:
    """Write all tables of a tenant to one file, as of one moment; `faregate restore` reads it in a deployment of its own."""
    check_new(file)

    async def work(core: CoreContainer) -> Tenant:
        found = await core.tenant_service().get(key)
        await dump_schema(core.database(), found.schema, file)
        return found

    found = _with_core(work)
    size = file.stat().st_size
    facts = {"file": file, "bytes": size, "schema": found.schema, "revision": _revision()}
    print_done(f"{file}: {size / 1024**2:.1f} MiB, schema {found.schema}", facts, output)


@tenants.command
@audited("tenants.delete", target=("key", "keep_files"), apart=True)
def delete(
    key: str,
    *,
    confirm: Annotated[str, Parameter(help="The tenant's key once more.")],
    keep_files: Annotated[
        bool, Parameter(help="Leave its archives, exports and other files, also in S3.", negative="")
    ] = False,
    output: Output = "table",
) -> None:
    """Drop all tables of a suspended tenant, its queues, files, objects in S3, views and their roles, and forget it.

    Safe to repeat after an interruption. While the bucket or the broker cannot be reached, nothing is begun.
    """
    from faregate.cli.commands.operations.tenant_rest import TenantRest

    if confirm != key:
        raise InvalidError(
            f"--confirm must repeat the key {key!r}: nothing of the tenant can be restored", param="confirm"
        )

    async def work(core: CoreContainer) -> tuple[Tenant, Removed]:
        service = core.tenant_service()
        found = await service.deletable(key)
        rest = TenantRest(service.settings_of(found), service.database_of(found), keep_files=keep_files)
        await rest.check()
        return await service.delete(key, remove_rest=rest.remove), rest.removed

    deleted, removed = _with_core(work)
    facts = {"key": deleted.key, "schema": deleted.schema, **removed.facts}
    print_done(f"deleted {key}: schema {deleted.schema}, {removed.sentence}", facts, output)


@tenants.command(name="list")
def list_tenants(*, output: Output = "table") -> None:
    """List tenants."""
    found = _with_core(lambda core: core.tenant_service().list())
    if output == "json":
        print_json([_facts(tenant) for tenant in found])
        return
    rows = [(each.key, each.state, " ".join(each.hosts), each.schema, _own(each)) for each in found]
    print_table("Tenants", ["key", "state", "hosts", "schema", "own settings"], rows)


@tenants.command
def show(key: str, *, output: Output = "table") -> None:
    """Show one tenant; values of settings that may be secrets are left out."""
    found = _with_core(lambda core: core.tenant_service().get(key))
    print_facts(
        f"Tenant {key}",
        {**_facts(found), "hosts": " ".join(found.hosts)} if output == "table" else _facts(found),
        output,
    )


async def _first_key(service: TenantService, tenant: Tenant) -> str | None:
    """Return a new key of a tenant that has none; else None."""
    from faregate.core.access.key_store import KeySpec
    from faregate.core.clock import SystemClock
    from faregate.core.container import make_key_store
    from faregate.gateway.security.auth import Scope

    database = service.database_of(tenant)
    store = make_key_store(service.settings_of(tenant), database, SystemClock())
    await database.open()
    async with database.transaction() as session:
        if await store.list(session, limit=1):
            return None
        _, key = await store.create(session, KeySpec(_FIRST_KEY, [each.value for each in Scope]), created_by="cli")
        return str(key)


def _overrides(settings: Sequence[str] | None) -> dict[str, Any]:
    from faregate.core.tenants.overrides import override_of

    return dict(override_of(text) for text in settings or [])


def _with_core(work: Callable[[CoreContainer], Awaitable[T]]) -> T:
    from faregate.core.container import CoreContainer

    async def run() -> T:
        core = CoreContainer(settings=home_deployment())
        database = core.database()
        await database.open()
        try:
            return await in_audit(database, core.audit(), lambda: work(core))
        finally:
            await database.close()

    return event_loop.run(run())


def _facts(tenant: Tenant) -> dict[str, Any]:
    return {
        "key": tenant.key,
        "state": tenant.state.value,
        "hosts": list(tenant.hosts),
        "schema": tenant.schema,
        "own_settings": sorted(tenant.overrides),
        "created_at": tenant.created_at,
        "changed_at": tenant.changed_at,
    }


def _own(tenant: Tenant) -> str:
    from faregate.core.settings import variable_name

    return " ".join(variable_name(name) for name in sorted(tenant.overrides)) or "none"


def _served(tenant: Tenant) -> str:
    if not tenant.is_active:
        return tenant.state.value
    return f"served at {', '.join(tenant.hosts)}" if tenant.hosts else "served to its API keys at any other host"


def _revision() -> str:
    from faregate.core.db.revisions import head_revision

    return head_revision()
