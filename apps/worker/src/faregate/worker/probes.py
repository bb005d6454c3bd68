"""Server of a worker's `/healthz`, `/readyz` and `/metrics`.

It listens on FAREGATE_WORKER_PORT, and runs only if that is set.
"""

import asyncio
import contextlib
import socket
from collections.abc import Generator, Sequence
from dataclasses import asdict

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import ConfigurationError, FaregateError
from faregate.core.monitoring.readiness import check_all, check_database, check_migrations
from faregate.worker.consumer import Consumer
from faregate.worker.metrics import WorkerMetrics

__all__ = ["Probes"]


class Probes:
    """A small HTTP server besides the consumers. Its answers contain no personal data."""

    def __init__(
        self,
        host: str,
        port: int,
        database: Database,
        consumers: Sequence[Consumer],
        metrics: WorkerMetrics,
        clock: IClock,
    ) -> None:
        self._socket = _bound(host, port)
        self._database = database
        self._consumers = consumers
        self._metrics = metrics
        self._clock = clock

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        routes = [Route("/healthz", self._healthz), Route("/readyz", self._readyz), Route("/metrics", self._told)]
        server = _Server(
            uvicorn.Config(Starlette(routes=routes), log_config=None, access_log=False, timeout_graceful_shutdown=2)
        )
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        await stop.wait()
        server.should_exit = True
        await serving

    async def _healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _request: Request) -> Response:
        checks = {
            "database": lambda: check_database(self._database),
            "migrations": lambda: check_migrations(self._database),
            "consumers": self._consuming,
        }
        checked = await check_all(checks, self._clock)
        ready = all(check.ok for check in checked)
        answer = {"status": "ready" if ready else "not ready", "checks": [asdict(check) for check in checked]}
        return JSONResponse(answer, status_code=200 if ready else 503)

    async def _told(self, _request: Request) -> Response:
        return Response(await self._metrics.text(), media_type="text/plain")

    async def _consuming(self) -> str:
        wrong = [f"{consumer.queue}: {consumer.problem}" for consumer in self._consumers if consumer.problem]
        if wrong:
            raise FaregateError("; ".join(dict.fromkeys(wrong)))
        return f"{len(self._consumers)} consumers"


class _Server(uvicorn.Server):
    """A server that does not handle signals, because the worker does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"FAREGATE_WORKER_PORT: cannot listen on {host}:{port}: {error.strerror}; choose another port, or leave it unset"
        ) from error
    return bound
