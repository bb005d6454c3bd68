"""Subjects are created once per owner, also concurrently; caches are invalidated by version."""

import asyncio

import pytest
from pytest_mock import MockerFixture
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.db.versioned_cache import VersionedCache, raise_version
from faregate.core.monitoring.heartbeats import Heartbeats


async def test_the_same_owner_is_always_the_same_subject(database: Database, subjects: Subjects) -> None:
    async with database.transaction() as session:
        first = await subjects.ensure(session, ["ada", "org:acme"])
    async with database.transaction() as session:
        second = await subjects.ensure(session, ["org:acme", "ada", "bela"])
        named = await subjects.named(session, [second["bela"].subject_id])

    assert {key: second[key].subject_id for key in first} == {key: first[key].subject_id for key in first}
    assert [subject.external_id for subject in named.values()] == ["bela"]


async def test_concurrent_first_uses_agree_and_do_not_deadlock(database: Database) -> None:
    names = [f"user-{n}" for n in range(20)]

    async def see(order: list[str]) -> dict[str, int]:
        async with database.transaction() as session:
            found = await Subjects(database).ensure(session, order)
            return {name: found[name].subject_id for name in names}

    seen = await asyncio.gather(*(see(names if n % 2 else names[::-1]) for n in range(10)))

    assert all(ids == seen[0] for ids in seen)
    assert len(set(seen[0].values())) == 20


async def test_an_email_address_is_stored(database: Database, subjects: Subjects) -> None:
    async with database.transaction() as session:
        subject = (await subjects.ensure(session, ["ada"]))["ada"]
        await subjects.remember_email(session, subject.subject_id, "ada@example.com")
        await subjects.remember_email(session, subject.subject_id, "ada@example.com")
        found = await subjects.find(session, ["ada"])

    assert found["ada"].email == "ada@example.com"


async def test_a_cache_is_reloaded_when_another_process_raises_its_version(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.core.db.versioned_cache._CHECK_SECONDS", 0.05)
    loads = 0

    async def load(_session: AsyncSession) -> int:
        nonlocal loads
        loads += 1
        return loads

    cache: VersionedCache[int] = VersionedCache(database, "things", load)
    first = [await cache.get() for _ in range(3)]
    await asyncio.sleep(0.06)
    unchanged = await cache.get()
    async with database.transaction() as session:
        await raise_version(database, session, "things")
    await asyncio.sleep(0.06)

    assert (first, unchanged, await cache.get()) == ([1, 1, 1], 1, 2)


async def test_a_cache_that_is_asked_often_is_checked_in_the_background(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.core.db.versioned_cache._CHECK_SECONDS", 60)
    monkeypatch.setattr("faregate.core.db.versioned_cache._AHEAD", 1)
    values = iter(range(1, 10))

    async def load(_session: AsyncSession) -> int:
        return next(values)

    cache: VersionedCache[int] = VersionedCache(database, "things", load)
    first = await cache.get()
    async with database.transaction() as session:
        await raise_version(database, session, "things")

    assert (first, await cache.get()) == (1, 1)  # not waited for
    async with asyncio.timeout(10):
        while await cache.get() == 1:
            await asyncio.sleep(0.005)
    assert await cache.get() == 2


async def test_a_check_under_way_does_not_bring_back_what_this_process_has_changed(database: Database) -> None:
    content, reading, go_on = "old", asyncio.Event(), asyncio.Event()

    async def load(_session: AsyncSession) -> str:
        read = content
        reading.set()
        await go_on.wait()
        return read

    cache: VersionedCache[str] = VersionedCache(database, "things", load)
    waiting = asyncio.create_task(cache.get())
    await reading.wait()
    content = "new"
    cache.forget()
    go_on.set()

    assert (await waiting, await cache.get()) == ("new", "new")


async def test_concurrent_readers_load_a_cache_once(database: Database) -> None:
    loads = 0

    async def load(_session: AsyncSession) -> int:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)
        return loads

    cache: VersionedCache[int] = VersionedCache(database, "things", load)

    assert await asyncio.gather(*(cache.get() for _ in range(20))) == [1] * 20


async def test_the_slowest_worker_determines_the_progress_of_settlement(database: Database) -> None:
    from datetime import UTC, datetime

    heartbeats = Heartbeats(database)
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    async with database.transaction() as session:
        nobody = await heartbeats.settled_until(session)
    await heartbeats.report("a", "worker", settled_until=late)
    await heartbeats.report("b", "worker", settled_until=early)
    await heartbeats.report("c", "gateway")
    async with database.transaction() as session:
        both = await heartbeats.settled_until(session)
    await heartbeats.forget("b")
    async with database.transaction() as session:
        one = await heartbeats.settled_until(session)

    assert (nobody, both, one) == (None, early, late)


async def test_append_only_rows_refer_to_a_person_by_number(database: Database, subjects: Subjects) -> None:
    async with database.transaction() as session:
        ada = (await subjects.ensure(session, ["ada"]))["ada"].subject_id
        actors = ["user:ada", "ada", "user:new", "key:7", "bootstrap", "cli:ada"]
        written = {actor: await subjects.append_only_actor(session, actor) for actor in actors}
        new = (await subjects.find(session, ["new"]))["new"].subject_id

    assert written == {
        "user:ada": f"subject:{ada}",
        "ada": f"subject:{ada}",
        "user:new": f"subject:{new}",
        "key:7": "key:7",
        "bootstrap": "bootstrap",
        "cli:ada": "cli:ada",
    }


async def test_many_who_ask_for_the_newest_value_share_a_look_that_began_after_they_asked(
    database: Database, mocker: MockerFixture
) -> None:
    async def load(_session: AsyncSession) -> str:
        return "loaded"

    cache: VersionedCache[str] = VersionedCache(database, "things", load)
    looks = mocker.spy(VersionedCache, "_refresh")

    assert await asyncio.gather(*(cache.newest() for _ in range(30))) == ["loaded"] * 30
    assert looks.call_count <= 2
    await cache.newest()
    assert looks.call_count <= 3
