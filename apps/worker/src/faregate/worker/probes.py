"""Server of a worker's `/healthz`, `/readyz` and `/metrics`.

It listens on FAREGATE_WORKER_PORT, and runs only if that is set.
"""

import asyncio
import contextlib
from collections.abc import Generator, Sequence
from dataclasses import asdict
from typing import Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.core.monitoring.readiness import check_all, check_database, check_migrations
from faregate.core.monitoring.replica_status import replica_checks
from faregate.core.runtime.listening import listening_socket
from faregate.worker.consumer import Consumer

__all__ = ["IMetricsText", "Probes"]


class IMetricsText(Protocol):
    """Metrics of a process."""

    async def text(self) -> bytes:
        """Return them in Prometheus' text format."""
        ...


class Probes:
    """A small HTTP server besides the consumers. Its answers contain no personal data."""

    def __init__(
        self,
        host: str,
        port: int,
        database: Database,
        consumers: Sequence[Consumer],
        metrics: IMetricsText,
        clock: IClock,
    ) -> None:
        self._socket = listening_socket(
            host, port, fix="choose another port with FAREGATE_WORKER_PORT, or leave it unset"
        )
        self._database = database
        self._consumers = consumers
        self._metrics = metrics
        self._clock = clock

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Release the port. Safe to repeat."""
        self._socket.close()

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
            **replica_checks(self._database),
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
