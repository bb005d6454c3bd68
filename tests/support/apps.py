"""The applications in the test process: a gateway without a network, and a worker."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
from starlette.applications import Starlette

from faregate.core.db.database import Database
from faregate.core.settings import Settings, load_settings
from faregate.gateway.container import GatewayContainer
from faregate.gateway.main import create_app
from faregate.wire import exact_json
from faregate.worker.container import WorkerContainer

__all__ = ["KEY", "Answer", "Gateway", "open_gateway", "running_worker", "settings_for"]

KEY = "fg_test_0123456789abcdef"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with exact numbers."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def error(self) -> Any:
        return self.body["error"]


class Gateway:
    """Calls a gateway in this process, with a key that has all scopes."""

    def __init__(self, container: GatewayContainer, app: Starlette, http: httpx2.AsyncClient) -> None:
        self.container = container
        self.app = app
        self.http = http
        self.key = KEY

    @property
    def database(self) -> Database:
        return self.container.database()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bool = False,
    ) -> Answer:
        """Make a call; with `raw` the answer may be other than JSON, and is not parsed."""
        sent = {"x-server-api-key": KEY, **(headers or {})}
        content: bytes | None = None
        if body is not None:
            content = body if isinstance(body, bytes) else exact_json.dumps(body)
            sent = {"content-type": "application/json", **sent}
        response = await self.http.request(method, path, content=content, headers=sent)
        answer = {} if raw else exact_json.loads(response.content)
        return Answer(response.status_code, answer, response.headers)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        return await self.call("POST", path, body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def put(self, path: str, body: Any) -> Answer:
        return await self.call("PUT", path, body)

    async def grant(self, user: str, credits: object, **more: object) -> None:
        body = {"credits": credits, "source": "purchase", **more}
        answer = await self.post(f"/api/wallets/{quote(user, safe='')}/grants", body)
        assert answer.status == 201, answer.body

    async def feature(self, key: str, **fields: object) -> None:
        answer = await self.put(f"/api/features/{key}", {"strategy": "token_priced", **fields})
        assert answer.status == 200, answer.body

    async def start(self, user: str, feature: str, **more: object) -> Answer:
        return await self.post(
            "/api/credits-process/start", {"user_id": user, "feature_endpoint_value": feature, **more}
        )

    async def end(self, user: str, feature: str, *, headers: Mapping[str, str] | None = None, **more: object) -> Answer:
        body = {"user_id": user, "feature_endpoint_value": feature, **more}
        return await self.call("POST", "/api/credits-process/end-multimodel", body, headers=headers)


def settings_for(database_url: str, **more: Any) -> Settings:
    return load_settings(database_url=database_url, server_api_key=KEY, **more)


@asynccontextmanager
async def open_gateway(settings: Settings, **options: Any) -> AsyncGenerator[Gateway]:
    """Run a gateway in this process."""
    container = GatewayContainer(settings=settings, **options)
    app = create_app(container)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http,
    ):
        yield Gateway(container, app, http)


@asynccontextmanager
async def running_worker(settings: Settings, **provided: Any) -> AsyncGenerator[WorkerContainer]:
    """Run a worker in this process, with what a host provides; it drains at the end of the block."""
    container = WorkerContainer(settings=settings, **provided)
    core = container.core.container
    stop = asyncio.Event()
    await core.database().open()
    await core.transport().open()
    working = asyncio.create_task(container.worker().run(stop))
    try:
        yield container
    finally:
        stop.set()
        await working
        await core.transport().close()
        await core.database().close()
