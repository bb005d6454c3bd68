"""A host's own Alembic: the files that `alembic init` writes, with the lines that the how-to adds."""

import os
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from alembic.config import main as alembic_main
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from faregate.alembic import include_name, upgrade_on
from faregate.core.db.revisions import head_revision
from faregate.core.errors import ConfigurationError
from support.docs import Page
from support.forking import forked
from support.servers import address, execute

PAGE = Page.of("docs/howto/migrate-with-alembic.md")
_numbers = count(1)
MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table
metadata = MetaData()
Table("paper", metadata, Column("id", Integer, primary_key=True))
Table("parcel", metadata, Column("id", Integer, primary_key=True), schema="shipping")
"""


class Host:
    """A directory with a host's models and migrations, and its database."""

    def __init__(self, directory: Path, template: str, url: str) -> None:
        self.directory, self.url, self.environment = directory, url, dict[str, str]()
        self.alembic("init", "-t", template, "migrations")
        (directory / "shop.py").write_text(MODELS)
        self._template = template
        driver = f"postgresql+{'asyncpg' if template == 'async' else 'psycopg'}://"
        ini = directory / "alembic.ini"
        ini.write_text(
            ini.read_text().replace("driver://user:pass@localhost/dbname", self.url.replace("postgresql://", driver))
        )

    def follow(self, page: Page) -> None:
        """Add to `env.py` what the page says."""
        blocks = {block.title: block.text for block in page.blocks()}
        path = self.directory / "migrations" / "env.py"
        begin = re.escape(blocks[self._template].splitlines()[0])
        changed, number = re.subn(
            rf"^{begin}\n(.|\n)*?context\.run_migrations\(\)\n",
            lambda _: blocks[self._template],
            path.read_text(),
            flags=re.MULTILINE,
        )
        assert number == 1
        path.write_text(changed)
        self.edit(
            (
                "from alembic import context\n",
                f"from alembic import context\n{blocks['import']}\nfrom shop import metadata\n",
            ),
            ("target_metadata = None", "target_metadata = metadata"),
        )

    def alembic(self, *arguments: str, code: int = 0) -> str:
        ended, said = forked(lambda: alembic_main(list(arguments)), self.directory, self.environment)
        assert ended == code, said
        return said

    def edit(self, *replacements: tuple[str, str]) -> None:
        path = self.directory / "migrations" / "env.py"
        for old, new in replacements:
            content = path.read_text()
            assert content.count(old) == 1, (old, content)
            path.write_text(content.replace(old, new))

    def revisions(self) -> list[str]:
        return [path.read_text() for path in sorted((self.directory / "migrations" / "versions").glob("*.py"))]

    async def value(self, sql: str) -> object:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()


@pytest.fixture
async def bare_url(server_url: str) -> AsyncIterator[str]:
    """The address of an empty database."""
    name = f"host_{os.getpid()}_{next(_numbers)}"
    await execute(server_url, f"create database {name}")
    yield address(server_url, name)
    await execute(server_url, f"drop database {name} with (force)")


@pytest.fixture(params=["generic", "async"])
def host(request: pytest.FixtureRequest, tmp_path: Path, bare_url: str) -> Host:
    """A host that follows the page."""
    made = Host(tmp_path, request.param, bare_url)
    made.follow(PAGE)
    return made


MAKE_SHIPPING = "def upgrade() -> None:\n    op.execute('create schema if not exists shipping')\n"


async def test_one_command_migrates_both_and_autogeneration_finds_nothing_of_ours(host: Host) -> None:
    """Twice; then the host goes down and up again, and ours stays."""
    host.alembic("revision", "--autogenerate", "-m", "first")
    (first,) = (host.directory / "migrations" / "versions").glob("*.py")
    first.write_text(first.read_text().replace("def upgrade() -> None:\n", MAKE_SHIPPING, 1))
    host.alembic("upgrade", "head")

    assert await host.value("select version_num from faregate.alembic_version") == head_revision()
    assert await host.value("select count(*) from public.alembic_version") == 1
    host.alembic("check")
    for name in ("second", "third"):
        host.alembic("revision", "--autogenerate", "-m", name)
        host.alembic("upgrade", "head")
    written = host.revisions()
    assert len(written) == 3
    assert sorted(line.strip() for page in written for line in page.splitlines() if "op.drop" in line) == [
        "op.drop_table('paper')", "op.drop_table('parcel', schema='shipping')",
    ]  # fmt: skip
    assert [page for page in written if "wallet" in page] == []

    host.alembic("downgrade", "base")
    assert await host.value("select to_regclass('public.paper')") is None
    assert await host.value("select version_num from faregate.alembic_version") == head_revision()
    host.alembic("upgrade", "head")
    assert await host.value("select to_regclass('shipping.parcel')::text") == "shipping.parcel"


