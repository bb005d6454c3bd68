"""Files of two tenants below one folder and in one bucket: each has its own, and nobody opens the other's."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from faregate.core.clock import FixedClock
from faregate.core.db.partitions import Month
from faregate.core.settings import Settings
from faregate.feature_log.values import FeatureNames, LogEntry
from faregate.worker.container import WorkerContainer
from support.processes import Finished, run_command
from support.s3 import s3_server
from support.tenancy import TENANTS, deployment_settings, open_tenants, quiet, table_activity
from support.watched_folders import opened_below

NOW = datetime.now(UTC)
NOON = datetime.combine(NOW - timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)
LATER = FixedClock(NOW + timedelta(days=100))
"""All months are over."""
QUANTITIES = {"acme": 1, "beta": 2}
BILL = "Date,Model,In,Out,Total\n2026-11-01,no-such-model,1,1,0.5\n"
COLUMNS = ("time=Date", "model=Model", "input_tokens=In", "output_tokens=Out", "cost_usd=Total")


async def record(tenant: WorkerContainer, quantity: int, *, event: str = "e1") -> None:
    """Record a fact and a log; user, ids and times are the same at all tenants."""
    fact = {"id": event, "source": "app", "user_id": "ada", "meter": "storage", "quantity": quantity, "time": NOON}
    assert (await tenant.recorder().record([{**fact, "metadata": {"note": "of ada"}}])).rejected == ()
    method = "GET" if quantity == 1 else "POST"
    await tenant.logs().record([LogEntry("ada", FeatureNames(None, "chat"), method, 200, "success")])


async def recorded(url: str, folder: Path) -> Settings:
    """Return the settings of a deployment with archives below `folder`, whose tenants have a fact and a log each."""
    settings = deployment_settings(url, usage_archive_dir=folder, log_archive_dir=folder)
    async with open_tenants(settings) as tenants:
        for key in TENANTS:
            await record(tenants[key], QUANTITIES[key])
    return settings


async def quantities(tenant: WorkerContainer) -> list[int]:
    database = tenant.database()
    async with database.transaction(read_only=True) as session:
        return [int(row.quantity) for row in await database.rows(session, "select quantity from faregate.usage_event")]


async def methods(tenant: WorkerContainer) -> list[str]:
    database = tenant.database()
    async with database.transaction(read_only=True) as session:
        return [row.method for row in await database.rows(session, "select method from faregate.feature_log")]


async def archive(tenant: WorkerContainer) -> None:
    await tenant.event_archive().archive(keep_days=40)
    await tenant.log_retention().archive(Month.of(NOW))


async def restore(tenant: WorkerContainer) -> None:
    for manifest in tenant.event_archive().manifests():
        await tenant.event_archive().restore(manifest.month)
    await tenant.log_retention().restore(Month.of(NOW))


async def export(tenant: WorkerContainer) -> None:
    await tenant.day_export().run(until=NOW.date())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def exported(content: bytes) -> list[int]:
    """Return the quantities in an exported file."""
    parquet: Any = import_module("pyarrow.parquet")
    return [int(row["quantity"]) for row in parquet.read_table(BytesIO(content)).to_pylist()]


async def test_what_is_archived_below_one_folder_is_restored_by_its_own_tenant_only(
    deployment_url: str, tmp_path: Path
) -> None:
    """Archives of facts and of logs: while one tenant writes, reads and restores, no file of the other is opened."""
    places = {tenant: tmp_path / "tenants" / tenant for tenant in TENANTS}
    settings = await recorded(deployment_url, tmp_path)
    async with open_tenants(settings, LATER) as tenants:
        await archive(tenants["beta"])
        before, acme, beta = files(places["beta"]), tenants["acme"], tenants["beta"]
        assert (await quantities(acme), await quantities(beta), await methods(beta)) == ([1], [], [])
        await archive(acme)
        with opened_below(places["beta"]) as theirs, opened_below(places["acme"]) as own:
            await restore(acme)
        assert own
        assert theirs == []
        assert files(places["beta"]) == before
        assert (await quantities(acme), await methods(acme)) == ([1], ["GET"])
        assert (await quantities(beta), await methods(beta)) == ([], [])
        with opened_below(places["acme"]) as theirs:
            await restore(beta)
        assert theirs == []
        assert (await quantities(beta), await methods(beta)) == ([2], ["POST"])
    assert {path.name for path in tmp_path.iterdir()} == {"tenants"}


async def test_an_erasure_opens_the_archives_of_its_own_tenant_only(deployment_url: str, tmp_path: Path) -> None:
    """The same user at both tenants is erased at acme: beta's archives are not opened, and still have them."""
    places = {tenant: tmp_path / "tenants" / tenant for tenant in TENANTS}
    settings = await recorded(deployment_url, tmp_path)
    async with open_tenants(settings, LATER) as tenants:
        for key in TENANTS:
            await archive(tenants[key])
        before, changed = files(places["beta"]), files(places["acme"])
        with opened_below(places["beta"]) as theirs:
            await tenants["acme"].privacy().erase("ada")
        people = {key: await _people(tenants[key]) for key in TENANTS}

    assert theirs == []
    assert files(places["beta"]) == before
    assert files(places["acme"]) != changed
    assert ("ada" in people["acme"], "ada" in people["beta"]) == (False, True)


