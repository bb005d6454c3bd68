"""Real engines for the tests: one PostgreSQL per run, one cloned database per test."""

import atexit
import gc
import logging
import os
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from hypothesis import settings
from xdist.remote import Producer  # pyright: ignore[reportMissingTypeStubs]  it is typed, but has no marker

from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
from faregate.analytics.columnar.clickhouse.client import ClickHouseClient
from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.db.migrate import upgrade
from faregate.core.db.subjects import Subjects
from faregate.core.runtime.gc_tuning import collect_seldom
from faregate.credit.services.credits import CreditService
from support.clickhouse import running_clickhouse
from support.environments import build_wheel
from support.ledger import make_credit
from support.rabbitmq import RabbitServer, delete_queues, require_rabbitmq
from support.scheduling import FixtureScheduling
from support.servers import address, execute, in_memory

_numbers = count(1)

atexit.register(gc.freeze)  # the interpreter would look at all objects several times before it ends

# structlog's own default draws each traceback with its local variables, which takes a second apiece
_renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _renderer])
_plain = structlog.get_config()

settings.register_profile("long")
"""`--hypothesis-profile=long`: the state machines of the ledger run their thousands of examples (`make prove`)."""


_LONGEST = (
    "test_commands.py",
    "test_private_ground.py",
    "test_bench_metering.py",
    "test_postgres_15.py",
    "test_howtos.py",
    "test_bookkeeping.py",
    "test_operations.py",
    "test_separate_processes.py",
    "test_bench_process.py",
    "test_metering_commands.py",
    "test_chaos.py",
    "test_pages.py",  # with the other tests of the dashboard
    "test_rabbitmq.py",  # with the others of RabbitMQ
)


