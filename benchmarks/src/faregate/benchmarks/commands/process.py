"""Benchmarks of whole processes, figures with their limits.

`faregate bench settle`, `start`, `record`, `hot-wallet` and `export-beside`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from faregate.analytics.exports.formats import Format
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import errors, print_json, print_table
from faregate.core.runtime import event_loop
from faregate.core.runtime.gc_tuning import raise_gc_thresholds

if TYPE_CHECKING:
    from faregate.benchmarks.export_beside import ExportBeside
    from faregate.benchmarks.hot_wallet import HotWallet
    from faregate.benchmarks.record_rate import Records
    from faregate.benchmarks.settle_rate import Settlements
    from faregate.benchmarks.start_rate import Starts

__all__ = ["export_beside", "hot_wallet", "record", "settle", "start"]

_Broker = Annotated[
    str | None, Parameter(help="RabbitMQ to use, such as amqp://…; without it PostgreSQL is the queue.")
]
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

Row = tuple[str, float, float, str]
"""Description, figure, target and unit of one measurement."""


def settle(
    *,
    broker: _Broker = None,
    messages: Annotated[int, Parameter(help="Number of settlements on the queue.")] = 50_000,
    wallets: int = 5_000,
    workers: Annotated[int, Parameter(help="Number of worker processes; one per processor is best.")] = 2,
    output: Output = "table",
) -> int:
    """P1: settle a pre-filled queue to committed and acknowledged, compared with pgbench making the same writes per message."""
    from faregate.benchmarks.ground import broker_versions, machine, private_ground
    from faregate.benchmarks.settle_rate import measure_settlements

    async def run() -> tuple[Settlements, Mapping[str, str]]:
        async with _progress() as tell, private_ground(wallets=wallets, broker_url=broker) as ground:
            found = await measure_settlements(
                ground,
                wallets=wallets,
                messages=messages,
                workers=workers,
                on_progress=lambda what, done: tell(what, done, messages),
            )
            return found, {**machine(ground), **await broker_versions(ground)}

    found, on = event_loop.run(run())
    rows = [
        ("settlements, committed and acknowledged", found.ours, 3_500, "/s"),
        (f"beside pgbench, {found.clients} clients: {found.one_by_one:,.0f} /s", found.ratio, 2, "x"),
    ]
    within = [
        ("publish to committed at half load, p99", found.half_load_p99_ms, 250, "ms"),
        ("the same in the first two seconds of new workers, p99", found.first_seconds_p99_ms, 250, "ms"),
    ]
    queue = "RabbitMQ" if broker else "PostgreSQL"
    title = f"P1: {messages:,} settlements, {wallets:,} wallets, {queue}, {workers} worker(s)"
    counts = {"messages": messages, "wallets": wallets, "workers": workers, "clients of pgbench": found.clients}
    counts["processor time of a settlement: workers, µs"] = round(found.worker_micros)
    counts["processor time of a settlement: database, µs"] = round(found.database_micros)
    return _tell(title, rows, within, on, output, counts=counts)


def start(
    *,
    seconds: Annotated[int, Parameter(help="Seconds of each measurement.")] = 10,
    connections: int = 50,
    rate: Annotated[
        int | None,
        Parameter(help="Calls per second for the latency at a steady rate; by default half of what is reached."),
    ] = None,
    processes: Annotated[int, Parameter(help="Number of server processes of each side.")] = 1,
    users: int = 5_000,
    output: Output = "table",
) -> int:
    """P2: `start` over HTTP, compared with a bare Starlette and asyncpg endpoint that makes one conditional UPDATE."""
    from faregate.benchmarks.ground import machine, private_ground
    from faregate.benchmarks.start_rate import measure_starts

    async def run() -> tuple[Starts, Mapping[str, str]]:
        async with private_ground(wallets=users) as ground:
            found = await measure_starts(
                ground, users=users, seconds=seconds, connections=connections, rate=rate, processes=processes
            )
            return found, machine(ground)

    found, on = event_loop.run(run())
    rows = [
        (f"beside the bare endpoint: {found.bare.per_second:,.0f} /s", found.ratio, 0.6, "x"),
        (f"start, {connections} connections", found.ours.per_second, 999, "/s"),
    ]
    within = [
        (f"start, {connections} connections, p99", found.ours.p99_ms, 114, "ms"),
        (
            f"start at {found.at_rate.rate:,.0f} /s, p99 (p50 {found.at_rate.p50_ms:.1f})",
            found.at_rate.p99_ms,
            20,
            "ms",
        ),
    ]
    return _tell(f"P2: start over HTTP, {processes} process(es)", rows, within, on, output)


def record(
    *,
    seconds: Annotated[int, Parameter(help="Seconds of each measurement.")] = 5,
    callers: Annotated[
        int, Parameter(help="Number of callers that each wait for an answer before the next call.")
    ] = 50,
    users: int = 5_000,
    output: Output = "table",
) -> int:
    """Record single uses and usage events: batched, compared with one transaction each, by library and over HTTP."""
    from faregate.benchmarks.ground import machine, private_ground
    from faregate.benchmarks.record_rate import measure_records

    async def run() -> tuple[Records, Records, Mapping[str, str]]:
        async with private_ground(wallets=users) as ground:
            uses, events = await measure_records(ground, users=users, seconds=seconds, callers=callers)
            return uses, events, machine(ground)

    uses, events, on = event_loop.run(run())
    rows: list[Row] = []
    for what, found in (("uses", uses), ("usage events", events)):
        rows += [
            (f"{what} by library", found.gathered, 1_000, "/s"),
            (f"{what} beside one transaction each: {found.one_by_one:,.0f} /s", found.ratio, 1, "x"),
            (f"{what} over HTTP, one process", found.over_http, 1_000, "/s"),
        ]
    title = f"Single records, {callers} callers, {users:,} wallets"
    return _tell(title, rows, [], on, output, counts={"callers": callers, "wallets": users})


def export_beside(
    *,
    rows: Annotated[int, Parameter(help="Number of events in each export.")] = 275_000,
    formats: Annotated[list[Format] | None, Parameter(help="Formats to export; xlsx and csv by default.")] = None,
    output: Output = "table",
) -> int:
    """Export by HTTP, and time the same gateway's health answers meanwhile; exit 1 if an export delays them."""
    from faregate.benchmarks.export_beside import measure_beside
    from faregate.benchmarks.exporting import fill_events
    from faregate.benchmarks.ground import machine, private_ground

    kinds = formats or [Format.XLSX, Format.CSV]

    async def run() -> tuple[Sequence[ExportBeside], Mapping[str, str]]:
        async with private_ground(wallets=1) as ground:
            question = await fill_events(ground.library.database(), rows)
            return await measure_beside(ground, question, kinds), machine(ground)

    found, on = event_loop.run(run())
    within = [row for one in found for row in _beside(one)]
    return _tell(f"Exports of {rows:,} events by one gateway process", [], within, on, output)


