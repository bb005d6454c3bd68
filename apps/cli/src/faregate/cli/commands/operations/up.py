"""`faregate up`: gateway, worker and database in one command."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter
from rich.markup import escape
from rich.panel import Panel

from faregate.cli.shared.deployment import database_name
from faregate.cli.shared.output import errors
from faregate.core.errors import FaregateError
from faregate.core.runtime import event_loop
from faregate.core.runtime.gc_tuning import raise_gc_thresholds
from faregate.core.runtime.private_files import make_private_directory, private_file
from faregate.wire import exact_json

if TYPE_CHECKING:
    from faregate.cli.demo.serving import Gateway
    from faregate.core.settings import Settings

__all__ = ["up"]

_KEY_FILE = "server_api_key"


def up(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 chooses a free one.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Data directory of the embedded PostgreSQL.")] = None,
    broker: Annotated[
        str | None, Parameter(help="RabbitMQ to settle from, amqp://…; without it PostgreSQL is the queue.")
    ] = None,
    without_worker: Annotated[
        bool, Parameter(help="Serve HTTP only; workers are run separately.", negative="")
    ] = False,
    ready_file: Annotated[
        Path | None, Parameter(help="File to write the URL and the key to, as JSON, when ready.")
    ] = None,
) -> None:
    """Start gateway, worker and database in one process and print the address; Ctrl-C stops them."""
    from faregate.core.logging import configure_logging
    from faregate.core.settings import load_settings
    from faregate.usage.container import check_strategies

    given: dict[str, Any] = {"host": host, "port": port, "data_dir": data_dir, "broker_url": broker}
    chosen = load_settings(**{name: value for name, value in given.items() if value is not None})
    check_strategies(chosen)
    settings = with_key(chosen)
    configure_logging(style=settings.log_format, level=settings.log_level)
    event_loop.run(_up(settings, with_worker=not without_worker, ready_file=ready_file))


def with_key(settings: Settings) -> Settings:
    """Return `settings` with a server API key: the configured one, or one kept in the data directory."""
    from faregate.core.db.data_directory import unusable
    from faregate.core.db.embedded import EmbeddedServer
    from faregate.core.settings import load_settings

    if settings.server_api_key is not None:
        return settings
    path = _key_file(settings)
    if settings.database_url is None:
        EmbeddedServer(path.parent).check_directory()
    try:
        make_private_directory(path.parent)
        if not path.exists():
            with private_file(path, exclusive=True) as file:
                file.write(f"fg_boot_{secrets.token_urlsafe(32)}".encode())
    except OSError as error:
        raise unusable(path.parent, error) from None
    return load_settings(**{**settings.model_dump(), "server_api_key": path.read_text().strip()})


def _key_file(settings: Settings) -> Path:
    from faregate.core.db.embedded import default_data_dir

    return (settings.data_dir or default_data_dir()).expanduser().absolute() / _KEY_FILE


async def _up(settings: Settings, *, with_worker: bool, ready_file: Path | None) -> None:
    from faregate.cli.commands.operations.migrate import migrate_tenants
    from faregate.cli.demo.serving import Gateway
    from faregate.core.container import make_database
    from faregate.core.db.embedded import EmbeddedServer, default_data_dir
    from faregate.core.db.embedded_keeper import EmbeddedKeeper
    from faregate.core.db.migrate import upgrade
    from faregate.worker.main import run_worker, stop_on_signals

    stop = stop_on_signals()
    server = Gateway(settings)
    database = make_database(settings)
    embedded = EmbeddedServer(settings.data_dir or default_data_dir()) if settings.database_url is None else None
    try:
        if embedded is not None:
            await embedded.start()
        await upgrade(database)
        if settings.multi_tenant:
            await migrate_tenants(settings, database)
        async with asyncio.TaskGroup() as tasks:
            if embedded is not None:
                tasks.create_task(EmbeddedKeeper(embedded).run(stop))
            tasks.create_task(server.serve(stop, on_ready=lambda: _ready(server, settings, ready_file)))
            if with_worker:
                tasks.create_task(run_worker(settings, stop))
    except* FaregateError as group:
        raise _first(group) from group
    finally:
        server.close()
        await database.close()
        if embedded is not None:
            await embedded.stop()


def _first(group: BaseExceptionGroup[FaregateError]) -> FaregateError:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = cast("BaseExceptionGroup[BaseException]", found).exceptions[0]
    assert isinstance(found, FaregateError)  # noqa: S101  the group holds nothing else
    return found


def _ready(server: Gateway, settings: Settings, ready_file: Path | None) -> None:
    raise_gc_thresholds()
    key = settings.server_api_key.get_secret_value() if settings.server_api_key else ""
    queue = "RabbitMQ" if settings.broker_url else "PostgreSQL"
    errors.print(
        Panel(
            f"[bold]{server.url}[/]\n\nserver API key  {escape(_shown(key, settings))}\n"
            f"database        {escape(database_name(settings))}\nqueue           {queue}\n\n{escape(_exports(settings))}"
            f"[dim]curl {server.url}/readyz\nCtrl-C stops it[/]",
            title="Faregate is up",
            expand=False,
        )
    )
    if ready_file is not None:
        unfinished = ready_file.with_suffix(".new")
        with private_file(unfinished) as file:
            file.write(exact_json.dumps({"url": server.url, "key": key, "pid": os.getpid()}))
        unfinished.rename(ready_file)


def _shown(key: str, settings: Settings) -> str:
    """Return the key on a terminal; elsewhere, as in a log, return where it is kept."""
    if errors.is_terminal:
        return key
    kept = _key_file(settings)
    return f"in {kept}" if kept.exists() and kept.read_text().strip() == key else "as FAREGATE_SERVER_API_KEY says"


def _exports(settings: Settings) -> str:
    """Return the line that points other commands to this database."""
    if settings.database_url is not None:
        return ""
    return f"For other commands:\nexport FAREGATE_DATA_DIR={shlex.quote(str(_key_file(settings).parent))}\n\n"
