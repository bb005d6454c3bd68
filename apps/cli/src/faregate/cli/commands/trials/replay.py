"""`faregate replay FILE`: a replay of recorded LLM traffic."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from faregate.cli.demo.traffic import TrafficRequest, read_requests
from faregate.cli.shared.output import Format, console, errors, print_json
from faregate.core.clock import SystemClock
from faregate.core.errors import InvalidError
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.cli.demo.load_driver import Client, RequestOutcome
    from faregate.core.settings import Settings

__all__ = ["replay"]

FEATURE = "replay"
_PRICING = ("credit_price_usd", "margin_percent", "credit_quantum")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Options of `replay`."""

    settle: Literal["queue", "http"]
    speed: float | None
    concurrency: int
    run: str
    output: Format


def replay(
    file: Annotated[
        Path,
        Parameter(
            help="CSV with the columns TIMESTAMP, ContextTokens, GeneratedTokens and, optionally, Model and User."
        ),
    ],
    *,
    url: Annotated[
        str | None, Parameter(help="Address of a running gateway; without it one is started for this run.")
    ] = None,
    key: Annotated[
        str | None, Parameter(help="Server API key of the gateway; FAREGATE_SERVER_API_KEY by default.")
    ] = None,
    settle: Annotated[Literal["queue", "http"], Parameter(help="Settle by queue or in the HTTP call.")] = "queue",
    speed: Annotated[
        str, Parameter(help="1 keeps the recorded times, 10 is ten times as fast, max is without pauses.")
    ] = "max",
    model: Annotated[str, Parameter(help="Model of requests that name none.")] = "gpt-4o-mini",
    users: Annotated[int, Parameter(help="Number of users that requests without a user are assigned to.")] = 50,
    credits: Annotated[int, Parameter(help="Credits granted to each user.")] = 1_000_000,
    limit: Annotated[int | None, Parameter(help="Highest number of requests to replay.")] = None,
    concurrency: Annotated[int, Parameter(help="Requests at the same time.")] = 32,
    run: Annotated[
        str | None, Parameter(help="Name of the run; repeating a run of the same name charges nothing twice.")
    ] = None,
    data_dir: Annotated[
        Path | None, Parameter(help="Data directory of the gateway started for this run; temporary by default.")
    ] = None,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> None:
    """Start, run and settle the requests of recorded LLM traffic, and print what they cost."""
    pace = _speed(speed)
    names = [f"replay-{number:03d}" for number in range(1, users + 1)]
    traffic = read_requests(file, model=model, users=names, seed=2023)[:limit]
    options = ReplayOptions(settle, pace, concurrency, run or f"replay-{secrets.token_hex(4)}", output)
    event_loop.run(_replay(traffic, credits, options, url=url, key=key, data_dir=data_dir))


async def _replay(
    traffic: list[TrafficRequest],
    credits: int,
    options: ReplayOptions,
    *,
    url: str | None,
    key: str | None,
    data_dir: Path | None,
) -> None:
    from faregate.cli.demo.load_driver import open_client

    async with (
        _gateway(url, key, data_dir) as (found_url, found_key),
        open_client(found_url, found_key, connections=options.concurrency) as client,
    ):
        await _prepare(client, {request.user_id for request in traffic}, credits)
        await _drive(client, traffic, options)


@asynccontextmanager
async def _gateway(url: str | None, key: str | None, data_dir: Path | None) -> AsyncGenerator[tuple[str, str]]:
    from faregate.cli.demo.stack import private_stack
    from faregate.core.settings import load_settings

    if url is not None:
        secret = load_settings().server_api_key
        yield url, key or (secret.get_secret_value() if secret else "")
        return
    with contextlib.ExitStack() as stack:
        directory = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faregate-")))
        async with private_stack(directory, environment=_prices_of(load_settings())) as started:
            yield started.url, started.key


def _prices_of(settings: Settings) -> dict[str, str]:
    """Return the variables that determine the price of a use, so that a replay is priced like the caller's deployment."""
    from faregate.core.settings import variable_name

    return {variable_name(name): str(getattr(settings, name)) for name in _PRICING}


async def _prepare(client: Client, users: set[str], credits: int) -> None:
    await client.must("PUT", f"/api/features/{FEATURE}", {"strategy": "token_priced", "min_credits": 1})
    for user in sorted(users):
        grant = {"credits": credits, "source": "purchase", "key": "replay", "reason": "replay"}
        await client.must("POST", f"/api/wallets/{user}/grants", grant)


async def _drive(client: Client, traffic: list[TrafficRequest], options: ReplayOptions) -> None:
    from faregate.cli.demo.load_driver import LoadDriver
    from faregate.cli.demo.reports import processor_seconds, show_models, show_pace, show_refusals, totals
    from faregate.core.settings import load_settings

    clock = SystemClock()
    driver = LoadDriver(client, clock, feature=FEATURE, run=options.run, settle=options.settle)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        sending = progress.add_task(f"sending, settling by {options.settle}", total=len(traffic))

        def sent(_outcome: RequestOutcome) -> None:
            progress.advance(sending)

        began, used = clock.monotonic(), processor_seconds()
        outcomes = await driver.send_all(traffic, concurrency=options.concurrency, speed=options.speed, on_done=sent)
        seconds, driver_seconds = clock.monotonic() - began, processor_seconds() - used
        reading = progress.add_task("reading back", total=sum(outcome.refused is None for outcome in outcomes))
        settled = await driver.costs(
            outcomes, concurrency=options.concurrency, on_done=lambda: progress.advance(reading)
        )
        settled_seconds = clock.monotonic() - began
    sums = totals(settled)
    if options.output == "json":
        print_json({"run": options.run, "settle": options.settle, **sums})
        return
    console.print(f"run [bold]{options.run}[/]: {len(traffic):,} requests, settled by {options.settle}")
    show_models(settled, credit_price_usd=load_settings().credit_price_usd)
    show_refusals(outcomes)
    show_pace(outcomes, seconds, callers=options.concurrency, driver_seconds=driver_seconds)
    console.print(f"all settled after {settled_seconds:.1f} s")


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0
    if speed <= 0:
        raise InvalidError("--speed must be a number above 0, or max")
    return speed