def _beside(one: ExportBeside) -> list[Row]:
    whole = f"{one.seconds:.1f} s and {one.size_bytes / 1e6:.1f} MB in all"
    alone = f"p95; alone {one.health_alone_p95_ms:.1f}, longest {one.health_longest_ms:.1f}"
    return [
        (f"{one.format.value}: first byte ({whole})", one.first_byte_seconds * 1000, 1_000, "ms"),
        (f"{one.format.value}: health answers meanwhile ({alone})", one.health_p95_ms, 10, "ms"),
    ]


def hot_wallet(
    *,
    broker: _Broker = None,
    pairs: Annotated[int, Parameter(help="Number of pairs by library, and by queue.")] = 10_000,
    concurrency: int = 200,
    output: Output = "table",
) -> int:
    """P3: start and settle uses of one wallet, by library and by queue."""
    from faregate.benchmarks.ground import broker_versions, machine, private_ground
    from faregate.benchmarks.hot_wallet import measure_hot_wallet

    async def run() -> tuple[HotWallet, Mapping[str, str]]:
        async with _progress() as tell, private_ground(wallets=1, broker_url=broker) as ground:
            raise_gc_thresholds()  # as a gateway does, whose place this process takes
            found = await measure_hot_wallet(
                ground, pairs=pairs, concurrency=concurrency, on_progress=lambda done: tell("by library", done, pairs)
            )
            return found, {**machine(ground), **await broker_versions(ground)}

    found, on = event_loop.run(run())
    rows = [
        ("start + settle by library", found.by_library, 3_000, "pairs/s"),
        ("start + settle by queue", found.by_queue, 2_000, "pairs/s"),
    ]
    return _tell(f"P3: one wallet, {pairs:,} pairs, {concurrency} at a time", rows, [], on, output)


@asynccontextmanager
async def _progress() -> AsyncGenerator[Callable[[str, int, int], None]]:
    tasks: dict[str, TaskID] = {}
    with Progress(*_COLUMNS, console=errors, transient=True, disable=not errors.is_terminal) as progress:

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        yield tell


def _tell(
    title: str,
    at_least: Sequence[Row],
    at_most: Sequence[Row],
    on: Mapping[str, str],
    output: str,
    *,
    counts: Mapping[str, int] | None = None,
) -> int:
    """Print figures with their targets; return 1 unless all are reached."""
    judged: list[dict[str, Any]] = [
        *(
            {"what": w, "measured": round(v, 2), "target": f">= {t:,} {u}", "reached": v >= t}
            for w, v, t, u in at_least
        ),
        *({"what": w, "measured": round(v, 2), "target": f"<= {t:,} {u}", "reached": v <= t} for w, v, t, u in at_most),
    ]
    if output == "json":
        figures = [{**row, "measured": str(row["measured"])} for row in judged]
        print_json({"title": title, "figures": figures, "counts": counts or {}, "machine": on})
    else:
        print_table(title, ["what", "measured", "target", "reached"], [tuple(row.values()) for row in judged])
        print_table("Measured on", ["", "value"], [*(counts or {}).items(), *on.items()])
    return 0 if all(row["reached"] for row in judged) else 1