async def test_without_the_filter_autogeneration_would_drop_our_tables(host: Host) -> None:
    """The test above can fail: this is what the line prevents."""
    host.alembic("upgrade", "head")
    host.edit(("include_name=include_name,", ""))
    host.alembic("revision", "--autogenerate", "-m", "first")

    assert "op.drop_table('wallet', schema='faregate')" in host.revisions()[0]


async def test_the_schema_is_that_of_the_settings(host: Host) -> None:
    host.environment["FAREGATE_DB_SCHEMA"] = "tenant_b"
    host.alembic("upgrade", "head")
    host.alembic("revision", "--autogenerate", "-m", "first")

    assert await host.value("select to_regclass('tenant_b.wallet')::text") == "tenant_b.wallet"
    assert await host.value("select to_regclass('faregate.wallet')") is None
    assert "wallet" not in host.revisions()[0]


async def test_only_upgrade_migrates(host: Host) -> None:
    for command in (("current",), ("revision", "-m", "x"), ("downgrade", "base"), ("stamp", "base"), ("history",)):
        host.alembic(*command)
    host.alembic("check", code=255)

    assert await host.value("select to_regnamespace('faregate')") is None


@pytest.mark.parametrize("place", ["first", "inside"])
async def test_the_call_commits_wherever_it_stands(host: Host, place: str) -> None:
    path = host.directory / "migrations" / "env.py"
    (call,) = [line for line in path.read_text().splitlines() if line.strip() == "upgrade_on(connection)"]
    content = path.read_text().replace(f"{call}\n", "")
    if place == "first":
        before, found, after = content.rpartition(call.replace("upgrade_on(connection)", "context.configure(\n"))
        path.write_text(f"{before}{call}\n{found}{after}")
    else:
        before, found, after = content.rpartition("context.run_migrations()\n")
        path.write_text(f"{before}{found}    {call}\n{after}")
    host.alembic("revision", "--autogenerate", "-m", "first")
    (first,) = (host.directory / "migrations" / "versions").glob("*.py")
    first.write_text(first.read_text().replace("def upgrade() -> None:\n", MAKE_SHIPPING, 1))
    host.alembic("upgrade", "head")

    assert await host.value("select version_num from faregate.alembic_version") == head_revision()
    assert await host.value("select to_regclass('public.paper')::text") == "paper"


async def test_a_transaction_that_nobody_commits_is_refused(host: Host) -> None:
    """A statement before the call began it; the connection's end would roll it back after a log of success."""
    host.edit(
        ("import include_name, upgrade_on", "import include_name, upgrade_on\nfrom sqlalchemy import text"),
        ("upgrade_on(connection)", "connection.execute(text('select 1')); upgrade_on(connection)"),
    )
    said = host.alembic("upgrade", "head", code=1)

    assert "call connection.commit() before upgrade_on" in said
    assert await host.value("select to_regnamespace('faregate')") is None


async def test_a_role_named_like_the_schema_is_refused_until_its_search_path_is_set(
    tmp_path: Path, bare_url: str
) -> None:
    """Else its unqualified `alembic_version` would be Faregate's from the second run on."""
    name = f"named_{os.getpid()}_{next(_numbers)}"
    await execute(bare_url, f"create role {name} login superuser password 'x'")
    at = bare_url.partition("://")[2]
    host = Host(tmp_path, "generic", f"postgresql://{name}:x@{at.rpartition('@')[2]}")
    host.follow(PAGE)
    host.environment["FAREGATE_DB_SCHEMA"] = name
    try:
        said = host.alembic("upgrade", "head", code=1)
        assert "alter role … set search_path = public" in said
        assert await host.value(f"select to_regnamespace('{name}')") is None
        await execute(bare_url, f"alter role {name} set search_path = public")
        host.edit(("include_schemas=True,", 'include_schemas=True, version_table_schema="public",'))
        host.alembic("upgrade", "head")
        assert await host.value(f"select to_regclass('{name}.wallet')::text") == f"{name}.wallet"
    finally:
        await execute(bare_url, f"drop schema if exists {name} cascade; drop owned by {name}; drop role {name}")