async def _people(tenant: WorkerContainer) -> list[str]:
    database = tenant.database()
    async with database.transaction(read_only=True) as session:
        return [row.external_id for row in await database.rows(session, "select external_id from faregate.subject")]


async def test_exports_of_days_below_one_folder_are_each_tenants_own(deployment_url: str, tmp_path: Path) -> None:
    """The same days and views: while one exports, also again after a late fact, no file of the other is opened."""
    places = {tenant: tmp_path / "tenants" / tenant for tenant in TENANTS}
    async with open_tenants(deployment_settings(deployment_url, export_to=str(tmp_path))) as tenants:
        for key in TENANTS:
            await record(tenants[key], QUANTITIES[key])
        await export(tenants["beta"])
        before = files(places["beta"])
        await export(tenants["acme"])
        with opened_below(places["beta"]) as theirs, opened_below(places["acme"]) as own:
            await record(tenants["acme"], 1, event="late")
            await export(tenants["acme"])

    assert own
    assert theirs == []
    assert files(places["beta"]) == before
    assert _days(files(places["acme"])) == [1, 1]
    assert _days(before) == [2]
    assert {path.name for path in tmp_path.iterdir()} == {"tenants"}


async def test_exports_of_days_in_one_bucket_are_each_tenants_own(deployment_url: str) -> None:
    """No request to the store that one tenant's export makes names anything of the other."""
    with s3_server() as s3:
        s3.client.create_bucket(Bucket="tenants-lake")
        settings = deployment_settings(deployment_url, export_to="s3://tenants-lake/all", **s3.settings)
        async with open_tenants(settings) as tenants:
            for key in TENANTS:
                await record(tenants[key], QUANTITIES[key])
            await export(tenants["beta"])
            before = s3.objects("tenants-lake")
            s3.requests.clear()
            await export(tenants["acme"])
            await record(tenants["acme"], 1, event="late")
            await export(tenants["acme"])
            asked = list(s3.requests)
        after = s3.objects("tenants-lake")

    assert len(asked) > 5
    assert [request for request in asked if "/tenants-lake/all/tenants/acme/" not in request] == []
    assert {name: content for name, content in after.items() if "tenants/beta" in name} == before
    assert all(name.startswith("all/tenants/") for name in after)
    assert _days({name: content for name, content in after.items() if "tenants/acme" in name}) == [1, 1]
    assert _days(before) == [2]


def _days(found: Mapping[str, bytes]) -> list[int]:
    (content,) = [each for name, each in found.items() if "usage_events_" in name and name.endswith(".parquet")]
    return exported(content)


