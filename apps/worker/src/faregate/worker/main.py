"""Process of the worker."""

import asyncio
import signal
from collections.abc import Callable, Sequence

from faregate.core.logging import get_logger
from faregate.core.settings import Settings
from faregate.usage.service import UsageService
from faregate.worker.container import WorkerContainer
from faregate.worker.tenancy.process import run_tenants_worker

__all__ = ["run_worker", "stop_on_signals"]

log = get_logger(__name__)


async def run_worker(
    settings: Settings, stop: asyncio.Event | None = None, *, on_ready: Callable[[Sequence[str]], None] | None = None
) -> None:
    """Run the worker until SIGTERM, SIGINT or `stop`; open and close the engines. With FAREGATE_MULTI_TENANT it works for all
    tenants.

    `on_ready` is called with the names of its queues once the database answers and the first settlements are prepared.

    Raises:
        EngineUnavailableError: the database is unavailable at the start.
    """
    stop = stop if stop is not None else stop_on_signals()
    if settings.multi_tenant:
        await run_tenants_worker(settings, stop, on_ready=on_ready)
        return
    container = WorkerContainer(settings=settings)
    container.check_dependencies()
    worker = container.worker()  # wrong settings are reported before the engines are opened
    try:
        async with container.engines():
            await _warm_up(container.usage_service())
            if on_ready is not None:
                on_ready(worker.queues)
            await worker.run(stop)
    finally:
        for probes in container.probes():
            probes.close()


async def _warm_up(usage: UsageService) -> None:
    """Prepare the first settlements. A worker that cannot, because the tables are not there yet, works all the same."""
    try:
        await usage.warm_up()
    except Exception as error:  # noqa: BLE001  the first batch meets the same error, and handles it
        log.warning("warm_up_failed", reason=str(error))


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
