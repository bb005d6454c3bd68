"""Migrations: one linear history, in our own schema, on every supported PostgreSQL."""

import asyncio

import pytest
from sqlalchemy import text

from faregate.core.db import migrate
from faregate.core.db.database import Database
from faregate.core.db.migrate import current_revision, run_alembic, upgrade
from faregate.core.db.revisions import MIGRATIONS, head_revision, known_revisions
from support.servers import address, execute


async def _tables(database: Database, schema: str) -> set[str]:
    sql = "select table_name from information_schema.tables where table_schema = :schema"
    async with database.transaction() as session:
        return {row.table_name for row in (await session.execute(text(sql), {"schema": schema})).all()}


async def test_models_and_migrations_agree(database: Database) -> None:
    """`alembic check`: autogenerate would find nothing to do."""
    await run_alembic(database, "check")


async def test_upgrading_is_safe_to_repeat(database: Database) -> None:
    assert await upgrade(database) == (head_revision(), head_revision())


async def test_the_history_is_linear_and_files_are_called_by_their_revisions() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(MIGRATIONS))

    assert len(scripts.get_heads()) == len(scripts.get_bases()) == 1
    assert [s.revision for s in scripts.walk_revisions() if s.is_branch_point] == []
    assert [s.revision for s in scripts.walk_revisions()] == list(reversed(known_revisions()))
    assert scripts.get_current_head() == head_revision()


async def test_downgrade_and_upgrade_restore_the_same_schema(database: Database) -> None:
    before = await _tables(database, "faregate")
    await run_alembic(database, "downgrade", "base")
    emptied = await _tables(database, "faregate")
    await upgrade(database)

    assert emptied == {"alembic_version"}
    assert await _tables(database, "faregate") == before


async def test_a_migration_that_waited_too_long_for_a_lock_is_tried_again(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls hold the lock that it needs: it gives up, so that they need not wait behind it, and tries again."""
    await run_alembic(database, "downgrade", "0028")
    tried_again, told = asyncio.Event(), migrate.log.info

    def tell(event: str, **more: object) -> None:
        told(event, **more)
        tried_again.set()

    monkeypatch.setattr(migrate.log, "info", tell)
    hurried = Database(database_url, lock_timeout_seconds=0.2)
    async with database.transaction() as session:
        await database.rows(session, "select count(*) from faregate.wallet")
        migrating = asyncio.create_task(upgrade(hurried))
        async with asyncio.timeout(30):
            await tried_again.wait()
    done = await migrating
    await hurried.close()

    assert done == ("0028", head_revision())


async def test_another_schema_is_another_tenant(database: Database, database_url: str) -> None:
    tenant = Database(database_url, schema="tenant_b")
    await upgrade(tenant)
    async with tenant.transaction() as session:
        await tenant.rows(session, "insert into faregate.subject (external_id) values ('only-b')")
        in_b = await tenant.rows(session, "select external_id from faregate.subject")
    async with database.transaction() as session:
        in_a = await database.rows(session, "select external_id from faregate.subject")
    await tenant.close()

    assert [row.external_id for row in in_b] == ["only-b"]
    assert list(in_a) == []
    assert await _tables(database, "tenant_b") == await _tables(database, "faregate")


async def test_concurrent_upgrades_migrate_once(server_url: str, template: str, database_url: str) -> None:
    base, _, _ = database_url.partition("?")
    name = base.rpartition("/")[2] + "_many"
    await execute(server_url, f"create database {name}")
    databases = [Database(address(server_url, name)) for _ in range(4)]
    await asyncio.gather(*(upgrade(database) for database in databases))
    revisions = {await current_revision(database) for database in databases}
    for database in databases:
        await database.close()
    await execute(server_url, f"drop database {name} with (force)")

    assert revisions == {head_revision()}


@pytest.mark.parametrize(
    "statement",
    [
        "update faregate.transfer set amount = 1",
        "delete from faregate.transfer",
        "truncate faregate.transfer",
        "delete from faregate.grant_slice",
    ],
)
async def test_the_ledger_is_append_only_for_everybody(database: Database, statement: str) -> None:
    import asyncpg

    connection = await database.connect()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await connection.execute(statement)
    await connection.close()


async def test_times_outside_the_range_are_repaired(database: Database) -> None:
    """Grants that end in the year 10000, or begin before Christ, and their wallet, can be read again."""
    await run_alembic(database, "downgrade", "0013")
    async with database.transaction() as session:
        await database.rows(session, "insert into faregate.subject (external_id) values ('ada')")
        await database.rows(
            session,
            "insert into faregate.wallet (wallet_id, next_change_at, head_hash) select subject_id, 'infinity', '' from faregate.subject",
        )
        for number, (begins, ends) in enumerate([("2026-01-01Z", "10000-01-01Z"), ("0044-03-15Z BC", "infinity")]):
            await database.rows(
                session,
                f"""
                insert into faregate.credit_grant (grant_id, wallet_id, source, burn_class, priority, amount, effective_at,
                  expires_at) select gen_random_uuid(), wallet_id, 'purchase', 1, {number}, 1000000, '{begins}', '{ends}'
                from faregate.wallet
                """,
            )
    await upgrade(database)
    async with database.transaction() as session:
        sql = "select effective_at, expires_at from faregate.credit_grant order by priority"
        grants = [(row.effective_at.year, row.expires_at) for row in await database.rows(session, sql)]
        (wallet,) = await database.rows(session, "select next_change_at from faregate.wallet")

    assert grants == [(2026, None), (1970, None)]
    assert wallet.next_change_at.year == 1970
