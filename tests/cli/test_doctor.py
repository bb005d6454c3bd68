"""Problems that `faregate doctor` finds, and the fixes that it names."""

import builtins
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faregate.cli.commands.operations import doctor as doctor_module
from faregate.cli.commands.operations.doctor import look
from faregate.cli.commands.operations.findings import Finding, look_at_security
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.revisions import head_revision
from faregate.core.errors import FaregateError
from faregate.core.monitoring.readiness import check_migrations
from faregate.core.settings import Settings, load_settings
from faregate.usage.pricing.line import PriceBook
from support.processes import run_command

NOWHERE = "127.0.0.1:1"


async def found(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in await look(settings)}


async def problem(settings: Settings, name: str) -> Finding:
    """Return the one finding that is broken."""
    findings = await found(settings)
    assert [each for each in findings if not findings[each].ok] == [name]
    return findings[name]


async def set_revision(database: Database, revision: str) -> None:
    async with database.transaction() as session:
        await database.rows(session, "update faregate.alembic_version set version_num = :to", to=revision)


async def test_a_sound_deployment_has_no_problem(database_url: str) -> None:
    findings = await found(load_settings(database_url=database_url))

    assert all(finding.ok for finding in findings.values())
    assert findings["migrations"].detail == f"at {head_revision()}"


async def test_an_unavailable_database_hides_neither_the_broker_nor_redis(tmp_path: Path) -> None:
    settings = load_settings(
        database_url=f"postgresql://postgres@{NOWHERE}/none",
        broker_url=f"amqp://guest:hidden@{NOWHERE}/",
        redis_url=f"redis://{NOWHERE}/0",
        data_dir=tmp_path,
    )
    findings = await found(settings)
    broken = {name: finding.fix for name, finding in findings.items() if not finding.ok}

    assert broken == {
        "database": "start PostgreSQL there, or correct host and port in FAREGATE_DATABASE_URL",
        "queue": "check FAREGATE_BROKER_URL",
        "redis": "start it, or check FAREGATE_REDIS_URL; until then reads are not limited",
    }
    assert {"clock", "migrations"}.isdisjoint(findings)
    assert "hidden" not in str(findings)


async def test_a_queue_in_an_unavailable_database_is_not_reported_twice() -> None:
    settings = load_settings(database_url=f"postgresql://postgres@{NOWHERE}/none")

    assert (await problem(settings, "database")).detail == (
        f"postgresql://postgres@{NOWHERE}/none: nothing listens there (connection refused)"
    )


async def test_an_unavailable_broker_is_reported_while_the_database_works(database_url: str) -> None:
    told = await problem(load_settings(database_url=database_url, broker_url=f"amqp://{NOWHERE}/"), "queue")

    assert (told.detail.startswith("RabbitMQ: connecting"), told.fix) == (True, "check FAREGATE_BROKER_URL")


async def test_a_database_that_does_not_exist_is_reported_without_a_traceback(server_url: str) -> None:
    settings = load_settings(database_url=server_url.replace("/postgres", "/no_such_database"))

    assert "no_such_database" in (await problem(settings, "database")).detail


async def test_for_an_older_schema_the_fix_is_a_migration(database: Database, database_url: str) -> None:
    await set_revision(database, "0011")
    told = await problem(load_settings(database_url=database_url), "migrations")

    assert told.detail == f"the database is at 0011, older than this code, which needs {head_revision()}"
    assert told.fix == "run `faregate migrate`"


async def set_oldest_code(database: Database, number: int) -> None:
    async with database.transaction() as session:
        sql = "update faregate.version set version = :number where name = 'schema: oldest code'"
        await database.rows(session, sql, number=number)


async def test_a_newer_schema_that_serves_this_code_is_no_problem(database: Database, database_url: str) -> None:
    """A process of the old version goes on after a migration: it stays ready, and may be started again."""
    await set_revision(database, "9999_later")
    findings = await look(load_settings(database_url=database_url))
    detail = await check_migrations(database)

    assert next(each for each in findings if each.name == "migrations").ok
    assert detail == f"revision 9999_later, newer than this code, which is of {head_revision()}"


async def test_a_newer_schema_that_does_not_say_whom_it_serves_is_a_problem(database: Database) -> None:
    await set_revision(database, "9999")
    async with database.transaction() as session:
        await database.rows(session, "delete from faregate.version where name = 'schema: oldest code'")

    with pytest.raises(FaregateError, match="newer than this code"):
        await check_migrations(database)


