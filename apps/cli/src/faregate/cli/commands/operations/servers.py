"""`faregate gateway` and `faregate worker`: servers of separate processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from faregate.cli.shared.deployment import require_database
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
    return settings


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
        serve_together(settings, workers)
        return

    async def serve() -> None:
        await Gateway(settings).serve(stop_on_signals(), on_ready=raise_gc_thresholds)

    event_loop.run(serve())


def worker() -> None:
    """Settle published uses and run scheduled jobs, until Ctrl-C or SIGTERM."""
    from faregate.core.logging import configure_logging
    from faregate.worker.main import run_worker

    settings = checked()
    configure_logging(style=settings.log_format, level=settings.log_level)
    raise_gc_thresholds()
    event_loop.run(run_worker(settings))
