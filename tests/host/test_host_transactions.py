"""A host's own transaction: the charge shares its fate, and a session that cannot take it is refused before anything runs."""

import asyncio
import os
from collections.abc import AsyncGenerator

import pytest
from host.conftest import facade
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from faregate.client import InvalidError, UnknownFeatureError, UnknownUsageKeyError
from faregate.host import FakeFaregate, Faregate, SyncFaregate
from support.apps import running_worker, settings_for
from support.servers import address, execute


@pytest.fixture
async def engine(real: Faregate) -> AsyncGenerator[AsyncEngine]:
    """The host's own engine, on the same database."""
    made = create_async_engine(_url(real, "asyncpg"))
    yield made
    await made.dispose()


def _url(fare: Faregate, driver: str) -> str:
    return fare.container.database().url.replace("postgresql://", f"postgresql+{driver}://", 1)


async def test_a_rollback_removes_charge_grant_and_refund(real: Faregate, engine: AsyncEngine) -> None:
    await real.charge("image", "ada", key="before")
    async with AsyncSession(engine) as session:
        await real.grant("ada", 5, key="order-1", session=session)
        await real.charge("image", "ada", key="K", session=session)
        await real.refund("before", reason="test", session=session)
        await session.rollback()

    assert (await real.balance("ada")).balance == 17
    with pytest.raises(UnknownUsageKeyError):
        await real.usage.story("K")


async def test_a_commit_keeps_them_beside_the_hosts_rows(real: Faregate, engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text("create table public.picture (id int)"))
        await real.charge("image", "ada", key="K", session=session)
        await real.charge("image", "bela", key="L", session=session)
        await session.execute(text("insert into public.picture values (1)"))

    async with AsyncSession(engine) as session:
        pictures = (await session.execute(text("select count(*) from public.picture"))).scalar_one()
    assert (pictures, (await real.balance("ada")).free) == (1, 17)


async def test_a_session_is_checked_once_in_each_transaction(real: Faregate, engine: AsyncEngine) -> None:
    """The isolation may differ from one transaction of a session to the next."""
    async with AsyncSession(engine) as session:
        await real.charge("image", "ada", session=session)
        await session.commit()
        await session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        with pytest.raises(InvalidError, match="SERIALIZABLE; a charge needs READ COMMITTED"):
            await real.charge("image", "ada", session=session)


@pytest.mark.parametrize("where", ["engine", "connection"])
async def test_a_session_in_autocommit_is_refused(real: Faregate, where: str) -> None:
    """It calls itself READ COMMITTED, but its rollback would keep the charge."""
    options = {"isolation_level": "AUTOCOMMIT"}
    other = create_async_engine(_url(real, "asyncpg"), **(options if where == "engine" else {}))
    async with AsyncSession(other) as session:
        if where == "connection":
            await session.connection(execution_options=options)
        with pytest.raises(InvalidError, match="AUTOCOMMIT, where a rollback would keep the charge"):
            await real.charge("image", "ada", key="K", session=session)
    await other.dispose()

    assert (await real.balance("ada")).status == "new"