@pytest.fixture
def command(deployment_url: str, tmp_path: Path) -> Callable[..., Awaitable[Finished]]:
    """Run a command at a tenant, with one folder for exports of all."""
    here = {"FAREGATE_DATABASE_URL": deployment_url, "FAREGATE_EXPORT_DIR": str(tmp_path)}

    async def run(tenant: str, *arguments: str, fails: bool = False) -> Finished:
        done = await run_command(*arguments, "--tenant", tenant, **here)
        assert (done.code != 0) == fails, done.err
        return done

    return run


async def test_exports_reports_and_bills_of_one_command_line_hold_one_tenant(
    command: Callable[..., Awaitable[Finished]], deployment_url: str, tmp_path: Path
) -> None:
    async with open_tenants(deployment_settings(deployment_url)) as tenants:
        for key in TENANTS:
            await record(tenants[key], QUANTITIES[key])
    bill = tmp_path / "bill.csv"
    bill.write_text(BILL)
    await command("beta", "usage", "export", "csv")
    await command("beta", "reports", "set", "day", "daily", "--to", "ops@beta.test")
    before = files(tmp_path / "tenants" / "beta")
    with opened_below(tmp_path / "tenants" / "beta") as theirs:
        await command("acme", "usage", "export", "csv")
        await command("acme", "bills", "import", "csv", str(bill), *COLUMNS, "--provider", "openai")
    listed = {key: (await command(key, "bills", "list", "-o", "json")).out for key in TENANTS}
    unknown = await command("acme", "reports", "preview", "day", "--save", str(tmp_path / "saved"), fails=True)
    await command("beta", "reports", "preview", "day", "--day", f"{NOON:%Y-%m-%d}", "--save", str(tmp_path / "saved"))
    rows = {key: list(files(tmp_path / "tenants" / key).values()) for key in TENANTS}
    saved = files(tmp_path / "saved")

    assert theirs == []
    assert files(tmp_path / "tenants" / "beta") == before
    assert {key: len(found) for key, found in rows.items()} == {"acme": 1, "beta": 1}
    assert rows["acme"] != rows["beta"]
    assert ("bill.csv" in listed["acme"], listed["beta"].strip()) == (True, "[]")
    assert "day" in unknown.err
    assert saved


async def test_a_backup_replaces_the_tables_of_its_own_tenant_only(
    command: Callable[..., Awaitable[Finished]], deployment_url: str, tmp_path: Path
) -> None:
    """Both are in one folder; acme's is refused for beta, also when acme is gone, and changes nothing there."""
    for tenant, credits in (("acme", "7"), ("beta", "5")):
        await command(tenant, "grants", "add", "ada", credits)
        await command(tenant, "backup", str(tmp_path / f"{tenant}.dump"))
        await command(tenant, "grants", "add", "ada", "1")
    await quiet(deployment_url)
    before = await table_activity(deployment_url, "tenant_beta")
    await command("acme", "restore", str(tmp_path / "acme.dump"), "--replace")
    await quiet(deployment_url)
    assert await table_activity(deployment_url, "tenant_beta") == before
    held = {key: (await command(key, "wallets", "list", "-o", "json")).out for key in TENANTS}
    await run_command("tenants", "suspend", "acme", FAREGATE_DATABASE_URL=deployment_url)
    await run_command("tenants", "delete", "acme", "--confirm", "acme", FAREGATE_DATABASE_URL=deployment_url)
    wrong = await command("beta", "restore", str(tmp_path / "acme.dump"), "--replace", fails=True)
    kept = (await command("beta", "wallets", "list", "-o", "json")).out

    assert '"balance": 7' in held["acme"].replace('":7', '": 7')
    assert '"balance": 6' in held["beta"].replace('":6', '": 6')
    assert kept == held["beta"]
    assert "tenant_acme" in wrong.err
    assert "tenant_beta" in wrong.err
