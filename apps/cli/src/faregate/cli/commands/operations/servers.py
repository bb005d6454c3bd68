"""`faregate gateway` and `faregate worker`: servers of separate processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from faregate.cli.shared.deployment import database_name, of_tenant, require_database
from faregate.cli.shared.output import errors
from faregate.core.runtime import event_loop
from faregate.core.runtime.gc_tuning import raise_gc_thresholds

if TYPE_CHECKING:
    from faregate.core.settings import Settings

__all__ = ["gateway", "worker"]


def checked(**given: Any) -> Settings:
    """Return the settings of a server, after checking that its database exists and that its strategies can be loaded."""
    from faregate.core.settings import load_settings
    from faregate.usage.container import check_strategies

    settings = load_settings(**given)
    require_database(settings)
    check_strategies(settings)
    return of_tenant(settings)


def gateway(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 chooses a free one.")] = None,
    workers: Annotated[
        int, Parameter(help="Number of processes that share the port; without Redis, rate limits count per process.")
    ] = 1,
) -> None:
    """Serve HTTP until Ctrl-C or SIGTERM."""
    from faregate.cli.demo.serving import Gateway, serve_together
    from faregate.core.logging import configure_logging
    from faregate.worker.main import stop_on_signals

    settings = checked(**{k: v for k, v in {"host": host, "port": port}.items() if v is not None})
    configure_logging(style=settings.log_format, level=settings.log_level)

    if workers > 1:
        event_loop.run(_database_answers(settings))
        serve_together(settings, workers, on_ready=lambda url: _say(_listens(url, settings, workers)))
        return

    async def serve() -> None:
        server = Gateway(settings)

        def ready() -> None:
            raise_gc_thresholds()
            _say(_listens(server.url, settings, workers))

        await server.serve(stop_on_signals(), on_ready=ready)

    event_loop.run(serve())


def worker() -> None:
    """Settle published uses and run scheduled jobs, until Ctrl-C or SIGTERM."""
    from faregate.core.logging import configure_logging
    from faregate.worker.main import run_worker

    settings = checked()
    configure_logging(style=settings.log_format, level=settings.log_level)

    def ready(queues: Sequence[str]) -> None:
        raise_gc_thresholds()
        _say(_consumes(queues, settings))

    event_loop.run(run_worker(settings, on_ready=ready))


async def _database_answers(settings: Settings) -> None:
    """Check the database before processes are started that would each fail on it."""
    from faregate.core.container import make_database

    database = make_database(settings)
    try:
        await database.open()
        await database.check()
    finally:
        await database.close()


def _say(line: str) -> None:
    errors.print(line, highlight=False, markup=False, soft_wrap=True)


def _listens(url: str, settings: Settings, workers: int) -> str:
    processes = f" with {workers} processes" if workers > 1 else ""
    return f"faregate: the gateway listens on {url}{processes}; {database_name(settings)}"


def _consumes(queues: Sequence[str], settings: Settings) -> str:
    broker = "RabbitMQ" if settings.broker_url else "PostgreSQL"
    probes = f"; probes on port {settings.worker_port}" if settings.worker_port else ""
    return f"faregate: the worker consumes {', '.join(queues)} of {broker}; {database_name(settings)}{probes}"
