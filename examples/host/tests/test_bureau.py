"""The bureau sells translations for credits, and never one without the other."""

from decimal import Decimal

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import SQLModel

from bureau.models import Translation
from bureau.service import TranslationService
from faregate.client import InsufficientCreditsError, UnknownFeatureError
from faregate.host import Faregate

pytestmark = pytest.mark.usefixtures("http")


async def _free(fare: Faregate, user_id: str) -> Decimal:
    return (await fare.balance(user_id)).free


async def _order(http: httpx2.AsyncClient, user_id: str, title: str, **more: object) -> httpx2.Response:
    wish = {"title": title, "language": "de", "pages": 2, **more}
    return await http.post("/translations", headers={"x-user": user_id}, json=wish)


async def test_an_order_is_stored_and_charged_by_the_bureaus_own_strategy(
    fare: Faregate, http: httpx2.AsyncClient
) -> None:
    await fare.grant("ada", 10, key="order-1")
    plain = await _order(http, "ada", "Faust")
    rare = await _order(http, "ada", "Kalevala", language="se", pages=1)

    assert (plain.status_code, plain.json()["credits"]) == (201, 2.5)
    assert rare.json()["credits"] == 3.75
    assert await _free(fare, "ada") == Decimal("3.75")
    orders = await http.get("/translations", headers={"x-user": "ada"})
    assert [order["title"] for order in orders.json()] == ["Faust", "Kalevala"]


async def test_an_order_that_fails_after_its_charge_leaves_nothing_of_it(
    fare: Faregate, engine: AsyncEngine, http: httpx2.AsyncClient
) -> None:
    """The title is taken: the bureau's own constraint refuses the row, and the charge goes with it."""
    await fare.grant("bela", 10, key="order-1")
    await _order(http, "bela", "Faust")
    before = await _facts(engine)
    twice = await _order(http, "bela", "Faust")

    assert twice.status_code == 409
    assert await _free(fare, "bela") == Decimal("7.5")
    assert await _facts(engine) == before


async def test_a_user_without_credits_gets_no_translation(fare: Faregate, http: httpx2.AsyncClient) -> None:
    await fare.grant("cleo", 1, key="order-1")
    refused = await _order(http, "cleo", "Faust")

    assert (refused.status_code, refused.json()["required"]) == (402, 2.5)
    assert (await http.get("/translations", headers={"x-user": "cleo"})).json() == []


async def test_a_refusal_in_a_savepoint_leaves_the_bureaus_transaction_whole(
    fare: Faregate, engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session, session.begin():
        session.add(Translation(user_id="eve", title="A note", language="de", pages=0))
        await session.flush()
        with pytest.raises(InsufficientCreditsError):
            async with session.begin_nested():
                await fare.charge("translate", "eve", metadata={"pages": 3}, session=session)

    assert [order.title for order in await TranslationService(engine, fare).orders("eve")] == ["A note"]


async def test_a_double_click_charges_once(fare: Faregate, engine: AsyncEngine) -> None:
    await fare.grant("fay", 10, key="order-1")
    for _ in range(2):
        async with AsyncSession(engine) as session, session.begin():
            await fare.charge("translate", "fay", key="click-1", metadata={"pages": 2}, session=session)

    assert await _free(fare, "fay") == Decimal("7.5")


async def test_the_tables_do_not_mix(engine: AsyncEngine) -> None:
    assert set(SQLModel.metadata.tables) == {"translation"}
    async with engine.connect() as connection:
        histories = await connection.execute(
            text("select table_schema from information_schema.tables where table_name = 'alembic_version' order by 1")
        )
        assert histories.scalars().all() == ["faregate", "public"]


async def test_the_librarys_own_features_stay(fare: Faregate) -> None:
    await fare.grant("dora", 10, key="order-1")
    used = await fare.charge("GENERATE_QUESTION_PAPER", "dora")

    assert used.credits_charged == 5
    with pytest.raises(UnknownFeatureError):
        await fare.charge("nothing", "dora")


async def test_the_ledger_proves_itself(fare: Faregate) -> None:
    report = await fare.container.verifier().verify()

    assert report.drifts == ()


async def _facts(engine: AsyncEngine) -> list[int]:
    tables = ("faregate.charge", "faregate.transfer", "faregate.usage_line", "faregate.message", "translation")
    async with engine.connect() as connection:
        return [(await connection.execute(text(f"select count(*) from {table}"))).scalar_one() for table in tables]
