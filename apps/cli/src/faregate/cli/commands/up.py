"""`faregate up`: gateway, worker and database in one command."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.panel import Panel

from faregate.cli.output import errors
from faregate.cli.serving import Gateway
from faregate.core import aio, exact_json
from faregate.core.collecting import collect_seldom
from faregate.core.container import make_database
from faregate.core.embedded import default_data_dir
from faregate.core.logging import configure_logging
from faregate.core.migrate import upgrade
from faregate.core.settings import Settings, load_settings
from faregate.worker.main import run_worker, stop_on_signals

__all__ = ["up"]

_KEY_FILE = "server_api_key"


def up(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Where the embedded PostgreSQL keeps its data.")] = None,
    broker: Annotated[
        str | None, Parameter(help="RabbitMQ to settle from, amqp://…; else PostgreSQL is the queue.")
    ] = None,
    without_worker: Annotated[bool, Parameter(help="Serve HTTP only; run workers yourself.", negative="")] = False,
    ready_file: Annotated[Path | None, Parameter(help="Write URL and key here (JSON) when ready.")] = None,
) -> None:
    """Start everything in one process and say where it is; Ctrl-C stops it cleanly."""
    given: dict[str, Any] = {"host": host, "port": port, "data_dir": data_dir, "broker_url": broker}
    settings = with_key(load_settings(**{name: value for name, value in given.items() if value is not None}))
    configure_logging(style=settings.log_format, level=settings.log_level)
    aio.run(_up(settings, with_worker=not without_worker, ready_file=ready_file))


def with_key(settings: Settings) -> Settings:
    """Return `settings` with a server API key: the configured one, or one kept beside the embedded data."""
    if settings.server_api_key is not None:
        return settings
    directory = settings.data_dir or default_data_dir()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / _KEY_FILE
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"fg_boot_{secrets.token_urlsafe(32)}")
    return load_settings(**{**settings.model_dump(), "server_api_key": path.read_text().strip()})


async def _up(settings: Settings, *, with_worker: bool, ready_file: Path | None) -> None:
    stop = stop_on_signals()
    server = Gateway(settings)
    database = make_database(settings)
    try:
        await upgrade(database)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(stop, on_ready=lambda: _ready(server, settings, ready_file)))
            if with_worker:
                tasks.create_task(run_worker(settings, stop))
    finally:
        await database.close()


def _ready(server: Gateway, settings: Settings, ready_file: Path | None) -> None:
    collect_seldom()
    key = settings.server_api_key.get_secret_value() if settings.server_api_key else ""
    engine = "embedded PostgreSQL" if settings.database_url is None else "PostgreSQL"
    queue = "RabbitMQ" if settings.broker_url else "PostgreSQL"
    errors.print(
        Panel(
            f"[bold]{server.url}[/]\n\nserver API key  {key}\ndatabase        {engine}\nqueue           {queue}\n\n"
            f"[dim]curl {server.url}/readyz\nCtrl-C stops it[/]",
            title="Faregate is up",
            expand=False,
        )
    )
    if ready_file is not None:
        unfinished = ready_file.with_suffix(".new")
        unfinished.write_bytes(exact_json.dumps({"url": server.url, "key": key, "pid": os.getpid()}))
        unfinished.rename(ready_file)
