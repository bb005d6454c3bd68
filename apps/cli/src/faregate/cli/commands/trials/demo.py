"""`faregate demo`: a demonstration on an embedded PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from faregate.cli.commands.credits.verify import run_verify, show
from faregate.cli.demo.history import past_events
from faregate.cli.demo.traffic import TrafficRequest, generate
from faregate.cli.shared.output import console, errors, print_table
from faregate.core.clock import SystemClock
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.cli.demo.load_driver import Client, RequestOutcome
    from faregate.cli.demo.stack import Stack
    from faregate.core.settings import Settings

__all__ = ["demo"]

FEATURE = "ai_chat"
PAPER = "GENERATE_QUESTION_PAPER"
_PAST = 4000
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class DemoUsers:
    """Users of the demonstration: individuals who pay, members of an organisation whose use is only recorded, and one user
    with few credits.
    """

    individuals: tuple[str, ...] = ("ada", "bela", "chen", "dora", "emil", "fatima", "goran", "hana", "ines", "jonas")
    members: tuple[str, ...] = ("kim.acme", "lena.acme", "mara.acme", "noor.acme")
    low_balance: str = "otto"
    organization: str = "acme-school"

    @property
    def everyone(self) -> tuple[str, ...]:
        """All users, those with most requests first."""
        return (*self.individuals, *self.members, self.low_balance)


def demo(
    *,
    requests: Annotated[int, Parameter(help="Requests to send.")] = 2000,
    papers: Annotated[int, Parameter(help="Question papers to record.")] = 40,
    seed: Annotated[int, Parameter(help="Seed of the traffic; the same seed gives the same traffic.")] = 7,
    concurrency: Annotated[int, Parameter(help="Requests at the same time.")] = 8,
    keep: Annotated[bool, Parameter(help="Leave the servers running, and print their address.", negative="")] = False,
) -> int:
    """Start everything on an embedded PostgreSQL, send realistic traffic through it, show the results and verify them."""
    directory = Path(tempfile.mkdtemp(prefix="faregate-demo-"))
    directory.chmod(0o755)
    try:
        return event_loop.run(
            _demo(
                directory,
                generate(count=requests, users=DemoUsers().everyone, seed=seed),
                papers,
                concurrency,
                keep=keep,
            )
        )
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


async def _demo(
    directory: Path, traffic: Sequence[TrafficRequest], papers: int, concurrency: int, *, keep: bool
) -> int:
    from faregate.cli.demo.load_driver import open_client
    from faregate.cli.demo.stack import private_stack
    from faregate.core.settings import isolated_settings

    console.print("Starting gateway, worker and PostgreSQL in a temporary directory …")
    settings = {"FAREGATE_LATE_EVENT_DAYS": "70"}
    started = private_stack(directory / "data", keep=keep, environment=settings)
    async with started as stack, open_client(stack.url, stack.key) as client:
        users = DemoUsers()
        await _prepare(client, users)
        await _past(client, users)
        await _drive(client, traffic, concurrency)
        await _papers(client, users, papers)
        await _show_balances(client, users)
        found = await run_verify(isolated_settings(data_dir=stack.data_dir))
        show(found)
        if keep:
            await _make_insights(isolated_settings(data_dir=stack.data_dir))
        _print_next_steps(stack, await _sign_in_link(client) if keep else None)
        return 1 if found.drifts else 0


async def _prepare(client: Client, users: DemoUsers) -> None:
    await client.must(
        "PUT",
        f"/api/features/{FEATURE}",
        {"name": "AI chat", "strategy": "token_priced", "min_credits": Decimal("0.5")},
    )
    for user in users.individuals:
        await client.must("POST", f"/api/wallets/{user}/grants", {"credits": 500, "source": "purchase", "key": "demo"})
        await client.must("POST", f"/api/wallets/{user}/grants", {"credits": 20, "source": "bonus", "key": "welcome"})
    for user in users.members:
        await client.must("PUT", f"/api/wallets/{user}", {"organization_id": users.organization})
    await client.must(
        "POST", f"/api/wallets/{users.low_balance}/grants", {"credits": 3, "source": "bonus", "key": "demo"}
    )
    await _limit(client, users)


async def _limit(client: Client, users: DemoUsers) -> None:
    """Set quotas and spending limits that nobody reaches, so that the dashboard shows how much of them is used."""
    for user, limit in zip(users.individuals[:3], (6000, 2000, 3000), strict=True):
        quota = {"owner_id": user, "meter": "requests", "limit": limit, "period": "month"}
        await client.must("PUT", "/api/quotas", quota)
    limits = {"limits": [{"period": "month", "soft": 300, "hard": 5000}]}
    await client.must("PUT", f"/api/wallets/{users.individuals[3]}/limits", limits)


async def _past(client: Client, users: DemoUsers) -> None:
    """Record the usage of the weeks before, so that the dashboard has something to compare with."""
    events = list(past_events(generate(count=_PAST, users=users.everyone, seed=1), now=SystemClock().now(), seed=1))
    for start in range(0, len(events), _AT_ONCE):
        await client.must("POST", "/api/usage-events", events[start : start + _AT_ONCE])


async def _drive(client: Client, traffic: Sequence[TrafficRequest], concurrency: int) -> None:
    from faregate.cli.demo.load_driver import LoadDriver
    from faregate.cli.demo.reports import processor_seconds, show_models, show_pace, show_refusals
    from faregate.core.settings import isolated_settings

    clock = SystemClock()
    driver = LoadDriver(client, clock, feature=FEATURE, run="demo", settle="queue")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        sending = progress.add_task("start → run → settle by queue", total=len(traffic))

        def sent(_outcome: RequestOutcome) -> None:
            progress.advance(sending)

        began, used = clock.monotonic(), processor_seconds()
        outcomes = await driver.send_all(traffic, concurrency=concurrency, speed=None, on_done=sent)
        seconds, driver_seconds = clock.monotonic() - began, processor_seconds() - used
        reading = progress.add_task("reading back", total=sum(outcome.refused is None for outcome in outcomes))
        settled = await driver.costs(outcomes, concurrency=16, on_done=lambda: progress.advance(reading))
    show_models(settled, credit_price_usd=isolated_settings().credit_price_usd)
    show_refusals(outcomes)
    show_pace(outcomes, seconds, callers=concurrency, driver_seconds=driver_seconds)


async def _papers(client: Client, users: DemoUsers, count: int) -> None:
    counts: Counter[str] = Counter()
    charged = Decimal(0)
    for number in range(count):
        user = users.everyone[number % len(users.everyone)]
        body = {"feature_key": PAPER, "user_id": user, "usage_key": f"paper:{number}"}
        _, answer = await client.call("POST", "/api/usage", body)
        if answer["success"]:
            kind = "recorded, organisation" if answer["data"]["organization_id"] else "charged"
            charged += Decimal(answer["data"]["credits_charged"])
        else:
            kind = f"refused, {answer['error']['code']}"
        counts[kind] += 1
    rows = [*counts.most_common(), ("credits charged", charged)]
    print_table(f"Question papers (5 credits each, `record_usage`): {count}", ["outcome", "number"], rows)


async def _show_balances(client: Client, users: DemoUsers) -> None:
    rows: list[tuple[str, str, Decimal, Decimal, Decimal]] = []
    for user in users.everyone:
        wallet = await client.must("GET", f"/api/wallets/{user}")
        held, balance = Decimal(wallet["held"]), Decimal(wallet["balance"])
        rows.append((user, wallet["organization_id"] or "individual", balance, held, Decimal(wallet["credits"])))
    print_table("Wallets", ["user", "belongs to", "balance", "held", "free"], rows)


async def _make_insights(settings: Settings) -> None:
    """Make the insights that the worker made before there was any usage."""
    from faregate.worker.container import WorkerContainer

    container = WorkerContainer(settings=settings)
    async with container.engines():
        await container.insight_jobs().anew()


async def _sign_in_link(client: Client) -> str:
    """Return a link that signs in to the dashboard once, within the next hour."""
    made = await client.must("POST", "/api/session/links", {"expires_in_seconds": 3600})
    return str(made["url"])


def _print_next_steps(stack: Stack, dashboard: str | None) -> None:
    """Print what to try; `dashboard` is the link to the dashboard of a demonstration that is left running."""
    console.print("\n[bold]What to try next[/]")
    if dashboard is not None:
        console.print(
            f"It is still running: {stack.url} (pid {stack.process.pid}; `kill {stack.process.pid}` stops it)"
        )
        console.print(f"  Dashboard, signed in (once, within an hour): {dashboard}", soft_wrap=True)
        console.print(f"  later: {stack.url}/dashboard, with the key {stack.key}", soft_wrap=True)
        console.print(f'  curl -H "x-server-api-key: {stack.key}" {stack.url}/api/wallets/ada', soft_wrap=True)
        console.print(f"  FAREGATE_DATA_DIR={stack.data_dir} faregate verify", soft_wrap=True)
    else:
        console.print("  make demo KEEP=1        leave it running, and open its dashboard")
    console.print("  faregate up             your own, kept in FAREGATE_DATA_DIR")
    console.print("  faregate replay FILE    your own traffic: TIMESTAMP,ContextTokens,GeneratedTokens")