_LONG = (
    "test_columnar_clickhouse.py::test_every_answer_of_clickhouse",
    "test_columnar_clickhouse.py::test_a_killed_run",
    "test_observability.py::test_a_real_prometheus",
    "gateway/test_graphql.py::test_many_random_queries",
    "test_postgres_15.py::test_everything_that_touches_sql_runs_on_postgresql_15[others]",
    "test_chaos.py::test_a_worker_with_a_deliberate_defect_is_detected",
    "test_close_histories.py::test_many_random_histories_add_up_and_verify",
    "integrations/test_litellm.py",
    "ingest/test_litellm_callbacks.py",
    "test_howto_frameworks.py",
    "dashboard/test_figures.py",
    "gateway/test_openapi.py::test_the_openapi_validator",
    "test_extras.py::test_server_starts_everything",
    "test_extras.py::test_embedded_brings",
    "test_examples.py::test_the_commands_of_its_readme_do_what_it_says[script]",
    "test_bench_reports.py",
    "test_howto_stripe.py",
    "test_bench_metering.py",
    "test_bench_compare.py::test_run_is_compared",
    "test_bench_growth.py",
    "test_bench_process.py::test_the_hot_wallet_settles",
    "test_rolling_restart.py",
    "faults/test_cluster.py",
    "test_examples.py::test_the_commands_of_its_readme_do_what_it_says[fastapi]",
    "test_examples.py::test_the_commands_of_its_readme_do_what_it_says[django]",
    "test_examples.py::test_the_commands_of_its_readme_do_what_it_says[celery]",
    "test_examples.py::test_the_commands_of_its_readme_do_what_it_says[host]",
    "test_examples.py::test_the_commands_of_its_readme_do_what_it_says[notebook]",
    "test_bench_process.py::test_settlements_are_compared",
    "test_bench_process.py::test_starts_are_compared",
    "test_bench_process.py::test_single_records_are_compared",
    "test_private_ground.py::test_the_ingest_bench",
    "test_private_ground.py::test_contention_grants",
    "test_separate_processes.py::test_a_replay_through_rabbitmq",
    "test_extras.py::test_redis_and_otel",
    "test_extras.py::test_graphql_adds",
    "test_extras.py::test_rabbitmq_publishes",
    "test_extras.py::test_what_needs_an_extra_names_it",
    "test_extras.py::test_the_command_without_its_extra_names_it",
    "test_extras.py::test_an_extra_alone_runs_what_it_names[worker]",
    "test_extras.py::test_an_extra_alone_runs_what_it_names[gateway]",
    "test_operating.py::test_every_list_of_operators_loads",
    "dashboard/test_insights.py",
    "dashboard/test_howtos.py",
    "cli/test_howtos.py::test_every_code_block_of_the_page_runs[docs/howto/check-provider-bills.md]",
    "cli/test_howtos.py::test_every_code_block_of_the_page_runs[docs/howto/export-focus.md]",
    "test_architecture.py::test_importing_usage_is_quick",
    "test_calendar.py::test_no_gap_and_no_overlap[quarter-hour]",
    "test_commands.py::test_a_killed_worker_neither_loses",
    "test_commands.py::test_settling_by_queue_and_by_http_costs_the_same",
    "test_odd_bodies.py::test_a_million_wrong_lines",
    "test_data_dir.py::test_up_survives_a_crash_of_its_postgresql[backend]",
    "test_rabbitmq.py::test_a_frozen_broker_is_detected",
    "core/test_rabbitmq.py::test_a_restart_of_the_broker",
    "test_hostile_values.py::test_no_value_of_a_query_parameter",
    "typescript/test_howto.py",
    "test_payment_orders.py::test_100_000_orders",
    "test_payments.py::test_300_orders",
    "test_two_hundred.py",
    "tenancy/test_life.py::test_the_commands_work_on_one_tenant",
    "cli/test_howtos.py::test_every_code_block_of_the_page_runs[docs/howto/serve-many-tenants.md]",
    "test_replica.py::test_every_command_that_reads",
)
"""What `make test` leaves to `make test-long`: further forms of what other tests check, that take long."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FixtureScheduling | None:
    return FixtureScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: the garbage collector looks at none of it, then or later, and at the rest seldom."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        collect_seldom()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin first, so that all processes end together; the longest tests get a mark."""
    order = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
    long = re.compile("|".join(f"/{re.escape(name)}" for name in _LONG))
    for item in items:
        if long.search(f"/{item.nodeid}"):
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built of this checkout, once per run."""
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL of this test run; on another version's if FAREGATE_TEST_DATABASE_URL names one."""
    with tempfile.TemporaryDirectory(prefix="fg-test-", dir=in_memory(), ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedServer(Path(directory) / "pg", durable=False, options={"max_connections": "400"})
        server.start_now()
        yield server
        server.stop_now()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The address of a server on which databases may be made."""
    given = os.environ.get("FAREGATE_TEST_DATABASE_URL")
    if given:
        return given
    server: EmbeddedServer = request.getfixturevalue("server")
    return server.url


@pytest.fixture(scope="session")
async def template(server_url: str) -> str:
    """A migrated database, to be cloned."""
    name = f"template_{os.getpid()}"
    await execute(server_url, f"create database {name}")
    database = Database(address(server_url, name))
    await upgrade(database)
    await database.close()
    return name


@pytest.fixture(scope="session")
async def administration(server_url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """A connection for statements that make and drop databases."""
    connection = await asyncpg.connect(server_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database_url(server_url: str, template: str, administration: "asyncpg.Connection[Any]") -> AsyncIterator[str]:
    """The address of a fresh, migrated database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await administration.execute(f"create database {name} template {template} strategy file_copy")
    yield address(server_url, name)
    await administration.execute(f"drop database {name} with (force)")


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """A fresh, migrated database, open."""
    database = Database(database_url, pool_size=20)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def subjects(database: Database) -> Subjects:
    return Subjects(database)


@pytest.fixture
def credit(database: Database) -> CreditService:
    """The ledger on the database's own clock, without initial grants."""
    return make_credit(database).service


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitServer]:
    """A RabbitMQ of this test run, started by the first test that needs it."""
    require_rabbitmq()
    server = RabbitServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def clickhouse_server() -> Iterator[str]:
    """The URL of a ClickHouse of this test run, started by the first test that needs it."""
    with running_clickhouse() as url:
        yield url


@pytest.fixture
async def clickhouse_url(clickhouse_server: str) -> AsyncIterator[str]:
    """The address of a fresh database of ClickHouse."""
    client, name = (
        ClickHouseClient(ClickHouseAddress.of(clickhouse_server), timeout_seconds=60),
        f"test_{next(_numbers)}",
    )
    await client.run(f"create database {name}")
    yield f"{clickhouse_server}/{name}"
    await client.run(f"drop database {name}")


@pytest.fixture(autouse=True)
def _logs_go_nowhere_afterwards() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """A test that sets up logging writes to its own captured streams, which are closed when it is over."""
    yield
    if structlog.get_config() != _plain:
        structlog.configure(**_plain)
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)


@pytest.fixture
def fragile_rabbitmq() -> Iterator[RabbitServer]:
    """A RabbitMQ of this one test, which may stop, freeze and break it: what it leaves behind meets nobody else."""
    require_rabbitmq()
    server = RabbitServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def broker_url(rabbitmq_server: RabbitServer) -> str:
    """The address of a RabbitMQ without any of our queues."""
    await delete_queues(rabbitmq_server.url)
    return rabbitmq_server.url
