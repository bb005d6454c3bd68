"""Upgrades of a database that is in use: nothing is lost, and old processes can go on."""

from collections.abc import Sequence
from typing import Any

import pytest

from faregate.core.db.database import Database
from faregate.core.db.migrate import run_alembic, upgrade
from faregate.core.db.revisions import head_revision, known_revisions
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.credit.proof.verify import Verifier
from support.apps import Gateway, open_gateway, settings_for
from support.deployments import LINE, serve_calls, settle_messages
from support.docs import Page

_COLUMNS = """
select table_name, column_name, data_type, is_nullable = 'NO' as required, column_default is not null or is_identity = 'YES' as filled
from information_schema.columns where table_schema = 'faregate' and table_name !~ '_y[0-9]{4}m' and table_name <> 'alembic_version'
"""
_CONSTRAINTS = """
select r.relname || '.' || c.conname as name from pg_constraint c join pg_class r on r.oid = c.conrelid
join pg_namespace n on n.oid = r.relnamespace where n.nspname = 'faregate' and c.contype in ('c', 'u', 'x', 'f')
union all select r.relname || '.' || t.tgname from pg_trigger t join pg_class r on r.oid = t.tgrelid
join pg_namespace n on n.oid = r.relnamespace where n.nspname = 'faregate' and not t.tgisinternal
"""
_DROPPED = {"usage_cube", "usage_cube_active", "usage_rollup", "usage_user", "usage_user_day"}
"""Tables whose columns a later revision drops or changes: what old processes do with them fails."""

_NARROWED = {
    "transfer.transfer_append_only",
    "grant_slice.grant_slice_append_only",
}
"""What a later revision demands of rows of an older one: old processes meet all of it."""

_MADE_ANEW = ("rollup_", "usage_active", "usage_cube", "usage_rollup", "usage_user", "version")
"""Sums, which the worker makes from the events again, and counters of changes."""

_REST_OF_THE_FIRST_TABLES = """
with one as (insert into faregate.heartbeat (instance, role) values ('worker-1', 'worker'))
insert into faregate.member (organization_id, subject_id)
select o.subject_id, s.subject_id from faregate.organization o, faregate.subject s where s.external_id = 'ada'
"""


async def _read(database: Database, sql: str) -> Sequence[Any]:
    async with database.transaction() as session:
        return await database.rows(session, sql)


async def _columns(database: Database) -> dict[tuple[str, str], tuple[str, bool, bool]]:
    rows = await _read(database, _COLUMNS)
    return {(row.table_name, row.column_name): (row.data_type, row.required, row.filled) for row in rows}


async def _contents(database: Database, columns: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the rows of each table, of these columns only, in an order of their own."""
    found: dict[str, list[str]] = {}
    for table in sorted({table for table, _ in columns}):
        names = ", ".join(f'"{column}"' for owner, column in sorted(columns) if owner == table)
        rows = await _read(database, f"select row({names})::text as line from faregate.{table} order by 1")
        found[table] = [row.line for row in rows]
    return found


async def _use(gateway: Gateway, database_url: str) -> None:
    """Leave rows in every table of the first revision, an open hold and a waiting message among them."""
    await serve_calls(gateway)
    await settle_messages(gateway, settings_for(database_url))
    assert (await gateway.start("ada", "chat")).status == 200
    organization = await gateway.put("/api/organizations/acme", {"policy": "recorded"})
    assert organization.status == 200, organization.body
    await gateway.container.transport().publish("later", [OutgoingMessage(b"{}")])


@pytest.fixture
async def used(database: Database, database_url: str) -> Database:
    async with open_gateway(settings_for(database_url)) as gateway:
        await _use(gateway, database_url)
    return database


async def test_nothing_is_lost_from_any_revision_to_the_newest(used: Database) -> None:
    """Down to an older revision with the data in it, newer revisions first; then up: each row is what it was, and `verify` is clean."""
    for revision in ("0020", "0019", "0016", "0012", "0010", "0008", "0006", "0004", "0001"):
        await run_alembic(used, "downgrade", revision)
        columns = [(table, column) for table, column in await _columns(used) if not table.startswith(_MADE_ANEW)]
        if revision == "0001":
            await _read(used, _REST_OF_THE_FIRST_TABLES)
        before = await _contents(used, columns)
        await upgrade(used)
        after = await _contents(used, columns)
        assert {table: after[table] == rows for table, rows in before.items()} == dict.fromkeys(before, True), revision
        assert await _drifts(used) == ()

    assert {table for table, rows in before.items() if not rows} == set()
    assert len(before) == 13


async def test_what_the_first_revision_held_is_used_after_the_upgrade(used: Database, database_url: str) -> None:
    """Its open hold is settled and its credits are spent by today's gateway; the waiting message is still there."""
    await run_alembic(used, "downgrade", "0001")
    ((key,),) = await _read(used, "select usage_key from faregate.charge where status = 0")
    await upgrade(used)
    async with open_gateway(settings_for(database_url)) as gateway:
        settled = await gateway.end("ada", "chat", usage_key=key, usages=[LINE])
        wallet = (await gateway.get("/api/wallets/ada")).data
        waiting = await gateway.container.transport().backlog("later")

    assert (settled.status, settled.data["flags"]) == (200, [])
    assert (wallet["held"], waiting.depth) == (0, 1)
    assert await _drifts(used) == ()


async def test_no_migration_takes_from_old_processes_what_they_write(database: Database) -> None:
    """Statements of an older process fit each newer schema: nothing is dropped, renamed, or demanded of its rows.

    What a migration demands all the same stands in the list of exceptions, and in the guide.
    """
    await run_alembic(database, "downgrade", "0001")
    revisions = known_revisions()[1:]
    narrowed, dropped = set[str](), set[str]()
    for revision in revisions:
        tables, demands = await _columns(database), await _names(database)
        await run_alembic(database, "upgrade", revision)
        newer, narrower = await _columns(database), await _names(database)
        changed = {place for place, kind in tables.items() if newer.get(place) != kind}
        dropped |= {table for table, _ in changed}
        known = {table for table, _ in tables}
        added = {place: kind for place, kind in newer.items() if place not in tables and place[0] in known}
        assert [place for place, (_, required, filled) in added.items() if required and not filled] == [], revision
        narrowed |= {name for name in narrower - demands if name.partition(".")[0] in known}

    assert revisions[-1] == head_revision()
    assert (dropped, narrowed) == (_DROPPED, _NARROWED)
    page = Page.of("docs/howto/upgrade.md").text
    assert [name for name in _DROPPED if f"`{name}`" not in page] == []


async def _names(database: Database) -> set[str]:
    return {row.name for row in await _read(database, _CONSTRAINTS)}


async def _drifts(database: Database) -> tuple[Any, ...]:
    async with database.transaction(isolation="REPEATABLE READ") as session:
        return tuple(await Verifier(database).drifts(session))