@pytest.mark.parametrize("begin", ["engine", "connection", "manual", "statement"])
async def test_a_host_runs_it_in_a_block_of_its_own(bare_url: str, begin: str) -> None:
    """With the host's tables: a block commits both or neither; what no block commits is refused."""
    engine = create_async_engine(bare_url.replace("postgresql://", "postgresql+asyncpg://"))
    run: Callable[..., object] = partial(upgrade_on, schema="beside")
    if begin == "engine":
        async with engine.begin() as connection:
            await connection.execute(text("create table host_table (id int)"))
            await connection.run_sync(run)
    elif begin == "connection":
        async with engine.connect() as connection, connection.begin():
            await connection.run_sync(run)
    else:
        async with engine.connect() as connection:
            await (connection.begin() if begin == "manual" else connection.execute(text("select 1")))
            with pytest.raises(ConfigurationError, match="no block commits"):
                await connection.run_sync(run)
    async with engine.connect() as connection:
        made = (await connection.execute(text("select to_regclass('beside.wallet')::text"))).scalar()
    await engine.dispose()

    assert made == ("beside.wallet" if begin in {"engine", "connection"} else None)


async def test_an_error_in_the_hosts_block_takes_everything_back(bare_url: str) -> None:
    engine = create_async_engine(bare_url.replace("postgresql://", "postgresql+asyncpg://"))
    with pytest.raises(ZeroDivisionError):
        async with engine.begin() as connection:
            await connection.run_sync(partial(upgrade_on, schema="beside"))
            raise ZeroDivisionError
    async with engine.connect() as connection:
        made = (await connection.execute(text("select to_regnamespace('beside')"))).scalar()
    await engine.dispose()

    assert made is None


@pytest.mark.parametrize(
    ("name", "kind", "parents", "included"),
    [
        (None, "schema", {}, True),
        ("public", "schema", {}, True),
        ("faregate", "schema", {}, False),
        ("faregate_aside", "schema", {}, False),
        ("faregate_two", "schema", {}, True),
        ("wallet", "table", {"schema_name": "faregate", "schema_qualified_table_name": "faregate.wallet"}, False),
        ("amount", "column", {"schema_name": "faregate", "table_name": "transfer"}, False),
        ("wallet", "table", {"schema_name": None, "schema_qualified_table_name": "wallet"}, True),
        ("wallet", "table", {"schema_name": "shop", "schema_qualified_table_name": "shop.wallet"}, True),
        ("amount", "column", {"schema_name": None, "table_name": "wallet"}, True),
    ],
)
def test_the_filter_hides_the_schema_and_nothing_else(
    name: str | None, kind: str, parents: dict[str, str | None], included: bool
) -> None:
    assert include_name(name, kind, parents) is included


def test_the_filter_takes_the_schemas_of_several_tenants() -> None:
    ours = partial(include_name, schemas=("tenant_a", "tenant_b"))

    assert [ours(name, "schema", {}) for name in ("tenant_a", "tenant_b", "faregate")] == [False, False, True]


async def test_a_filter_of_the_host_goes_on(host: Host) -> None:
    (block,) = [block for block in PAGE.blocks() if block.title == "filter"]
    host.alembic("upgrade", "head")
    await execute(host.url, "create schema legacy; create table legacy.old (id int); create table gone (id int)")
    host.edit(
        (
            "from faregate.alembic import include_name, upgrade_on\n",
            f"from faregate.alembic import upgrade_on\n{block.text}",
        ),
        ("include_name=include_name", "include_name=include_ours"),
    )
    host.alembic("revision", "--autogenerate", "-m", "first")

    (written,) = host.revisions()
    assert ("legacy" in written, "wallet" in written, "op.drop_table('gone')" in written) == (False, False, True)


async def test_our_tables_are_hidden_where_our_schema_is_the_default(host: Host) -> None:
    """The host's own tables in it are not: those are compared."""
    host.alembic("upgrade", "head")
    await execute(host.url, "create table faregate.gone (id int)")
    await execute(
        host.url, f"alter database {await host.value('select current_database()')} set search_path = faregate, public"
    )
    host.edit(("include_schemas=True,", 'include_schemas=True, version_table_schema="public",'))
    host.alembic("revision", "--autogenerate", "-m", "first")

    (written,) = host.revisions()
    assert [line.strip() for line in written.splitlines() if "drop_table" in line and "upgrade" not in line][:1] == [
        "op.drop_table('gone')"
    ]
    assert "wallet" not in written
    assert "usage_event" not in written
