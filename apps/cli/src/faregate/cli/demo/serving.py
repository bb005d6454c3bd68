"""A gateway server in this process.

It binds its port when it is created, so that a port in use is reported before anything starts.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable, Generator

import uvicorn

from faregate.core.runtime.listening import listening_socket
from faregate.core.settings import Settings
from faregate.gateway.container import GatewayContainer
from faregate.gateway.main import create_app, open_engines, server_config

__all__ = ["Gateway", "serve_together"]


_PORT_FIX = "choose another with --port or FAREGATE_PORT"


class Gateway:
    """An HTTP server that stops when an event is set, after finishing the requests in flight."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket = listening_socket(settings.host, settings.port, fix=_PORT_FIX)

    @property
    def url(self) -> str:
        """The address that it listens on."""
        return _url(*self._socket.getsockname()[:2])

    def close(self) -> None:
        """Release the port of a server that was never started. Safe to repeat."""
        self._socket.close()

    async def serve(self, stop: asyncio.Event, *, on_ready: Callable[[], None] | None = None) -> None:
        """Serve until `stop` is set.

        Raises:
            EngineUnavailableError: the database is unavailable at the start.
        """
        container, server = self._server()
        try:
            async with open_engines(container):
                await self._serve(server, stop, on_ready)
        finally:
            self._socket.close()

    async def _serve(self, server: "_Server", stop: asyncio.Event, on_ready: Callable[[], None] | None) -> None:
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        watching = asyncio.create_task(_watch(server, stop, on_ready))
        try:
            await serving
        finally:
            watching.cancel()
            stop.set()

    def _server(self) -> tuple[GatewayContainer, "_Server"]:
        try:
            container = GatewayContainer(settings=self._settings)
            app = create_app(container, own_lifecycle=False)
            return container, _Server(server_config(app, self._settings))
        except BaseException:
            self._socket.close()
            raise


def serve_together(settings: Settings, workers: int, *, on_ready: Callable[[str], None]) -> None:
    """Serve with several processes on one port; their metrics are summed.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    with listening_socket(settings.host, settings.port, fix=_PORT_FIX) as found:
        host, port = found.getsockname()[:2]
    on_ready(_url(host, port))
    with tempfile.TemporaryDirectory(prefix="faregate-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        uvicorn.run(
            "faregate.gateway.main:from_environment",
            factory=True,
            workers=workers,
            host=settings.host,
            port=port,
            http="faregate.gateway.http.protocol:BoundedProtocol",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=20,
            timeout_worker_healthcheck=60,  # a slow start on a busy machine must not count as a hang
        )


def _url(host: str, port: int) -> str:
    shown = "localhost" if host in {"0.0.0.0", "127.0.0.1", "::"} else host  # noqa: S104
    return f"http://{shown}:{port}"


class _Server(uvicorn.Server):
    """Installs no signal handlers; the caller handles signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _watch(server: uvicorn.Server, stop: asyncio.Event, on_ready: Callable[[], None] | None) -> None:
    while not server.started and not stop.is_set():  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
    if on_ready is not None and server.started:
        on_ready()
    await stop.wait()
    server.should_exit = True
