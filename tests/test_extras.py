"""Each extra, installed alone from the wheel, runs what it names or names the extra that it needs besides."""

import os
import re
import signal
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.docs import ROOT, Page
from support.environments import fresh_environment, install_exactly, readable_directory, same_versions

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
TABLE = re.findall(r"^\| `([\w-]+)` \| (.+?) \|", Page.of("docs/reference/extras.md").text, re.MULTILINE)

CHARGE = """
from faregate.host import SyncFaregate
with SyncFaregate(features={"page": {"strategy": "fixed", "parameters": {"credits": 2}}}, initial_credits=5) as fare:
    fare.charge("page", "ada")
    print(fare.balance("ada").free.normalize())
"""
PUBLISH = """
import asyncio
from faregate.core import load_settings
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.host import FaregateContainer

async def main():
    container = FaregateContainer(settings=load_settings())
    async with container.engines():
        transport = container.transport()
        await transport.publish("credits_process_end_queue", [OutgoingMessage(b"{}")])
    print(type(transport).__name__)

asyncio.run(main())
"""
GATEWAY = """
from starlette.testclient import TestClient
from faregate.gateway.main import from_environment
with TestClient(from_environment()) as http:
    print(http.get("/readyz").status_code)
"""
GRAPHQL = """
from starlette.testclient import TestClient
from faregate.gateway.main import from_environment
with TestClient(from_environment()) as http:
    headers = {"x-server-api-key": "a-key-of-16-letters-or-more"}
    answer = http.post("/graphql", json={"query": "{ caller { userId } }"}, headers=headers).json()
if "errors" in answer:
    raise SystemExit(answer["errors"][0]["message"])
print(answer["data"])
"""
SETTLE = """
import asyncio
from faregate.core import load_settings
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.host import Faregate
from faregate.client import UnknownUsageKeyError
from faregate.worker.main import run_worker

BODY = b'{"user_id": "ada", "feature_endpoint_id": "page", "usage_key": "K", "usages": []}'

async def settled(fare):
    while True:
        try:
            return await fare.usage.story("K")
        except UnknownUsageKeyError:
            await asyncio.sleep(0.02)

async def main():
    stop = asyncio.Event()
    features = {"page": {"strategy": "fixed", "parameters": {"credits": 2}}}
    async with Faregate(features=features) as fare:
        await fare.container.transport().publish("credits_process_end_multimodel_queue", [OutgoingMessage(BODY)])
        worker = asyncio.create_task(run_worker(load_settings(), stop))
        story = await asyncio.wait_for(settled(fare), 30)
        stop.set()
        await worker
    print(story.charge.credits_charged.normalize())

asyncio.run(main())
"""
REMOTE = """
from faregate.client import SyncFakeCredits
with SyncFakeCredits() as credits:
    with credits.charge("ai_chat_v1", user_id="ada") as use:
        use.add("gpt-4o", input_tokens=1000, output_tokens=100)
    print(use.result.charged.normalize())
"""
SEAL = """
from faregate.core import load_settings
from faregate.host import FaregateContainer
ring = FaregateContainer(settings=load_settings()).ring()
sealed = ring.seal("log", b"secret")
print(b"secret" in sealed, ring.open("log", ring.key_id, sealed).decode())
"""
DEVICE = """
from faregate.usage.tracking.visitors import device_of
print(*device_of("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148 Safari/604.1"))
"""
COUNTRY = """
from pathlib import Path
from faregate.usage.tracking.visitors import country_reader
country_reader(None, Path("/tmp/countries.mmdb"))
"""
EXPORT = """
import asyncio
from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.parquet import parquet

async def cells():
    yield b"1.5\\n"

async def main():
    written = b"".join([part async for part in parquet([Column("credits", Kind.CREDITS)], cells(), {})])
    print(written[:4].decode())

asyncio.run(main())
"""
COLUMNS = """
import asyncio
from pathlib import Path
from faregate.core import load_settings
from faregate.host import FaregateContainer

async def main():
    container = FaregateContainer(settings=load_settings())
    async with container.engines():
        await container.recorder().record([{"user_id": "ada", "service": "chat"}])
        copied = await container.columnar_copier().run()
    print(copied, len(list(load_settings().columnar_dir.rglob("*.parquet"))))

asyncio.run(main())
"""
CLICKHOUSE = """
import asyncio
from faregate.core import load_settings
from faregate.host import FaregateContainer

async def main():
    container = FaregateContainer(settings=load_settings())
    async with container.engines():
        await container.recorder().record([{"user_id": "ada", "service": "chat"}])
        copied = await container.columnar_copier().run()
    print(copied, container.columnar_copier().configured)

asyncio.run(main())
"""
FRAMEWORKS = {
    "litellm": "litellm",
    "langchain": "langchain",
    "openai-agents": "openai_agents",
    "pydantic-ai": "pydantic_ai",
    "mcp": "mcp",
    "fastmcp": "fastmcp",
}
"""The module of each extra that adapts a framework. An application has its own frameworks: `all` brings none."""

