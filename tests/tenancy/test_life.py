"""Life of a tenant: created, changed, suspended, exported, deleted; every process follows within seconds."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from faregate.core.db.shared_pool import SchemaDatabase
from faregate.core.errors import InvalidError, KeyConflictError
from faregate.core.privacy.key_ring import KeyRing, RingKey
from faregate.core.tenants.errors import TenantExistsError, UnknownTenantError
from faregate.core.tenants.registry import TenantRegistry
from faregate.core.tenants.values import TenantState
from faregate.wire import exact_json
from support.processes import run_command
from support.servers import address, execute
from support.tenancy import HOSTS, KEYS, Front, deployment_settings, open_front, until


async def test_two_processes_notice_each_change_within_two_seconds(deployment_url: str) -> None:
    """Suspended, resumed, moved to another host, given another setting: by one process, seen by another."""
    settings = deployment_settings(deployment_url)
    async with open_front(settings) as one, open_front(settings) as two:

        async def answers(host: str, status: int) -> None:
            async def seen() -> bool:
                answer = await two.call(host, "GET", "/api/features", headers={"x-server-api-key": KEYS["acme"]})
                return answer.status == status

            await until(seen, seconds=10)

        await answers(HOSTS["acme"], 200)
        await one.service.suspend("acme")
        await answers(HOSTS["acme"], 403)
        await one.service.resume("acme")
        await answers(HOSTS["acme"], 200)
        await one.service.configure("acme", hosts=["new.example.com"])
        await answers("new.example.com", 200)
        await answers(HOSTS["acme"], 404)
        await one.service.configure("acme", overrides={"server_api_key": "another-key-of-acme"})
        await answers("new.example.com", 401)
        assert (await two.call("beta", "GET", "/api/features")).status == 200


async def test_open_streams_of_a_suspended_tenant_end(front: Front) -> None:
    await front.call("acme", "GET", "/api/features")
    stream = asyncio.create_task(front.text("acme", "GET", "/api/analytics/stream"))
    apps = front.container.tenant_apps()
    (held,) = apps.held

    async def streams() -> bool:
        return held.running == 1

    await until(streams)
    await front.service.suspend("acme")
    status, text = await asyncio.wait_for(stream, 30)

    assert (status, text.count("event: usage")) == (200, 1)


async def test_a_tenant_that_nobody_calls_is_dropped_and_opened_again(deployment_url: str) -> None:
    async with open_front(deployment_settings(deployment_url, tenant_idle_seconds=0.05)) as front:
        apps = front.container.tenant_apps()
        for _ in range(2):
            assert (await front.call("acme", "GET", "/api/features")).status == 200

            async def dropped() -> bool:
                await apps.look()
                return not apps.held

            await until(dropped)


async def test_connections_do_not_grow_with_tenants_and_one_leaves_some_to_the_others(deployment_url: str) -> None:
    """Twenty transactions at once of one tenant, each with one inside, hold half of the pool; the other tenant is answered."""
    async with open_front(deployment_settings(deployment_url, db_pool_size=4)) as front:
        pool = front.container.database()
        acme = SchemaDatabase(pool, "tenant_acme", share=1)
        await acme.open()
        end = asyncio.Event()

        async def hold() -> None:
            async with acme.transaction() as session:
                await acme.rows(session, "select 1 from faregate.version limit 1")
                async with acme.transaction() as inner:
                    await acme.rows(inner, "select 1 from faregate.version limit 1")
                    await end.wait()

        holders = [asyncio.create_task(hold()) for _ in range(20)]
        for tenant in ("beta", "acme"):
            assert (await front.call(tenant, "GET", "/api/features")).status == 200
        connection = await pool.connect()
        count = await connection.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        await connection.close()
        end.set()
        await asyncio.gather(*holders)

    assert count <= 4


async def test_creating_is_safe_to_repeat_and_nothing_is_taken_twice(front: Front) -> None:
    service = front.service
    first = await service.create("gamma", hosts=["Gamma.example.com"], overrides={"margin_percent": "5"})
    again = await service.create("gamma", hosts=["gamma.example.com"])

    assert (first.state, first.hosts, again) == (TenantState.ACTIVE, ("gamma.example.com",), first)
    attempts: tuple[dict[str, Any], ...] = (
        {"key": "delta", "hosts": [HOSTS["beta"]]},
        {"key": "delta", "schema": "tenant_beta"},
        {"key": "acme", "schema": "x1"},
        {"key": "delta", "schema": "faregate"},
    )
    for wrong in attempts:
        with pytest.raises(TenantExistsError):
            await service.create(**wrong)
    with pytest.raises(InvalidError, match="is also that of tenant 'beta'"):
        await service.create("delta", overrides={"server_api_key": KEYS["beta"]})
    with pytest.raises(UnknownTenantError):
        await service.get("delta")


async def test_only_a_suspended_tenant_is_deleted_and_nothing_of_it_stays(front: Front) -> None:
    with pytest.raises(KeyConflictError, match="suspend it first"):
        await front.service.delete("acme")
    await front.service.suspend("acme")
    await front.service.delete("acme")
    connection = await front.container.database().connect()
    left = await connection.fetch(
        "select schema_name from information_schema.schemata where schema_name like 'tenant%'"
    )
    await connection.close()

    assert [row[0] for row in left] == ["tenant_beta"]
    assert [tenant.key for tenant in await front.service.list()] == ["beta"]


async def test_settings_of_tenants_are_encrypted_where_there_are_keys(front: Front) -> None:
    database = front.container.database()
    registry = TenantRegistry(database, KeyRing([RingKey("k1", b"0" * 32)]))
    async with database.transaction() as session:
        tenant = await registry.get(session, "acme")
        await registry.change(session, tenant, overrides={"jwt_secret": "s" * 40})
        (row,) = await database.rows(session, "select overrides from faregate.tenant where key = 'acme'")
        assert row.overrides.startswith("sealed:k1:")
        assert (await registry.get(session, "acme")).overrides == {"jwt_secret": "s" * 40}


async def test_the_commands_work_on_one_tenant_and_an_export_is_restored_elsewhere(
    deployment_url: str, server_url: str, tmp_path: Path
) -> None:
    here = {"FAREGATE_DATABASE_URL": deployment_url, "FAREGATE_SERVER_API_KEY": ""}
    granted = await run_command("grants", "add", "ada", "7", "--tenant", "acme", **here)
    listed = [await run_command("wallets", "list", "-o", "json", "--tenant", key, **here) for key in ("acme", "beta")]
    made = await run_command("tenants", "create", "acme", "-o", "json", **here)
    unknown = await run_command("wallets", "list", "--tenant", "nobody", **here)
    exported = await run_command("tenants", "export", "acme", str(tmp_path / "acme.dump"), **here)
    unconfirmed = await run_command("tenants", "delete", "acme", "--confirm", "beta", **here)
    audited = await run_command("audit", "-o", "json", "--action", "tenants.*", **here)

    assert granted.code == 0, granted.err
    assert [len(exact_json.loads(shown.out)) for shown in listed] == [1, 0]
    key = exact_json.loads(made.out)["api_key"]
    assert key.startswith("fg_live_")
    assert unknown.code == 1
    assert "There is no tenant 'nobody'" in unknown.err
    assert exported.code == 0, exported.err
    assert "--confirm must repeat the key" in unconfirmed.err
    assert {entry["action"] for entry in exact_json.loads(audited.out)} == {"tenants.create", "tenants.export"}

    name = f"{deployment_url.partition('?')[0].rpartition('/')[2]}_alone"
    await execute(server_url, f"create database {name}")
    there = {"FAREGATE_DATABASE_URL": address(server_url, name), "FAREGATE_DB_SCHEMA": "tenant_acme"}
    restored = await run_command("restore", str(tmp_path / "acme.dump"), **there)
    shown = await run_command("wallets", "list", "-o", "json", **there)
    connection = await asyncpg.connect(there["FAREGATE_DATABASE_URL"])
    schemas = await connection.fetchval("select count(*) from pg_namespace where nspname like 'tenant%'")
    await connection.close()
    await execute(server_url, f"drop database {name} with (force)")

    assert (restored.code, len(exact_json.loads(shown.out)), schemas) == (0, 1, 1), restored.err
