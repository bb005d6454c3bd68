"""The bureau sells translations for credits, and never one without the other."""

from decimal import Decimal

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from bureau.container import BureauContainer
from bureau.models import Translation
from faregate.credit import GrantSource, GrantSpec, InsufficientCreditsError
from faregate.usage import UnknownFeatureError


async def _grant(bureau: BureauContainer, user_id: str, credits: int) -> None:
    wallets = bureau.wallets()
    await wallets.grant(user_id, GrantSpec(credits * 1_000_000, GrantSource.PURCHASE))


async def _free(bureau: BureauContainer, user_id: str) -> Decimal:
    return await bureau.wallets().free(user_id)


async def _order(http: httpx2.AsyncClient, user_id: str, title: str, **more: object) -> httpx2.Response:
    wish = {"title": title, "language": "de", "pages": 2, **more}
    return await http.post("/translations", headers={"x-user": user_id}, json=wish)


async def test_an_order_is_stored_and_charged_by_the_bureaus_own_strategy(
    bureau: BureauContainer, http: httpx2.AsyncClient
) -> None:
    await _grant(bureau, "ada", 10)
    plain = await _order(http, "ada", "Faust")
    rare = await _order(http, "ada", "Kalevala", language="se", pages=1)

    assert (plain.status_code, plain.json()["credits"]) == (201, 2.5)
    assert rare.json()["credits"] == 3.75
    assert await _free(bureau, "ada") == Decimal("3.75")
    orders = await http.get("/translations", headers={"x-user": "ada"})
    assert [order["title"] for order in orders.json()] == ["Faust", "Kalevala"]


async def test_an_order_that_fails_after_its_charge_leaves_nothing_of_it(
    bureau: BureauContainer, http: httpx2.AsyncClient
) -> None:
    """The title is taken: the bureau's own constraint refuses the row, and the charge goes with it."""
    await _grant(bureau, "bela", 10)
    await _order(http, "bela", "Faust")
    before = await _facts(bureau)
    twice = await _order(http, "bela", "Faust")

    assert twice.status_code == 409
    assert await _free(bureau, "bela") == Decimal("7.5")
    assert await _facts(bureau) == before


async def test_a_user_without_credits_gets_no_translation(bureau: BureauContainer, http: httpx2.AsyncClient) -> None:
    await _grant(bureau, "cleo", 1)
    refused = await _order(http, "cleo", "Faust")

    assert (refused.status_code, refused.json()["required"]) == (402, 2.5)
    assert (await http.get("/translations", headers={"x-user": "cleo"})).json() == []


async def test_a_refusal_in_a_savepoint_leaves_the_bureaus_transaction_whole(bureau: BureauContainer) -> None:
    usage, note = bureau.usage_service(), Translation(user_id="eve", title="A note", language="de", pages=0)
    async with AsyncSession(bureau.engine()) as session, session.begin():
        session.add(note)
        await session.flush()
        with pytest.raises(InsufficientCreditsError):
            async with session.begin_nested():
                await usage.record_usage("translate", "eve", metadata={"pages": 3}, session=session)

    assert [order.title for order in await bureau.translations().orders("eve")] == ["A note"]


async def test_a_double_click_charges_once(bureau: BureauContainer) -> None:
    await _grant(bureau, "fay", 10)
    usage = bureau.usage_service()
    for _ in range(2):
        async with AsyncSession(bureau.engine()) as session, session.begin():
            await usage.record_usage("translate", "fay", usage_key="click-1", metadata={"pages": 2}, session=session)

    assert await _free(bureau, "fay") == Decimal("7.5")


async def test_the_tables_do_not_mix(bureau: BureauContainer) -> None:
    assert set(SQLModel.metadata.tables) == {"translation"}
    async with bureau.engine().connect() as connection:
        histories = await connection.execute(
            text("select table_schema from information_schema.tables where table_name = 'alembic_version' order by 1")
        )
        assert histories.scalars().all() == ["faregate", "public"]


async def test_the_librarys_own_features_stay(bureau: BureauContainer) -> None:
    usage = bureau.usage_service()
    await _grant(bureau, "dora", 10)
    used = await usage.record_usage("GENERATE_QUESTION_PAPER", "dora")

    assert used.credits_charged == 5
    with pytest.raises(UnknownFeatureError):
        await usage.record_usage("nothing", "dora")


async def test_the_ledger_proves_itself(bureau: BureauContainer) -> None:
    report = await bureau.verifier().verify()

    assert report.drifts == ()


async def _facts(bureau: BureauContainer) -> list[int]:
    tables = ("faregate.charge", "faregate.transfer", "faregate.usage_line", "faregate.message", "translation")
    async with bureau.engine().connect() as connection:
        return [(await connection.execute(text(f"select count(*) from {table}"))).scalar_one() for table in tables]