COMMAND = "from faregate.cli.main import main; main()"
NO_BROKER = {"FAREGATE_BROKER_URL": "amqp://127.0.0.1:1"}
NO_REDIS = {"FAREGATE_REDIS_URL": "redis://127.0.0.1:1/0"}
NO_COLLECTOR = {"FAREGATE_OTEL_ENDPOINT": "http://127.0.0.1:1"}
KEYS = {"FAREGATE_LOG_KEYS": "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}

RUNS = {
    "gateway": (GATEWAY, {}, "200"),
    "worker": (SETTLE, {"FAREGATE_INITIAL_CREDITS": "5"}, "2"),
    "client": (REMOTE, {}, "0.42"),
    "encryption": (SEAL, KEYS, "False secret"),
    "tracking": (DEVICE, {}, "mobile iOS"),
    "exports": (EXPORT, {}, "PAR1"),
    "columnar": (COLUMNS, {"FAREGATE_COLUMNAR_DIR": "{tmp}"}, "1 1"),
}
"""What each extra runs when it is installed alone, and what that prints."""

Install = Callable[[str], Path]


@pytest.fixture(scope="module")
def install(wheel: Path) -> Iterator[Install]:
    """Make one environment hold the wheel with the given extras and nothing else; return its Python."""
    with readable_directory() as directory:
        constraints = ["--constraint", str(same_versions(directory))]
        python = fresh_environment(directory / "venv", f"faregate @ {wheel.as_uri()}", *constraints)

        def environment(extras: str) -> Path:
            install_exactly(python, f"faregate[{extras}] @ {wheel.as_uri()}", *constraints)
            return python

        yield environment


def _run(python: Path, code: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    command = [str(python), "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=kept, cwd="/", check=False, timeout=60)


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line that was printed; log lines may stand above it."""
    return done.stdout.rstrip().rpartition("\n")[2]


def _lacks(done: "subprocess.CompletedProcess[str]", extra: str) -> bool:
    """Whether the last line of a failed command names this extra."""
    return done.returncode != 0 and done.stderr.rstrip().endswith(f'needs an extra: pip install "faregate[{extra}]"')


@pytest.mark.parametrize("extra", RUNS)
def test_an_extra_alone_runs_what_it_names(extra: str, install: Install, database_url: str, tmp_path: Path) -> None:
    code, named, printed = RUNS[extra]
    settings = {name: value.replace("{tmp}", str(tmp_path)) for name, value in named.items()}
    done = _run(install(extra), code, FAREGATE_DATABASE_URL=database_url, **settings)

    assert (_last(done), done.returncode) == (printed, 0), done.stderr


def test_clickhouse_keeps_the_copy(install: Install, database_url: str, clickhouse_url: str) -> None:
    settings = {"FAREGATE_DATABASE_URL": database_url, "FAREGATE_CLICKHOUSE_URL": clickhouse_url}
    done = _run(install("clickhouse"), CLICKHOUSE, **settings)

    assert (_last(done), done.returncode) == ("1 True", 0), done.stderr


def test_embedded_brings_a_database(install: Install, tmp_path: Path) -> None:
    done = _run(install("embedded"), CHARGE, FAREGATE_DATA_DIR=str(tmp_path / "data"))

    assert (_last(done), done.returncode) == ("3", 0), done.stderr


def test_rabbitmq_publishes_to_a_broker(install: Install, database_url: str, broker_url: str) -> None:
    done = _run(install("rabbitmq"), PUBLISH, FAREGATE_DATABASE_URL=database_url, FAREGATE_BROKER_URL=broker_url)

    assert (_last(done), done.returncode) == ("RabbitTransport", 0), done.stderr


def test_graphql_adds_to_the_gateway(install: Install, database_url: str) -> None:
    settings = {"FAREGATE_DATABASE_URL": database_url, "FAREGATE_SERVER_API_KEY": "a-key-of-16-letters-or-more"}
    done = _run(install("gateway,graphql"), GRAPHQL, **settings)

    assert (_last(done), done.returncode) == ("{'caller': {'userId': None}}", 0), done.stderr


def test_redis_and_otel_add_to_the_gateway(install: Install, database_url: str) -> None:
    """The gateway also serves while Redis and the collector are away."""
    settings = {"FAREGATE_DATABASE_URL": database_url, **NO_REDIS, **NO_COLLECTOR}
    served = _run(install("gateway,redis,otel"), GATEWAY, **settings)

    assert (served.stdout, served.returncode) == ("200\n", 0), served.stderr


@pytest.mark.parametrize("extra", ["redis", "otel", "gateway", "worker"])
def test_the_command_without_its_extra_names_it(extra: str, install: Install) -> None:
    done = _run(install(extra), COMMAND, "gateway")

    assert _lacks(done, "cli"), done.stderr


def test_cli_works_on_a_database(install: Install, database_url: str) -> None:
    python = install("cli")
    granted = _run(python, COMMAND, "grants", "add", "ada", "5", "--key", "K", FAREGATE_DATABASE_URL=database_url)
    listed = _run(python, COMMAND, "wallets", "list", FAREGATE_DATABASE_URL=database_url)

    assert (granted.returncode, listed.returncode) == (0, 0), granted.stderr + listed.stderr
    assert re.search(r"\bada\b.*\b5\b", listed.stdout)
    assert _run(python, COMMAND, "--help").returncode == 0


@pytest.mark.parametrize(
    ("command", "needed"),
    [("worker", "worker"), ("gateway", "gateway"), ("up", "server"), ("demo", "server"), ("tour metering", "embedded")],
)
def test_a_command_that_needs_more_says_which_extra(
    command: str, needed: str, install: Install, database_url: str
) -> None:
    done = _run(install("cli"), COMMAND, *command.split(), FAREGATE_DATABASE_URL=database_url)

    assert _lacks(done, needed), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("installed", "code", "settings", "extra"),
    [
        ("client", PUBLISH, NO_BROKER, "rabbitmq"),
        ("client", SEAL, KEYS, "encryption"),
        ("client", EXPORT, {}, "exports"),
        ("client", COUNTRY, {}, "tracking"),
        ("client", CHARGE, {"FAREGATE_DATABASE_URL": "", "FAREGATE_DATA_DIR": "/nonexistent/faregate"}, "embedded"),
        ("gateway", GATEWAY, NO_REDIS, "redis"),
        ("gateway", GATEWAY, NO_COLLECTOR, "otel"),
        ("gateway", GRAPHQL, {"FAREGATE_SERVER_API_KEY": "a-key-of-16-letters-or-more"}, "graphql"),
    ],
)
def test_what_needs_an_extra_names_it(
    installed: str, code: str, settings: dict[str, str], extra: str, install: Install, database_url: str
) -> None:
    done = _run(install(installed), code, **{"FAREGATE_DATABASE_URL": database_url, **settings})

    assert _lacks(done, extra), done.stderr


def test_each_adapter_without_its_framework_names_its_extra(install: Install) -> None:
    python = install("client")
    for extra, module in FRAMEWORKS.items():
        assert _lacks(_run(python, f"import faregate.integrations.{module}"), extra)


def test_server_starts_everything_without_settings(install: Install, tmp_path: Path) -> None:
    ready, data = tmp_path / "ready.json", tmp_path / "data"
    program = str(install("server").with_name("faregate"))
    command = [program, "up", "--port", "0", "--data-dir", str(data), "--ready-file", str(ready)]
    process = subprocess.Popen(
        command, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    for line in process.stdout or ():
        if ready.exists() or b"Ctrl-C" in line:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=30)[0]

    assert (ready.exists(), process.returncode) == (True, 0), rest


def test_the_page_of_extras_says_what_each_installs() -> None:
    shown = {name: set(re.findall(r"`([^`]+)`", packages)) for name, packages in TABLE}

    assert shown == {name: set(map(_name, packages)) for name, packages in EXTRAS.items()}


def test_all_holds_every_other_extra_but_the_frameworks() -> None:
    (everything,) = EXTRAS["all"]
    held = set(everything.removeprefix("faregate[").removesuffix("]").split(","))

    assert held == set(EXTRAS) - {"all", "server", *FRAMEWORKS}


def _name(requirement: str) -> str:
    """The name of a requirement with its extras, without versions and markers."""
    found = re.match(r"[\w.-]+(\[[\w,]+\])?", requirement)
    assert found is not None
    return found[0]
