"""Deletion of a tenant with what it has outside its tables: objects in S3, views and roles for BI tools, folders, queues."""

import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from faregate.wire import exact_json
from support.processes import Finished, run_command
from support.s3 import S3Server, s3_server
from support.servers import execute
from support.tenancy import TENANTS, deployment_settings, open_tenants

BUCKET = "deleted-lake"
PLACE = f"s3://{BUCKET}/all"
NOON = datetime.combine(datetime.now(UTC) - timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)
ROLES = {name: f"{name}_reader_{os.getpid()}" for name in ("acme", "beta", "both", "member")}


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.client.create_bucket(Bucket=BUCKET)
        yield server
        for name in server.objects(BUCKET):
            server.client.delete_object(Bucket=BUCKET, Key=name)
        server.client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
async def roles(deployment_url: str) -> AsyncIterator[None]:
    """Drops the roles that are left at the end."""
    yield
    for role in await roles_of(deployment_url):
        await execute(deployment_url, f"drop owned by {role}")
        await execute(deployment_url, f"drop role {role}")


async def roles_of(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select rolname from pg_roles where rolname = any($1::text[])", list(ROLES.values())
        )
    finally:
        await connection.close()
    return {str(row["rolname"]) for row in rows}


@pytest.fixture
async def exported(deployment_url: str, s3: S3Server, roles: None) -> dict[str, bytes]:
    """Objects of both tenants, and of one whose key begins as acme's, and roles: of each, one of both, one with a group."""
    settings = deployment_settings(deployment_url, export_to=PLACE, **s3.settings)
    async with open_tenants(settings) as tenants:
        for key in TENANTS:
            fact = {"id": "e1", "source": "app", "user_id": "ada", "meter": "storage", "quantity": 1, "time": NOON}
            await tenants[key].recorder().record([fact])
            await tenants[key].day_export().run(until=datetime.now(UTC).date())
            await tenants[key].bi().create()
            await tenants[key].bi().grant_role(ROLES[key], password="a long password")
        await tenants["acme"].bi().grant_role(ROLES["member"], password="a long password")
        for key in ("beta", "acme"):
            await tenants[key].bi().grant_role(ROLES["both"], password="a long password")
    await execute(deployment_url, f"grant {ROLES['beta']} to {ROLES['member']}")
    s3.client.put_object(Bucket=BUCKET, Key="all/tenants/acme-two/x", Body=b"x")
    return s3.objects(BUCKET)


async def delete(url: str, s3: S3Server, *more: str, **environment: str) -> Finished:
    here = {"FAREGATE_DATABASE_URL": url, "FAREGATE_EXPORT_TO": PLACE, **s3.environment, **environment}
    return await run_command("tenants", "delete", "acme", "--confirm", "acme", *more, **here)


async def suspend(url: str) -> None:
    await run_command("tenants", "suspend", "acme", FAREGATE_DATABASE_URL=url)


async def state(url: str) -> Any:
    """Return the state of acme, and whether its tables exist; None if it is forgotten."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchval("select state from faregate.tenant where key = 'acme'")
        tables = await connection.fetchval("select count(*) from pg_tables where schemaname = 'tenant_acme'")
    finally:
        await connection.close()
    return found, tables > 0


async def test_objects_and_roles_go_and_those_of_others_stay(
    deployment_url: str, s3: S3Server, exported: dict[str, bytes]
) -> None:
    await suspend(deployment_url)
    deleted = await delete(deployment_url, s3, "-o", "json")
    again = await delete(deployment_url, s3)
    facts = exact_json.loads(deleted.out.encode())
    left = {name: content for name, content in s3.objects(BUCKET).items() if not name.endswith("/")}

    assert deleted.code == 0, deleted.err
    assert left == {name: content for name, content in exported.items() if not name.startswith("all/tenants/acme/")}
    assert len(left) < len(exported)
    assert await roles_of(deployment_url) == {ROLES["beta"], ROLES["both"], ROLES["member"]}
    assert facts["objects"] == f"{PLACE}/tenants/acme"
    assert facts["roles"] == [ROLES["acme"]]
    assert set(facts["roles_kept"]) == {ROLES["both"], ROLES["member"]}
    assert (again.code, "There is no tenant 'acme'" in again.err) == (1, True)


async def test_while_the_bucket_cannot_be_reached_nothing_is_deleted(
    deployment_url: str, s3: S3Server, exported: dict[str, bytes]
) -> None:
    await suspend(deployment_url)
    refused = await delete(deployment_url, s3, FAREGATE_EXPORT_S3_ENDPOINT="http://127.0.0.1:1")

    assert refused.code == 2
    assert f"FAREGATE_EXPORT_TO: {PLACE}/tenants/acme cannot be used" in refused.err
    assert await state(deployment_url) == ("suspended", True)
    assert s3.objects(BUCKET) == exported
    assert await roles_of(deployment_url) == set(ROLES.values())


async def test_a_deletion_that_the_store_refuses_is_repeated_until_nothing_is_left(
    deployment_url: str, s3: S3Server, exported: dict[str, bytes]
) -> None:
    """The tenant is not forgotten before its objects are gone."""
    await suspend(deployment_url)
    s3.refused = "delete"
    refused = await delete(deployment_url, s3)
    between = await state(deployment_url), s3.objects(BUCKET)
    s3.refused = None
    repeated = await delete(deployment_url, s3)

    assert refused.code == 2, refused.err
    assert between == (("deleting", False), exported)
    assert repeated.code == 0, repeated.err
    assert await state(deployment_url) == (None, False)
    assert not [name for name in s3.objects(BUCKET) if name.startswith("all/tenants/acme/")]


async def test_files_and_objects_are_kept_if_the_operator_says_so(
    deployment_url: str, s3: S3Server, exported: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "tenants" / "acme"
    folder.mkdir(parents=True)
    await suspend(deployment_url)
    kept = await delete(deployment_url, s3, "--keep-files", FAREGATE_LOG_ARCHIVE_DIR=str(tmp_path))

    assert kept.code == 0, kept.err
    assert (s3.objects(BUCKET), folder.is_dir()) == (exported, True)
    assert ROLES["acme"] not in await roles_of(deployment_url)
