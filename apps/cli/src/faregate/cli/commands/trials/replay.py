"""`faregate replay FILE`: recorded LLM traffic through start, run and settle."""

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

from faregate.cli.demo.traffic import Trip, read_trips
from faregate.cli.shared.output import Format, console, errors, print_json
from faregate.core.clock import SystemClock
from faregate.core.errors import InvalidError
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.cli.demo.load_driver import Client, Outcome
    from faregate.core.settings import Settings

__all__ = ["replay"]

FEATURE = "replay"
_PRICING = ("credit_price_usd", "margin_percent", "credit_quantum")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay; see `replay`."""

    settle: Literal["queue", "http"]
    speed: float | None
    concurrency: int
    run: str
    output: Format


def replay(
    file: Annotated[Path, Parameter(help="CSV: TIMESTAMP, ContextTokens, GeneratedTokens; perhaps Model and User.")],
    *,
    url: Annotated[str | None, Parameter(help="A running gateway; without it one is started for this run.")] = None,
    key: Annotated[str | None, Parameter(help="Its server API key; else FAREGATE_SERVER_API_KEY.")] = None,
    settle: Annotated[Literal["queue", "http"], Parameter(help="Settle by queue or in the HTTP call.")] = "queue",
    speed: Annotated[str, Parameter(help="1 as recorded, 10 ten times as fast, max as fast as it goes.")] = "max",
    model: Annotated[str, Parameter(help="The model of requests that name none.")] = "gpt-4o-mini",
    users: Annotated[int, Parameter(help="Users to deal the requests to, where they name none.")] = 50,
    credits: Annotated[int, Parameter(help="Credits that each user is given.")] = 1_000_000,
    limit: Annotated[int | None, Parameter(help="Only so many requests.")] = None,
    concurrency: Annotated[int, Parameter(help="Requests on their way at the same time.")] = 32,
    run: Annotated[str | None, Parameter(help="Name of the run; a run of the same name charges nothing twice.")] = None,
    data_dir: Annotated[
        Path | None, Parameter(help="Data of the gateway started for this run; else temporary.")
    ] = None,
    output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table",
) -> None:
    """Run recorded LLM traffic through start, run and settle, and print what it cost."""
    pace = _speed(speed)
    names = [f"replay-{number:03d}" for number in range(1, users + 1)]
    trips = read_trips(file, model=model, users=names, seed=2023)[:limit]
    options = ReplayOptions(settle, pace, concurrency, run or f"replay-{secrets.token_hex(4)}", output)
    event_loop.run(_replay(trips, credits, options, url=url, key=key, data_dir=data_dir))


async def _replay(
    trips: list[Trip], credits: int, options: ReplayOptions, *, url: str | None, key: str | None, data_dir: Path | None
) -> None:
    from faregate.cli.demo.load_driver import open_client

    async with (
        _gateway(url, key, data_dir) as (found_url, found_key),
        open_client(found_url, found_key, connections=options.concurrency) as client,
    ):
        await _prepare(client, {trip.user_id for trip in trips}, credits)
        await _drive(client, trips, options)


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
    """Return the variables that decide what a use costs: a replay is priced as the caller's deployment would."""
    from faregate.core.settings import variable_name

    return {variable_name(name): str(getattr(settings, name)) for name in _PRICING}


async def _prepare(client: Client, users: set[str], credits: int) -> None:
    await client.must("PUT", f"/api/features/{FEATURE}", {"strategy": "token_priced", "min_credits": 1})
    for user in sorted(users):
        grant = {"credits": credits, "source": "purchase", "key": "replay", "reason": "replay"}
        await client.must("POST", f"/api/wallets/{user}/grants", grant)


async def _drive(client: Client, trips: list[Trip], options: ReplayOptions) -> None:
    from faregate.cli.demo.load_driver import Rider
    from faregate.cli.demo.reports import show_models, show_pace, show_refusals, totals
    from faregate.core.settings import load_settings

    clock = SystemClock()
    rider = Rider(client, clock, feature=FEATURE, run=options.run, settle=options.settle)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        riding = progress.add_task(f"riding, settling by {options.settle}", total=len(trips))

        def ridden(_outcome: Outcome) -> None:
            progress.advance(riding)

        began = clock.monotonic()
        outcomes = await rider.ride_all(trips, concurrency=options.concurrency, speed=options.speed, on_done=ridden)
        seconds = clock.monotonic() - began
        reading = progress.add_task("reading back", total=sum(outcome.refused is None for outcome in outcomes))
        stories = await rider.stories(
            outcomes, concurrency=options.concurrency, on_done=lambda: progress.advance(reading)
        )
        settled_seconds = clock.monotonic() - began
    sums = totals(stories)
    if options.output == "json":
        print_json({"run": options.run, "settle": options.settle, **sums})
        return
    console.print(f"run [bold]{options.run}[/]: {len(trips):,} requests, settled by {options.settle}")
    show_models(stories, credit_price_usd=load_settings().credit_price_usd)
    show_refusals(outcomes)
    show_pace(outcomes, seconds)
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
