"""What makes its own ground touches nothing that the caller's environment names."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faregate.core.settings import Settings, variable_names
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
_FEW = ("--attempts", "300", "--connections", "4", "--wallets", "1")


class Trap:
    """A server that real systems stand behind; it counts who came."""

    def __init__(self) -> None:
        self.came = 0
        self.address = ""

    async def meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        writer.close()


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    trap = Trap()
    server = await asyncio.start_server(trap.meet, "127.0.0.1", 0)
    async with server:
        trap.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield trap


def _deployment(trap: Trap, directory: Path) -> dict[str, str]:
    """The environment of a deployment with everything set, by every name that a setting has."""
    named = {name: text.format(trap.address) for name, text in _SCHEMES.items()}
    named |= {name: str(directory / name) for name in Settings.model_fields if name.endswith(("_dir", "_file"))}
    named |= {"alert_emails": "people@example.com", "initial_credits": "77", "strategies": "no.such.module:thing"}
    return {variable: value for name, value in named.items() for variable in variable_names(name)} | {"PGPORT": "6543"}


@pytest.mark.parametrize(
    "command",
    [
        ("demo", "--requests", "12", "--papers", "2"),
        ("tour", "metering"),
        ("bench", "contention", *_FEW),
        ("bench", "start", "--seconds", "1", "--users", "20", "--connections", "2", "--rate", "20"),
    ],
    ids=" ".join,
)
async def test_a_private_ground_reaches_nothing_that_the_environment_names(
    command: tuple[str, ...], trap: Trap, tmp_path: Path
) -> None:
    done = await run_command(*command, **_deployment(trap, tmp_path / "theirs"))

    assert "Traceback" not in done.err
    assert "faregate: " not in done.err
    assert trap.came == 0
    assert not (tmp_path / "theirs").exists()
    if command[0] != "bench":  # whose exit code tells of the rate
        assert done.code == 0, done.err
