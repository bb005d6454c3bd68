"""A deployment with two tenants, and a front that serves them in the test process."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2
from starlette.applications import Starlette

from faregate.core.clock import Deadline
from faregate.core.settings import Settings
from faregate.core.tenants.service import TenantService
from faregate.gateway.container import GatewayContainer
from faregate.gateway.main import create_app
from faregate.host.tenancy.container import tenant_container
from faregate.host.tenancy.engines import SharedEngines
from faregate.wire import exact_json
from faregate.worker.container import WorkerContainer
from support.apps import Answer, settings_for

__all__ = [
    "HOSTS",
    "KEYS",
    "SECRETS",
    "TENANTS",
    "Front",
    "deployment_settings",
    "example_calls",
    "ids_in",
    "open_front",
    "open_tenants",
    "quiet",
    "table_activity",
    "until",
]

TENANTS = ("acme", "beta")
HOSTS = {key: f"{key}.example.com" for key in TENANTS}
KEYS = {key: f"fg_boot_{key}_0123456789abcdef" for key in TENANTS}
"""The bootstrap key of each tenant."""
SECRETS = {key: f"a secret of {key} with 32 characters or more" for key in TENANTS}
"""What signs the tokens of each tenant's users."""


@dataclass(frozen=True)
class Front:
    """Calls a gateway that serves many tenants."""

    container: GatewayContainer
    app: Starlette
    http: httpx2.AsyncClient

    @property
    def service(self) -> TenantService:
        return self.container.tenant_service()

    async def call(
        self,
        tenant: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bool = False,
    ) -> Answer:
        """Call at the host of a tenant, with its bootstrap key unless `headers` have a credential."""
        sent = {"host": HOSTS.get(tenant, tenant), "x-server-api-key": KEYS.get(tenant, ""), **(headers or {})}
        content = body if isinstance(body, bytes) or body is None else exact_json.dumps(body)
        if content is not None:
            sent = {"content-type": "application/json", **sent}
        response = await self.http.request(method, path, content=content, headers=sent)
        return Answer(response.status_code, {} if raw else exact_json.loads(response.content), response.headers)

    async def text(self, tenant: str, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Call as `call` does, and return the status and the text of the answer."""
        headers = {
            "host": HOSTS.get(tenant, tenant),
            "x-server-api-key": KEYS.get(tenant, ""),
            **more.pop("headers", {}),
        }
        response = await self.http.request(method, path, headers=headers, **more)
        return response.status_code, response.text


def deployment_settings(url: str, **more: Any) -> Settings:
    """Return the settings of a deployment with many tenants."""
    return settings_for(url, multi_tenant=True, rate_limit_refused=0, **more)


@asynccontextmanager
async def open_front(settings: Settings) -> AsyncGenerator[Front]:
    """Run a gateway for many tenants in this process."""
    container = GatewayContainer(settings=settings)
    app = create_app(container)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http,
    ):
        yield Front(container, app, http)


@asynccontextmanager
async def open_tenants(settings: Settings, clock: Any = None) -> AsyncGenerator[dict[str, WorkerContainer]]:
    """Open the containers that a worker for many tenants has, by tenant; nothing runs in them. `clock`: of all of them."""
    deployment = WorkerContainer(settings=settings)
    if clock is not None:
        deployment.clock.override(clock)
    engines = SharedEngines(deployment)
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(deployment.engines())
        opened.push_async_callback(engines.close)
        made: dict[str, WorkerContainer] = {}
        for tenant in await deployment.tenant_service().list():
            container = made[tenant.key] = tenant_container(WorkerContainer, deployment, tenant, engines)
            await opened.enter_async_context(container.engines())
        yield made


async def example_calls(front: Front, tenant: str, names: Callable[[str], str] = str) -> list[tuple[str, str, Any]]:
    """Return method, address and body of a call of every operation of the OpenAPI document, with its examples.

    `names` changes the texts in them.
    """
    found = (await front.call(tenant, "GET", "/openapi.json")).body
    calls: list[tuple[str, str, Any]] = []
    for path, operations in found["paths"].items():
        for method, described in operations.items():
            content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
            ids = {p["name"]: names("user-1") for p in described["parameters"] if p["in"] == "path"}
            for p in described["parameters"]:
                if p["in"] == "path" and p["schema"].get("format") == "uuid":
                    ids[p["name"]] = "01a1fd69-8c38-7000-99a6-7c0f0159533d"
            query = "&".join(
                f"{p['name']}={p['example']}" for p in described["parameters"] if p["in"] == "query" and p["required"]
            )
            if "text/event-stream" in described["responses"].get("200", {}).get("content", {}):
                query = "events=1"
            address = path.format_map(ids) + (f"?{query}" if query else "")
            body = content.get("example")
            text = names(exact_json.dumps(body).decode()) if body is not None else None
            calls.append((method.upper(), address, text.encode() if text is not None else None))
    return sorted(calls, key=lambda call: ("PUT", "POST", "GET", "DELETE").index(call[0]) if call[0] != "PATCH" else 1)


async def table_activity(url: str, schema: str) -> dict[str, tuple[int, int]]:
    """Return how often each table of a schema was read, and how many of its rows were written, since it was made.

    PostgreSQL counts completely once the connections that did it are closed.
    """
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select relname, seq_scan + coalesce(idx_scan, 0) as scans, n_tup_ins + n_tup_upd + n_tup_del as writes "
            "from pg_stat_all_tables where schemaname = $1",
            schema,
        )
    finally:
        await connection.close()
    return {row["relname"]: (row["scans"], row["writes"]) for row in rows}


async def quiet(url: str) -> None:
    """Wait until no other connection to the database is open."""
    connection = await asyncpg.connect(url)
    others = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
        "and backend_type in ('client backend', 'autovacuum worker')"
    )
    try:
        deadline = Deadline(20)
        while await connection.fetchval(others) and not deadline.passed:
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def until(condition: Callable[[], Any], *, seconds: float = 20) -> None:
    """Wait until an asynchronous condition holds."""
    deadline = Deadline(seconds)
    while not await condition():
        assert not deadline.passed, "the condition did not become true"
        await asyncio.sleep(0.05)


def ids_in(value: Any, name: str = "") -> dict[str, set[str]]:
    """Return the texts of an answer that may be ids, by the name of their field."""
    found: dict[str, set[str]] = {}
    if isinstance(value, Mapping):
        for key, part in value.items():
            for field, texts in ids_in(part, str(key)).items():
                found.setdefault(field, set()).update(texts)
    elif isinstance(value, list):
        for part in value:
            for field, texts in ids_in(part, name).items():
                found.setdefault(field, set()).update(texts)
    elif isinstance(value, str) and re.fullmatch(r"[\w:.-]{1,80}", value):
        found[name] = {value}
    return found
