"""Views for business intelligence tools: what they promise, their figures, and the roles that read them."""

import base64
import json
import os
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from faregate.analytics.bi.passwords import scram_verifier
from faregate.analytics.bi.service import BiService
from faregate.analytics.bi.views_sql import BI_VIEWS
from faregate.analytics.bills.values import BillSource
from faregate.client import ModelUsage
from faregate.core.db.database import Database
from faregate.core.errors import ConfigurationError, InvalidError, NotFoundError
from faregate.host import Faregate
from support.processes import run_command
from support.servers import execute

EXAMPLES = Path(__file__).parents[2] / "examples" / "bi"
PROMISED = Path(__file__).with_name("bi_columns.txt")
_numbers = count(1)


@pytest.fixture
async def fare(database_url: str) -> AsyncIterator[Faregate]:
    """A deployment with every kind of fact."""
    features: dict[str, dict[str, Any]] = {
        "image": {"strategy": "fixed", "parameters": {"credits": "1.5"}},
        "chat": {"strategy": "token_priced", "margin_percent": 20},
    }
    async with Faregate(database_url, features=features, initial_credits=10) as fare:
        await fare.organizations.define("acme", policy="pooled", join=["kim"])
        await fare.grant("org:acme", 50, key="g1", features=["chat"])
        await fare.charge("image", "ada", key="k1")
        line = ModelUsage("gpt-4o-mini", provider="openai", input_tokens=100_000, output_tokens=10_000)
        await fare.charge("chat", "kim", key="k2", usages=[line], organization="acme")
        await fare.charge("chat", "ada", key="k3", usages=[ModelUsage("unheard-of", input_tokens=5)])
        await fare.refund("k1", Decimal("0.5"), reason="blurred")
        await fare.usage.record(
            [{"id": "1", "source": "s3", "user_id": "ada", "kind": "meter", "meter": "storage", "quantity": 3}]
        )
        bill = b"Date,Model,Total\n2026-11-01,gpt-4o-mini,0.25\n"
        mapping = {"time": "Date", "model": "Model", "cost_usd": "Total"}
        await fare.container.bills().import_file(bill, BillSource.CSV, provider="openai", mapping=mapping)
        yield fare


@pytest.fixture
async def views(fare: Faregate) -> BiService:
    service = fare.container.bi()
    await service.create()
    return service


@pytest.fixture
async def role(views: BiService, database_url: str) -> AsyncIterator[str]:
    name = f"analyst_{os.getpid()}_{next(_numbers)}"
    yield name
    await execute(database_url, f"drop owned by {name}; drop role {name}")


