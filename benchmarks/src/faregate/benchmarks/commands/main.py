"""`faregate bench`: benchmarks on a private database."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from faregate.cli.commands.credits.verify import prove, show
from faregate.cli.shared.output import Format, console, errors, print_json, print_table
from faregate.core.clock import SystemClock
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.benchmarks.contention import Round
    from faregate.core.db.database import Database

__all__ = ["app", "private_database"]


def _positive(_: object, value: object) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and value < 1:
        raise ValueError(f"{value} is too small; give at least 1")


app = App(
    name="bench",
    help="Run the benchmarks, on a private PostgreSQL that is deleted afterwards.",
    default_parameter=Parameter(validator=_positive),
)
_PROCESS = {
    "settle": "Settle a pre-filled queue, compared with pgbench.",
    "start": "Start uses over HTTP, compared with a bare endpoint.",
    "record": "Record single uses and usage events, batched and one by one.",
    "hot-wallet": "Start and settle uses of one wallet.",
    "export-beside": "Export by HTTP, and time the gateway's health answers meanwhile.",
}
for _name, _help in _PROCESS.items():
    app.command(f"faregate.benchmarks.commands.process:{_name.replace('-', '_')}", name=_name, help=_help)

app.command("faregate.benchmarks.commands.logs:redaction", help="Time the redaction of secrets, and fuzz it.")
app.command(
    "faregate.benchmarks.commands.logs:logs",
    help="Compare the ingest of feature logs with raw COPY, and time searches.",
)
app.command("faregate.benchmarks.commands.dashboard:dashboard", help="Measure the dashboard's size and drawing.")
app.command(
    "faregate.benchmarks.commands.lease:lease", help="Time local decisions of a lease, with and without a journal."
)
app.command(
    "faregate.benchmarks.commands.compare:compare", help="Compare short runs with the figures of earlier commits."
)
app.command(
    "faregate.benchmarks.commands.growth:growth",
    help="Measure settlements and events in tables of up to 50 million rows.",
)
app.command("faregate.benchmarks.commands.pricing:pricing", help="Price one line, compared with genai-prices.")
app.command("faregate.benchmarks.commands.usage:ingest", help="Record usage events, compared with raw COPY.")
app.command("faregate.benchmarks.commands.otlp:otlp", help="Record spans of OpenTelemetry, by HTTP.")
app.command("faregate.benchmarks.commands.usage:queries", help="Time the dashboard's questions over a month.")
app.command("faregate.benchmarks.commands.reports:reports", help="Mail the weekly reports of many tenants.")
app.command("faregate.benchmarks.commands.export:export", help="Export events, compared with psql.")
app.command(
    "faregate.benchmarks.commands.insights:insights",
    help="Score forecasts, anomalies and the churn model on public data, beside the scores of others.",
)

_VERIFY_SECONDS = 10
"""Limit per million transfers, and for fewer: the time of a small ledger is mostly fixed cost."""
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
_Output = Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")]


@app.command
def contention(
    *,
    attempts: Annotated[
        int, Parameter(help="Number of attempts in all, divided equally among the numbers of wallets.")
    ] = 1_020_000,
    connections: Annotated[int, Parameter(help="Number of concurrent connections.")] = 64,
    wallets: Annotated[tuple[int, ...], Parameter(help="Numbers of wallets to measure.", consume_multiple=True)] = (
        1,
        10,
        1000,
    ),
    seed: Annotated[int, Parameter(help="Seed of the random choices.")] = 7,
    output: _Output = "table",
) -> int:
    """R2: start, settle, void, expire, refund and repeat uses of few wallets; exit 1 unless all bounds are exact."""
    rounds, naive = event_loop.run(_contention(attempts, connections, wallets, seed))
    bound = max(2, attempts // 100)
    passed = all(played.passed for played in rounds) and naive > bound
    if output == "json":
        told = [{**asdict(played), "passed": played.passed} for played in rounds]
        print_json({"rounds": told, "naive": {"bound": bound, "granted": naive}, "passed": passed})
    else:
        _show(rounds, naive, bound)
    return 0 if passed else 1


@app.command(name="verify")
def verification(
    *,
    transfers: Annotated[int, Parameter(help="Number of transfers to make and to verify.")] = 1_000_000,
    wallets: Annotated[int, Parameter(help="Number of wallets that the transfers are distributed over.")] = 5_000,
) -> int:
    """Fill a ledger and time `verify`, full and incremental; exit 1 if a million transfers take more than 10 s."""
    return event_loop.run(_verification(transfers, wallets))


async def _contention(attempts: int, connections: int, wallets: tuple[int, ...], seed: int) -> tuple[list[Round], int]:
    from faregate.benchmarks.contention import contend
    from faregate.benchmarks.naive import contend_naively

    rounds: list[Round] = []
    each = attempts // len(wallets)
    with Progress(*_COLUMNS, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        for number in wallets:
            task = progress.add_task(f"{number:,} wallets", total=each)
            async with private_database(connections + 4) as database:
                played = await contend(
                    database,
                    wallets=number,
                    attempts=each,
                    connections=connections,
                    seed=seed,
                    on_progress=_reporter(progress, task),
                )
            rounds.append(played)
    async with private_database(connections + 4) as database:
        bound = max(2, attempts // 100)
        naive = await contend_naively(database, bound=bound, attempts=bound * 4, connections=connections)
    return rounds, naive


async def _verification(transfers: int, wallets: int) -> int:
    from faregate.benchmarks.filling import fill

    clock = SystemClock()
    async with private_database(10) as database:
        with Progress(*_COLUMNS, console=errors, transient=True, disable=not errors.is_terminal) as progress:
            task = progress.add_task("filling", total=transfers)
            await fill(
                database,
                transfers=transfers,
                wallets=wallets,
                on_progress=_reporter(progress, task),
            )
        took: list[float] = []
        for since_heads in (False, True):
            began = clock.monotonic()
            found = await prove(database, since_heads=since_heads, remember=not since_heads)
            took.append(clock.monotonic() - began)
            show(found)
    limit = _VERIFY_SECONDS * max(1.0, transfers / 1_000_000)
    console.print(f"full: {took[0]:.2f} s (limit {limit:.2f} s); incremental, nothing new: {took[1]:.2f} s")
    return 0 if took[0] <= limit and not found.drifts else 1


def _reporter(progress: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda done: progress.update(task, completed=done)


@asynccontextmanager
async def private_database(connections: int, **options: str) -> AsyncGenerator[Database]:
    from faregate.core.db.database import Database
    from faregate.core.db.embedded import EmbeddedServer
    from faregate.core.db.migrate import upgrade

    with tempfile.TemporaryDirectory(prefix="faregate-bench-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedServer(
            Path(directory) / "pg", durable=False, options={"max_connections": str(connections + 20), **options}
        )
        database = Database(
            server=server, pool_size=connections, statement_timeout_seconds=300, lock_timeout_seconds=60
        )
        await upgrade(database)
        try:
            yield database
        finally:
            await database.close()


def _show(rounds: list[Round], naive: int, bound: int) -> None:
    rows = [
        (
            played.wallets,
            played.attempts,
            played.bound,
            played.granted,
            "yes" if played.exact else "NO",
            played.lowest_free_micros,
            played.samples,
            played.deadlocks,
            played.drifts,
            round(played.attempts / played.seconds),
        )
        for played in rounds
    ]
    columns = [
        "wallets",
        "attempts",
        "bound",
        "granted",
        "exact",
        "lowest free µ",
        "samples",
        "deadlocks",
        "drifts",
        "per s",
    ]
    print_table(f"R2: contention by {rounds[0].connections} connections", columns, rows)
    outcomes = sorted({name for played in rounds for name in played.counts})
    counts = [(name, *(played.counts.get(name, 0) for played in rounds)) for name in outcomes]
    print_table("Outcomes", ["outcome", *(f"{played.wallets:,} wallets" for played in rounds)], counts)
    verdict = "[green]overspends, as expected[/]" if naive > bound else "[red]did not overspend: no contention[/]"
    console.print(f"control, read then write: {naive:,} granted where {bound:,} can be paid: {verdict}")
