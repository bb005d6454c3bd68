"""Commands on private deployments, which ignore the caller's environment."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from faregate.core.settings import Settings, variable_names
from faregate.wire import exact_json
from support.processes import run_command

_SCHEMES = {
    "database_url": "postgresql://postgres@{}/none",
    "broker_url": "amqp://guest:guest@{}/",
    "redis_url": "redis://{}/0",
    "jwks_url": "http://{}/keys",
    "otel_endpoint": "http://{}",
    "smtp_url": "smtp://{}",
    "alert_webhook_url": "http://{}/hook",
    "alert_slack_url": "http://{}/slack",
}


class Trap:
    """A server in place of real systems that counts connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.address = ""

    async def meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    trap = Trap()
    server = await asyncio.start_server(trap.meet, "127.0.0.1", 0)
    async with server:
        trap.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield trap


def _deployment(trap: Trap, directory: Path) -> dict[str, str]:
    """Return the environment of a deployment with all settings, under every name of each setting."""
    named = {name: text.format(trap.address) for name, text in _SCHEMES.items()}
    named |= {name: str(directory / name) for name in Settings.model_fields if name.endswith(("_dir", "_file"))}
    named |= {"alert_emails": "people@example.com", "initial_credits": "77", "strategies": "no.such.module:thing"}
    return {variable: value for name, value in named.items() for variable in variable_names(name)} | {"PGPORT": "6543"}


@pytest.fixture
async def elsewhere(trap: Trap, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The environment of another deployment; none of its servers may be reached, none of its directories created."""
    yield _deployment(trap, tmp_path / "theirs")
    assert trap.connections == 0
    assert not (tmp_path / "theirs").exists()


async def test_the_demo_prints_all_parts_and_verifies_the_ledger(elsewhere: dict[str, str]) -> None:
    done = await run_command("demo", "--requests", "60", "--papers", "16", **elsewhere)

    assert done.code == 0, done.err
    for shown in (
        "provider cost",
        "margin",
        "Question papers",
        "otto",
        "acme-school",
        "verified",
        "p99",
        "What to try next",
        "dashboard",
    ):
        assert shown in done.out, shown


async def test_the_tour_of_metering_gives_the_expected_figures(elsewhere: dict[str, str], tmp_path: Path) -> None:
    """Runs the ten scenarios and checks their figures."""
    done = await run_command("tour", "metering", "-o", "json", "--directory", str(tmp_path / "ours"), **elsewhere)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    played = {facts.pop("scenario"): facts for facts in exact_json.loads(lines[-1].encode())}

    assert len(played) == 10
    assert played["Basic usage tracking"] == {"accepted": 6, "duplicates": 6, "rejected": 0}
    assert played["High-volume batch processing"] == {"accepted": 20_000}
    assert played["Usage aggregation"]["after"] == played["Usage aggregation"]["before"] + 5
    assert played["Usage reporting"]["bandwidth"] == Decimal("1.5")
    assert played["Usage alerts"]["told"] == ["warning at 75", "critical at 90", "exceeded at 100"]
    assert {Path(name).suffix for name in played["Export functionality"]["files"]} == {".csv", ".json", ".xlsx"}
    assert played["Statistics and analytics"]["p95"] == 95
    assert played["Real-world API monitoring"]["error_rate"] == Decimal("0.05")
    assert played["Real-world storage billing"]["usd"] == {"north": Decimal("0.2"), "south": Decimal("0.02"), "west": 0}
    assert played["Cleanup and maintenance"]["left"] == 0
    assert played["Cleanup and maintenance"]["before"] == played["Cleanup and maintenance"]["after"] == 100


async def test_contention_grants_the_exact_bound_and_the_naive_control_overspends(elsewhere: dict[str, str]) -> None:
    short = ("--attempts", "1000", "--connections", "8", "--wallets", "1", "10", "-o", "json")
    done = await run_command("bench", "contention", *short, **elsewhere)
    told = exact_json.loads(done.out.encode())

    assert (done.code, told["passed"]) == (0, True), done.err
    assert [(played["wallets"], played["granted"] == played["bound"]) for played in told["rounds"]] == [
        (1, True),
        (10, True),
    ]
    assert told["naive"]["granted"] > told["naive"]["bound"]


async def test_the_ingest_bench_measures_the_library_http_and_the_queue(elsewhere: dict[str, str]) -> None:
    done = await run_command("bench", "ingest", "--events", "2000", "--processes", "1", "-o", "json", **elsewhere)
    found = exact_json.loads(done.out.splitlines()[-1].encode())

    assert [figure["target"] for figure in found["figures"]] == [
        ">= 50,000", ">= 0.5", ">= 30,000", ">= 30,000", "<= 50",
    ]  # fmt: skip
    assert all(float(figure["measured"].replace(",", "")) > 0 for figure in found["figures"])
    assert found["more"]["sent again"] == "0 accepted, 2000 duplicates"
    assert found["passed"] is (done.code == 0)