async def test_for_a_newer_schema_the_fix_is_a_newer_package(database: Database, database_url: str) -> None:
    """`migrate` reports the same instead of Alembic's error."""
    await set_revision(database, "9999")
    await set_oldest_code(database, 9999)
    told = await problem(load_settings(database_url=database_url), "migrations")
    migrated = await run_command("migrate", FAREGATE_DATABASE_URL=database_url)

    assert told.detail == f"the database is at 9999, newer than this code, which knows {head_revision()} at most"
    assert told.fix == "upgrade the package: `pip install --upgrade faregate`"
    assert migrated.code == 2
    assert migrated.err.endswith(f"faregate: {told.detail}; {told.fix}\n")
    assert "Traceback" not in migrated.err


async def test_clocks_that_differ_are_reported(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(SystemClock):
        def now(self) -> Any:
            return super().now() - timedelta(seconds=90)

    monkeypatch.setattr(doctor_module, "SystemClock", Late)
    told = await problem(load_settings(database_url=database_url), "clock")

    assert re.search(r"differ by (89|90|91)\.", told.detail)
    assert told.fix == "set up NTP on this machine and the database's"


async def test_a_full_disk_is_reported(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**8))
    told = await problem(load_settings(database_url=database_url), "disk")

    assert told.fix == "make room, or set FAREGATE_DATA_DIR to a larger disk"


async def test_clickhouse_is_reported_with_its_version(database_url: str, clickhouse_url: str) -> None:
    findings = await found(load_settings(database_url=database_url, clickhouse_url=clickhouse_url))

    host, database = clickhouse_url.rpartition("@")[2].split("/")
    assert findings["clickhouse"].ok
    assert findings["clickhouse"].detail.startswith("ClickHouse 2")
    assert findings["clickhouse"].detail.endswith(f"http://{host}/{database}")


async def test_an_unavailable_clickhouse_is_reported_without_its_password(database_url: str) -> None:
    url = f"http://faregate:hidden@{NOWHERE}/facts"
    told = await problem(load_settings(database_url=database_url, clickhouse_url=url), "clickhouse")

    assert told.detail == f"ClickHouse at http://{NOWHERE}/facts does not answer (All connection attempts failed)"
    assert told.fix == "start it, or correct host and port in FAREGATE_CLICKHOUSE_URL"


async def test_missing_prices_are_reported(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = PriceBook.line
    monkeypatch.setattr(
        PriceBook,
        "line",
        lambda self, usage, *, at: line(self, replace(usage, model="no-such-model"), at=at),
    )

    assert (await problem(load_settings(database_url=database_url), "prices")).fix == "reinstall genai-prices"


@pytest.mark.parametrize("keys", [{"jwks_url": "https://login.example.com/keys"}, {"jwt_secret": "s" * 32}])
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "FAREGATE_JWT_ISSUER and FAREGATE_JWT_AUDIENCE"),
        ({"jwt_issuer": "https://login.example.com/"}, "FAREGATE_JWT_AUDIENCE"),
        ({"jwt_audience": "faregate"}, "FAREGATE_JWT_ISSUER"),
    ],
)
def test_unchecked_claims_of_tokens_are_reported(keys: dict[str, Any], given: dict[str, Any], missing: str) -> None:
    """With published keys or a secret: each claim that is not checked is reported with the setting that checks it."""
    tokens, _ = look_at_security(load_settings(**keys, **given))

    assert (tokens.ok, tokens.fix) == (False, f"set {missing} to what your identity provider issues")


@pytest.mark.parametrize("given", [{}, {"jwt_secret": "s" * 32, "jwt_issuer": "us", "jwt_audience": "faregate"}])
def test_checked_tokens_and_no_tokens_are_no_problem(given: dict[str, Any]) -> None:
    tokens, _ = look_at_security(load_settings(**given))

    assert tokens.ok


@pytest.mark.parametrize(
    ("allowed", "said"), [(False, "special addresses as of 20"), (True, "only metadata services of clouds are blocked")]
)
def test_the_allowed_targets_of_webhooks_are_reported(allowed: bool, said: str) -> None:
    _, webhooks = look_at_security(load_settings(webhook_allow_private=allowed))

    assert said in webhooks.detail
    assert "FAREGATE_WEBHOOK_ALLOW_PRIVATE" in webhooks.detail


async def test_a_missing_redis_client_is_reported(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_redis(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith("redis"):
            raise ImportError(name)
        return imported(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_redis)
    settings = load_settings(database_url=database_url, redis_url=f"redis://{NOWHERE}/0")

    assert (await problem(settings, "redis")).fix == 'pip install "faregate[redis]"'
