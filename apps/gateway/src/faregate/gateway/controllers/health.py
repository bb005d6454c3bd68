"""Controller of `/healthz`, `/readyz` and `/metrics`."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib.metadata import version

from starlette.responses import Response

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.messaging.interfaces import ITransport
from faregate.core.monitoring.readiness import check_all, check_database, check_migrations
from faregate.core.monitoring.replica_status import replica_checks
from faregate.gateway.errors import NotReadyError
from faregate.gateway.http.operation import Controller, Refusal, Reply, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.observability.metrics import GatewayMetrics
from faregate.gateway.schemas.health import CheckAnswer, HealthAnswer, ReadyAnswer
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE

__all__ = ["HealthController"]

_PROMETHEUS = "text/plain"


class HealthController(Controller):
    """Liveness, readiness and metrics of the process."""

    def __init__(self, database: Database, transport: ITransport, clock: IClock, metrics: GatewayMetrics) -> None:
        self._checks: dict[str, Callable[[], Awaitable[str]]] = {
            "database": lambda: check_database(database),
            "migrations": lambda: check_migrations(database),
            **replica_checks(database),
            "queue": lambda: _queue(transport),
        }
        self._clock = clock
        self._metrics = metrics

    @operation("GET", "/healthz", scope=None, answer=HealthAnswer)
    async def healthz(self) -> HealthAnswer:
        """Report that the process answers."""
        return HealthAnswer(version=version("faregate"))

    @operation("GET", "/readyz", scope=None, answer=ReadyAnswer, personal=Personal.NONE)
    async def readyz(self) -> Reply:
        """Report whether all required engines answer, with timings."""
        checks = [CheckAnswer(**asdict(check)) for check in await check_all(self._checks, self._clock)]
        ready = all(check.ok for check in checks)
        answer = ReadyAnswer(status="ready" if ready else "not ready", checks=checks)
        if not ready:
            missing = ", ".join(check.name for check in checks if not check.ok)
            raise Refusal(NotReadyError(f"Not ready: {missing}"), answer.model_dump())
        return Reply(answer, message="Ready")

    @operation("GET", "/metrics", scope=None, produces=(_PROMETHEUS,))
    async def metrics(self) -> Response:
        """Return the counts of requests, refusals and waiting messages, for Prometheus."""
        return Response(await self._metrics.text(), media_type=_PROMETHEUS)


async def _queue(transport: ITransport) -> str:
    backlog = await transport.backlog(SETTLE_MULTIMODEL_QUEUE)
    return f"{backlog.depth} settlements waiting"