async def test_a_session_of_another_database_is_refused(real: Faregate, server_url: str) -> None:
    other = create_async_engine(server_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with AsyncSession(other) as session:
        with pytest.raises(InvalidError, match=r"connected to another database \(postgres\)"):
            await real.charge("image", "ada", session=session)
    await other.dispose()


async def test_a_session_of_another_driver_is_refused(real: Faregate) -> None:
    other = create_async_engine(_url(real, "psycopg"))
    async with AsyncSession(other) as session:
        with pytest.raises(InvalidError, match=r"driver is postgresql\+psycopg; a charge needs asyncpg"):
            await real.charge("image", "ada", session=session)
    await other.dispose()


async def test_a_synchronous_session_is_refused_with_what_to_do_instead(fare: Faregate) -> None:
    with pytest.raises(InvalidError, match="charge_on_commit") as refused:
        await fare.charge("image", "ada", session=Session())
    with pytest.raises(InvalidError, match="not a dict"):
        await fare.grant("ada", 5, key="k", session={})

    assert refused.value.param == "session"


@pytest.mark.parametrize("isolation", ["SERIALIZABLE", "AUTOCOMMIT"])
async def test_in_memory_a_session_is_refused_as_on_postgresql(
    fake: FakeFaregate, engine: AsyncEngine, isolation: str
) -> None:
    async with AsyncSession(engine.execution_options(isolation_level=isolation)) as session:
        with pytest.raises(InvalidError, match=isolation):
            await fake.charge("image", "ada", session=session)


async def test_in_memory_a_rollback_removes_the_charge_as_well(fake: FakeFaregate, engine: AsyncEngine) -> None:
    await fake.charge("image", "ada")
    async with AsyncSession(engine) as session:
        await session.execute(text("select 1"))
        await fake.charge("image", "ada", session=session)
        await fake.charge("image", "ada", session=session)
        await session.rollback()
        await fake.charge("image", "ada", key="kept", session=session)
        await session.commit()
        await session.execute(text("select 1"))
        await session.rollback()

    assert (await fake.balance("ada")).free == 14


async def test_a_charge_on_commit_follows_any_drivers_transaction(real: Faregate, database_url: str) -> None:
    """By SQLAlchemy's session and by a plain cursor: what is rolled back is never charged, the rest once."""
    import psycopg

    sync = SyncFaregate(database_url)
    sync.features.define("page", strategy="fixed", parameters={"credits": 2})
    sync.grant("ada", 20, key="order-1")
    engine = create_engine(_url(real, "psycopg"))
    with Session(engine) as session:
        sync.charge_on_commit(session, "page", "ada", key="lost")
        session.rollback()
        sync.charge_on_commit(session, "page", "ada", key="kept")
        session.commit()
    with psycopg.connect(database_url) as connection:
        sync.charge_on_commit(connection.cursor(), "page", "ada", key="cursor")
        with pytest.raises(InvalidError, match="user_id"):
            sync.charge_on_commit(connection.cursor(), "page", "no spaces please")
        with pytest.raises(UnknownFeatureError, match="Did you mean 'page'"):
            sync.charge_on_commit(connection.cursor(), "pagge", "ada")
    with psycopg.connect(database_url, autocommit=True) as connection, pytest.raises(InvalidError, match="autocommit"):
        sync.charge_on_commit(connection.cursor(), "page", "ada")
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with Session(autocommit) as session, pytest.raises(InvalidError, match="autocommit"):
        sync.charge_on_commit(session, "page", "ada")
    with pytest.raises(InvalidError, match="neither"):
        sync.charge_on_commit(object(), "page", "ada")  # type: ignore[arg-type]
    engine.dispose()
    sync.close()

    async with running_worker(settings_for(database_url)):
        await _settled(real, "kept", "cursor")
    assert (await real.balance("ada")).free == 16
    with pytest.raises(UnknownUsageKeyError):
        await real.usage.story("lost")


async def _settled(fare: Faregate, *keys: str) -> None:
    async with asyncio.timeout(20):
        while {use.usage_key for use in await fare.usage.list(user="ada")} != set(keys):
            await asyncio.sleep(0.05)


async def test_two_facades_on_one_database_share_everything(real: Faregate, database_url: str) -> None:
    async with facade(database_url) as other:
        await other.charge("image", "ada", key="K")
        assert (await real.charge("image", "ada", key="K")).usage_key == "K"

    assert (await real.balance("ada")).free == 17


async def test_a_charge_on_commit_in_another_database_is_refused(
    real: Faregate, database_url: str, server_url: str
) -> None:
    """A copy of the deployment has the same schema; its worker would settle there."""
    name = f"copy_{os.getpid()}"
    sync = SyncFaregate(database_url)
    sync.features.define("page", strategy="fixed", parameters={"credits": 2})
    sync.close()
    await real.aclose()
    await execute(server_url, f"create database {name} template {database_url.partition('?')[0].rpartition('/')[2]}")
    with SyncFaregate(database_url) as sync:
        other = create_engine(address(server_url, name).replace("postgresql://", "postgresql+psycopg://", 1))
        with Session(other) as session, pytest.raises(InvalidError, match="another database than Faregate"):
            sync.charge_on_commit(session, "page", "ada")
        other.dispose()
    await execute(server_url, f"drop database {name} with (force)")