async def _read(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def test_every_view_has_rows_of_the_promised_types_and_a_comment_on_each_column(
    views: BiService, database_url: str
) -> None:
    found = await _read(
        database_url,
        """select c.relname as view, a.attname as name, format_type(a.atttypid, null) as type,
                  col_description(c.oid, a.attnum) as comment, obj_description(c.oid) as about
           from pg_class c join pg_attribute a on a.attrelid = c.oid
           where c.relnamespace = 'faregate_bi'::regnamespace order by c.relname, a.attnum""",
    )
    types = {"timestamptz": "timestamp with time zone"}
    declared = {
        (v.name, c.name): (types.get(c.type, c.type), c.comment, v.comment) for v in BI_VIEWS for c in v.columns
    }
    rows = {v.name: (await _read(database_url, f"select count(*) from faregate_bi.{v.name}"))[0][0] for v in BI_VIEWS}

    assert {(r["view"], r["name"]): (r["type"], r["comment"], r["about"]) for r in found} == declared
    assert all(rows.values()), rows


def test_no_promised_column_was_renamed_removed_or_given_another_type() -> None:
    """Add new columns to the file; a line of it that no longer holds breaks dashboards of users."""
    promised = PROMISED.read_text().splitlines()

    assert [f"{view.name}.{column.name} {column.type}" for view in BI_VIEWS for column in view.columns] == promised


async def test_the_figures_are_those_of_the_ledger(fare: Faregate, views: BiService, database_url: str) -> None:
    changes = await _read(
        database_url, "select owner_id, sum(wallet_change) as s from faregate_bi.transfers group by 1"
    )
    wallets = {row["owner_id"]: row for row in await _read(database_url, "select * from faregate_bi.wallets")}
    slices = await _read(database_url, "select owner_id, sum(credits) as s from faregate_bi.transfer_grants group by 1")
    left = await _read(database_url, "select owner_id, sum(remaining_credits) as s from faregate_bi.grants group by 1")

    for owner in ("ada", "org:acme"):
        balance = (await fare.balance(owner)).balance
        sums = [next(row["s"] for row in rows if row["owner_id"] == owner) for rows in (changes, slices, left)]
        assert sums == [balance] * 3
        assert wallets[owner]["balance"] == balance
    assert {wallets["ada"]["owner_kind"], wallets["org:acme"]["owner_kind"]} == {"user", "organization"}
    verified = await fare.container.verifier().verify()
    assert verified.drifts == ()


async def test_a_use_its_lines_and_its_events_agree(fare: Faregate, views: BiService, database_url: str) -> None:
    (use,) = await _read(database_url, "select * from faregate_bi.uses where usage_key = 'k2'")
    (line,) = await _read(database_url, "select * from faregate_bi.usage_lines where usage_key = 'k2'")
    tokens = await _read(
        database_url, "select token_type, tokens from faregate_bi.usage_line_tokens where usage_key = 'k2'"
    )
    (facts,) = await _read(
        database_url,
        """select sum(credits) as credits, sum(charged_credits) as charged, sum(provider_cost_usd) as cost,
                  sum(requests) as requests, sum(calls) as calls from faregate_bi.usage_events where usage_key = 'k2'""",
    )
    charge = (await fare.usage.story("k2")).charge

    assert (use["user_id"], use["organization_id"], use["payer_id"]) == ("kim", "org:acme", "org:acme")
    assert (use["charging"], use["status"], use["is_unpriced"]) == ("pooled", "settled", False)
    assert (
        use["charged_credits"] == use["consumed_credits"] == line["credits"] == facts["credits"] == facts["charged"] > 0
    )
    assert facts["cost"] == line["provider_cost_usd"] == line["input_cost_usd"] + line["output_cost_usd"]
    assert (facts["requests"], facts["calls"]) == (1, 1)
    assert {row["token_type"]: row["tokens"] for row in tokens} == {"input_tokens": 100_000, "output_tokens": 10_000}
    assert use["settled_at"] == line["settled_at"] == charge.settled_at


async def test_what_has_no_price_says_so(views: BiService, database_url: str) -> None:
    (row,) = await _read(
        database_url,
        """select u.is_unpriced, l.is_priced, l.provider_cost_usd from faregate_bi.uses u
           join faregate_bi.usage_lines l using (usage_key) where usage_key = 'k3'""",
    )

    assert tuple(row) == (True, False, None)


async def test_a_role_reads_every_view_and_nothing_else(views: BiService, role: str, database_url: str) -> None:
    await views.grant_role(role, password="a long password", timeout_seconds=7)
    url = _as(database_url, role, "a long password")

    for view in BI_VIEWS:
        assert await _read(url, f"select * from {view.name} limit 1")
    for statement, state in (
        ("select * from faregate.charge", asyncpg.InsufficientPrivilegeError),
        ("create table public.mine (x int)", asyncpg.ReadOnlySQLTransactionError),
        ("set transaction read write; create table faregate_bi.mine (x int)", asyncpg.PostgresError),
        ("delete from uses", asyncpg.PostgresError),
    ):
        with pytest.raises(state):
            connection = await asyncpg.connect(url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()
    assert (await _read(url, "show statement_timeout"))[0][0] == "7s"


async def test_a_role_keeps_its_rights_when_a_view_changes_its_shape(
    views: BiService, role: str, database_url: str
) -> None:
    await views.grant_role(role, password=None)
    await execute(database_url, "drop view faregate_bi.features; create view faregate_bi.features as select 1 as other")
    await views.create()
    await views.grant_role(role, password=None)

    assert (await _read(_as(database_url, role), "select feature_key from features order by 1"))[0][0] == "chat"


async def test_what_others_built_on_a_view_is_never_dropped(views: BiService, database_url: str) -> None:
    await execute(
        database_url,
        """drop view faregate_bi.features; create view faregate_bi.features as select 1 as other;
           create schema mine; create view mine.report as select * from faregate_bi.features""",
    )
    with pytest.raises(ConfigurationError, match=r"drop what depends on it in faregate_bi first: .*mine\.report"):
        await views.create()
    with pytest.raises(ConfigurationError, match="depends on it"):
        await views.drop()

    assert (await _read(database_url, "select * from mine.report"))[0][0] == 1
    await execute(database_url, "drop schema mine cascade")
    await views.drop()
    await views.drop()
    assert await _read(database_url, "select 1 from pg_namespace where nspname = 'faregate_bi'") == []


async def test_a_verifier_is_what_the_server_itself_stores(database_url: str) -> None:
    name = f"scram_{os.getpid()}"
    await execute(
        database_url, f"set password_encryption = 'scram-sha-256'; create role {name} password 'a long password'"
    )
    (row,) = await _read(database_url, f"select rolpassword from pg_authid where rolname = '{name}'")
    await execute(database_url, f"drop role {name}")
    salt = base64.b64decode(row[0].partition(":")[2].partition("$")[0])
    assert scram_verifier("a long password", salt=salt) == row[0]


async def test_a_role_that_may_not_create_roles_is_told_what_to_do(
    fare: Faregate, views: BiService, role: str, database_url: str
) -> None:
    await execute(database_url, f"create role {role} login; grant usage on schema faregate_bi to {role}")
    restricted = Database(_as(database_url, role))
    await restricted.open()
    with pytest.raises(ConfigurationError, match=r"permission denied.*--sql"):
        await BiService(restricted).grant_role("another", password=None)
    await restricted.close()


@pytest.mark.parametrize(
    ("name", "password", "seconds", "param"),
    [
        ("", None, 60, "role"),
        ("pg_mine", None, 60, "role"),
        ("a", "short", 60, "password"),
        ("a", None, 0, "timeout_seconds"),
    ],
)
async def test_a_wrong_role_is_refused_by_name(
    views: BiService, name: str, password: str | None, seconds: int, param: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        await views.role_sql(name, password=password, timeout_seconds=seconds)

    assert refused.value.param == param


async def test_without_views_a_role_is_refused_and_nothing_is_refreshed(fare: Faregate) -> None:
    with pytest.raises(NotFoundError, match="faregate bi create"):
        await fare.container.bi().role_sql("analyst", password=None)
    assert await fare.container.bi().refresh() is False


async def test_the_commands_make_views_and_a_role_whose_address_works(
    fare: Faregate, role: str, database_url: str
) -> None:
    given = {"FAREGATE_DATABASE_URL": database_url}
    made = await run_command("bi", "create", **given)
    printed = await run_command("bi", "role", role, "--sql", **given)
    granted = await run_command("bi", "role", role, "--output", "json", **given)
    described = await run_command("bi", "columns", "uses", **given)
    migrated = await run_command("migrate", **given)

    assert (made.code, printed.code, granted.code, described.code, migrated.code) == (0, 0, 0, 0, 0)
    assert f"create role {role} login password 'SCRAM-SHA-256$" in printed.out
    url = re.search(r'"url":"([^"]+)"', granted.out)
    assert url is not None
    assert await _read(url[1], "select * from uses limit 1")
    assert "charged_credits" in described.out


def _as(url: str, role: str, password: str | None = None) -> str:
    parts = urlsplit(url)
    login = role if password is None else f"{role}:{password.replace(' ', '%20')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def _statements(file: str) -> list[str]:
    text = (EXAMPLES / file).read_text()
    return [part.strip() for part in text.split(";") if part.strip()]


def _grafana() -> list[str]:
    """Return the queries of the dashboard, with Grafana's macros as its PostgreSQL data source writes them."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    found = [target["rawSql"] for panel in dashboard["panels"] for target in panel["targets"]]
    filtered = [
        re.sub(r"\$__timeFilter\((\w+)\)", r"\1 between now() - interval '1 day' and now()", sql) for sql in found
    ]
    grouped = [
        re.sub(r"\$__timeGroupAlias\((\w+), \$__interval\)", r'floor(extract(epoch from \1)/60)*60 as "time"', sql)
        for sql in filtered
    ]
    assert not any("$__" in sql for sql in grouped)
    return grouped


async def test_every_query_of_the_examples_runs_as_the_role(views: BiService, role: str, database_url: str) -> None:
    await views.grant_role(role, password=None)
    queries = [*_statements("metabase.sql"), *_statements("superset.sql"), *_grafana()]
    rows = [await _read(_as(database_url, role), sql) for sql in queries]

    assert len(queries) == 23
    assert sum(bool(found) for found in rows) >= 21  # nothing expires, and no wallet runs out within a week
    assert [view.name for view in BI_VIEWS if not any(re.search(rf"\b{view.name}\b", sql) for sql in queries)] == []
