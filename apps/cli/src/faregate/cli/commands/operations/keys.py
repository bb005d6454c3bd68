"""`faregate keys`: server API keys of a deployment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited, in_audit, note
from faregate.cli.shared.deployment import existing_deployment
from faregate.cli.shared.options import micros_of
from faregate.cli.shared.output import Format, console, print_done, print_json, print_table
from faregate.cli.shared.session import with_library
from faregate.core.access.key_format import Key
from faregate.core.clock import SystemClock
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError
from faregate.core.runtime import event_loop
from faregate.credit.ledger.limits import LimitPeriod
from faregate.gateway.security.key_caps import cap_scope

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from faregate.core.access.key_store import ApiKey, KeyStore
    from faregate.credit.services.spending_limits import SpendingLimit
    from faregate.worker.container import WorkerContainer

__all__ = ["keys"]

T = TypeVar("T")
_ACTOR = "cli"
_Output = Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")]

keys = App(name="keys", help="Create, list, rotate and revoke server API keys.")


@keys.command
@audited("keys.create_key")
def create(
    name: Annotated[str, Parameter(help="Name of the client that will use the key.")],
    *,
    scope: Annotated[list[str], Parameter(help="Scope that the key is given; may be repeated.", negative="")],
    environment: Annotated[str, Parameter(help="live or test")] = "live",
    days: Annotated[
        int | None, Parameter(help="Days until the key expires; without it, the key is valid until revoked.")
    ] = None,
    allowed_ip: Annotated[
        list[str] | None,
        Parameter(help="Address or network that the key may be used from; may be repeated.", negative=""),
    ] = None,
    output: _Output = "table",
) -> None:
    """Create a key and print it; it cannot be shown again."""
    from faregate.core.access.key_store import KeySpec
    from faregate.gateway.security.auth import Scope

    unknown = sorted(set(scope) - {known.value for known in Scope})
    if unknown:
        raise InvalidError(f"there is no scope {unknown[0]!r}; known: {', '.join(known.value for known in Scope)}")
    if environment not in {"live", "test"}:
        raise InvalidError("environment must be live or test")
    expires_at = SystemClock().now() + timedelta(days=days) if days is not None else None
    spec = KeySpec(name, scope, environment, expires_at, allowed_ip)

    async def work(store: KeyStore, session: AsyncSession) -> tuple[ApiKey, Key]:
        made, key = await store.create(session, spec, created_by=_ACTOR)
        note(after=made, new_key_id=made.key_id)
        return made, key

    made, key = _with(work)
    _show_new(made, str(key), output)


@keys.command
@audited("keys.rotate_key", target=("key_id",))
def rotate(
    key_id: str,
    *,
    overlap_hours: Annotated[float, Parameter(help="Hours for which the old key stays valid.")] = 24,
    output: _Output = "table",
) -> None:
    """Create the successor of a key; both are valid for a while, and share their spend caps and what is spent of them."""
    overlap = timedelta(hours=overlap_hours)

    async def work(lib: WorkerContainer, session: AsyncSession) -> tuple[ApiKey, Key]:
        keys = lib.keys()
        made, key = await keys.rotate(session, key_id, overlap=overlap, created_by=_ACTOR)
        note(after=made, new_key_id=made.key_id)
        return made, key

    made, key = _with_limits(work)
    _show_new(made, str(key), output)


@keys.command
@audited("keys.put_caps", target=("key_id",), when="period")
def cap(
    key_id: str,
    period: Annotated[LimitPeriod | None, Parameter(help="Without it the caps are shown.")] = None,
    credits: Annotated[str | None, Parameter(help="Credits that may be spent in a period; without it, no cap.")] = None,
    *,
    output: _Output = "table",
) -> None:
    """Show or set what may be spent by calls with a key, its successors and the keys that they have created."""
    bounds = [(period, None, micros_of(credits) if credits is not None else None)] if period is not None else []

    async def work(lib: WorkerContainer, session: AsyncSession) -> list[SpendingLimit]:
        scope = cap_scope((await lib.keys().get(session, key_id)).client)
        limits = lib.spending_limits()
        await limits.set_all(session, scope, bounds)
        return await limits.list(session, scopes=[scope])

    found = _with_limits(work)
    if output == "json":
        print_json([asdict(one) for one in found])
        return
    rows = [(one.period, one.hard, one.spent, one.held, one.since) for one in found]
    print_table(f"Spend caps of {key_id}", ["period", "credits", "spent", "held", "since"], rows)


@keys.command
@audited("keys.revoke_key", target=("key_id",))
def revoke(key_id: str, *, output: _Output = "table") -> None:
    """Revoke a key and all keys that it has created; every process refuses them within a second."""
    revoked = _with(lambda store, session: store.revoke(session, key_id))
    print_done(f"revoked {revoked.key_id} ({revoked.name})", _fields(revoked), output)


@keys.command(name="list")
def list_keys(*, output: _Output = "table") -> None:
    """List keys, newest first."""
    found = _with(lambda store, session: store.list(session, limit=1000))
    if output == "json":
        print_json([_fields(key) for key in found])
        return
    rows = [(k.key_id, k.name, " ".join(k.scopes), _state(k), k.last_used_at, k.expires_at) for k in found]
    print_table("Server API keys", ["id", "name", "scopes", "state", "last used", "expires"], rows)


def _with(work: Callable[[KeyStore, AsyncSession], Awaitable[T]]) -> T:
    from faregate.core.access.audit import AuditLog
    from faregate.core.container import make_database, make_key_store

    settings = existing_deployment()

    async def run() -> T:
        database = make_database(settings)
        await database.open()
        try:
            store = make_key_store(settings, database, SystemClock())
            audit = AuditLog(database, Subjects(database))
            return await in_audit(database, audit, lambda: database.run(lambda session: work(store, session)))
        finally:
            await database.close()

    return event_loop.run(run())


def _with_limits(work: Callable[[WorkerContainer, AsyncSession], Awaitable[T]]) -> T:
    return with_library(lambda lib: lib.database().run(lambda session: work(lib, session)))


def _show_new(made: ApiKey, key: str, output: Format) -> None:
    if output == "json":
        print_json({**_fields(made), "key": key})
        return
    console.print(f"{key}\n\nStore it safely: it is not shown again. Id {made.key_id}.", highlight=False)


def _fields(key: ApiKey) -> dict[str, object]:
    from faregate.core.access.key_store import ApiKey

    return {name: getattr(key, name) for name in ApiKey.__slots__}


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= SystemClock().now() else "live"
