"""The columnar copy of two tenants in one process: each has its own files and its own answers."""

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.worker.container import WorkerContainer
from support.processes import run_command
from support.tenancy import TENANTS, deployment_settings, open_tenants, quiet, table_activity
from support.watched_folders import opened_below

NOW = datetime.now(UTC)
MIDNIGHT = datetime.combine(NOW, datetime.min.time(), UTC)
OF_ADA = Question(
    TimeRange(MIDNIGHT - timedelta(days=7), MIDNIGHT + timedelta(days=1)), Filters(service="chat", user_id="ada")
)
CREDITS = {"acme": Decimal(1), "beta": Decimal(5)}


async def fill(tenant: WorkerContainer, credits: Decimal) -> None:
    """Record ten facts, whose ids, users and times are the same at all tenants, and copy them."""
    events = [
        {"id": f"e{number}", "source": "app", "user_id": user, "service": "chat", "kind": "line", "credits": credits}
        for number, user in enumerate(["ada", "bob"] * 5)
    ]
    assert (await tenant.recorder().record(events)).rejected == ()
    await tenant.roller().run()
    assert await tenant.columnar_copier().run(at_once=True) == 10


async def credits(tenant: WorkerContainer) -> Decimal:
    """Return what the user ada has used, by the repository that reads the copy; it counts in millionths."""
    database, facts = tenant.database(), tenant.analytics.container.facts()
    async with database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        found = await facts.measures(session, OF_ADA)
    return sum((Decimal(each.credits) for each in found.values()), Decimal(0)) / 1_000_000


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_read(opened: list[str]) -> bool:
    return any(name.endswith(".parquet") for name in opened)


async def test_each_tenant_copies_to_and_answers_from_its_own_files(deployment_url: str, tmp_path: Path) -> None:
    """The same user at both: an answer opens files of its own tenant only, and reads tables of its own tenant only."""
    settings = deployment_settings(deployment_url, columnar_dir=tmp_path)
    async with open_tenants(settings) as tenants:
        for key in TENANTS:
            await fill(tenants[key], CREDITS[key])
    await quiet(deployment_url)
    for mine, theirs in (TENANTS, TENANTS[::-1]):
        before = await table_activity(deployment_url, f"tenant_{theirs}")
        async with open_tenants(settings) as tenants:
            with (
                opened_below(tmp_path / "tenants" / mine) as own,
                opened_below(tmp_path / "tenants" / theirs) as other,
            ):
                assert await credits(tenants[mine]) == 5 * CREDITS[mine]
                await tenants[mine].columnar_copier().run(at_once=True)
        await quiet(deployment_url)
        assert is_read(own)
        assert other == []
        assert await table_activity(deployment_url, f"tenant_{theirs}") == before
    assert {path.name for path in tmp_path.iterdir()} == {"tenants"}


async def test_files_of_another_tenant_in_ones_own_folder_are_not_read(deployment_url: str, tmp_path: Path) -> None:
    """Beta's files, copied into acme's folder by mistake, change no answer: the database names the files of each."""
    settings = deployment_settings(deployment_url, columnar_dir=tmp_path)
    async with open_tenants(settings) as tenants:
        for key in TENANTS:
            await fill(tenants[key], CREDITS[key])
        (own,) = (tmp_path / "tenants" / "acme").iterdir()
        for path in (tmp_path / "tenants" / "beta").rglob("*.parquet"):
            shutil.copy(path, own)
        assert await credits(tenants["acme"]) == 5 * CREDITS["acme"]


async def test_an_erasure_at_one_tenant_leaves_the_answers_and_files_of_the_other(
    deployment_url: str, tmp_path: Path
) -> None:
    async with open_tenants(deployment_settings(deployment_url, columnar_dir=tmp_path)) as tenants:
        for key in TENANTS:
            await fill(tenants[key], CREDITS[key])
        before = files(tmp_path / "tenants" / "beta")
        with opened_below(tmp_path / "tenants" / "beta") as theirs:
            await tenants["acme"].privacy().erase("ada")
            await tenants["acme"].columnar_copier().run(at_once=True)
            erased = await credits(tenants["acme"])
        with opened_below(tmp_path / "tenants" / "beta") as read:
            kept = await credits(tenants["beta"])

    assert theirs == []
    assert (erased, kept) == (Decimal(0), 5 * CREDITS["beta"])
    assert is_read(read)
    assert files(tmp_path / "tenants" / "beta") == before


async def test_a_deleted_tenants_files_go_and_the_other_still_answers_from_its_own(
    deployment_url: str, tmp_path: Path
) -> None:
    here = {"FAREGATE_DATABASE_URL": deployment_url, "FAREGATE_COLUMNAR_DIR": str(tmp_path)}
    async with open_tenants(deployment_settings(deployment_url, columnar_dir=tmp_path)) as tenants:
        for key in TENANTS:
            await fill(tenants[key], CREDITS[key])
        before = files(tmp_path / "tenants" / "beta")
        await run_command("tenants", "suspend", "acme", **here)
        with opened_below(tmp_path / "tenants" / "beta") as theirs:
            deleted = await run_command("tenants", "delete", "acme", "--confirm", "acme", **here)
        assert deleted.code == 0, deleted.err
        assert theirs == []
        assert {path.name for path in (tmp_path / "tenants").iterdir()} == {"beta"}
        assert files(tmp_path / "tenants" / "beta") == before
        with opened_below(tmp_path / "tenants" / "beta") as read:
            assert await credits(tenants["beta"]) == 5 * CREDITS["beta"]
        assert is_read(read)
