"""Automatic top-ups: one order at a time, paid once even if a step fails."""

import asyncio
from uuid import UUID

import pytest

from faregate.core.db.database import Database
from faregate.core.errors import EngineUnavailableError
from faregate.credit.errors import PaymentDeclinedError
from faregate.credit.interfaces import Payment, PaymentOrder
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest
from faregate.credit.ledger.states import WalletState, WalletStatus
from faregate.wire.credits import to_credits
from support.ledger import Credit, make_credit, micros


class CountingProvider:
    """A provider that counts the orders it was paid for, each once; it raises the `refusals` first."""

    def __init__(self, *refusals: Exception) -> None:
        self.paid: set[UUID] = set()
        self.asked = 0
        self._refusals = list(refusals)

    async def pay(self, order: PaymentOrder) -> Payment:
        self.asked += 1
        if self._refusals:
            raise self._refusals.pop(0)
        self.paid.add(order.order_id)
        return Payment(f"payment-{order.order_id}")


async def prepared(database: Database, provider: CountingProvider) -> tuple[Credit, int]:
    """A wallet of 100 that orders 100 more when fewer than 50 are left."""
    credit = make_credit(database, provider=provider)

    def rule(wallet: WalletState) -> None:
        wallet.top_up_below, wallet.top_up_amount = micros(50), micros(100)

    await database.run(
        lambda session: credit.service.grant(session, "ada", GrantSpec(micros(100), GrantSource.PURCHASE))
    )
    await database.run(lambda session: credit.service.change_wallet(session, "ada", rule))
    owner = (await database.run(lambda session: credit.service.find_owners(session, ["ada"])))["ada"]
    return credit, owner.subject_id


async def use(database: Database, credit: Credit, wallet_id: int, key: str, amount: int) -> None:
    opening = ChargeOpening(wallet_id, wallet_id, None, "f", "individual")
    request = PostingRequest(key, micros(amount), micros(amount), key.encode(), opening=opening)
    await database.run(lambda session: credit.service.post(session, [request]))


async def set_status(database: Database, credit: Credit, status: WalletStatus) -> None:
    def change(wallet: WalletState) -> None:
        wallet.status = status

    await database.run(lambda session: credit.service.change_wallet(session, "ada", change))


async def orders(database: Database) -> list[UUID]:
    async with database.transaction(read_only=True) as session:
        return [row.order_id for row in await database.rows(session, "select order_id from faregate.top_up")]


async def balance(database: Database, credit: Credit) -> object:
    return (await database.run(lambda session: credit.service.wallet(session, "ada"))).balance


async def test_five_concurrent_uses_order_one_top_up(database: Database) -> None:
    """Balance 100, threshold 50, top-up 100, five concurrent uses of 20."""
    provider = CountingProvider()
    credit, wallet_id = await prepared(database, provider)
    await asyncio.gather(*(use(database, credit, wallet_id, f"use-{n}", 20) for n in range(5)))
    placed = await orders(database)
    await asyncio.gather(*(credit.top_ups.fulfil(order) for order in placed * 4))

    assert (len(placed), provider.paid) == (1, set(placed))
    assert await balance(database, credit) == 100


async def test_order_without_an_answer_is_paid_again_and_granted_once(database: Database) -> None:
    provider = CountingProvider(EngineUnavailableError("the provider is away"))
    credit, wallet_id = await prepared(database, provider)
    await use(database, credit, wallet_id, "use", 60)
    (order,) = await orders(database)
    with pytest.raises(EngineUnavailableError):
        await credit.top_ups.fulfil(order)
    for _ in range(3):
        await credit.top_ups.fulfil(order)

    assert (provider.asked, await balance(database, credit)) == (2, 140)


async def test_declined_order_is_closed_and_the_next_waits_an_hour(database: Database) -> None:
    provider = CountingProvider(PaymentDeclinedError("card expired"))
    credit, wallet_id = await prepared(database, provider)
    await use(database, credit, wallet_id, "use-1", 60)
    (order,) = await orders(database)
    await credit.top_ups.fulfil(order)
    await use(database, credit, wallet_id, "use-2", 10)

    assert (await orders(database), await balance(database, credit)) == ([order], to_credits(micros(30)))


async def test_only_an_active_wallet_orders_but_an_open_order_is_still_paid(database: Database) -> None:
    provider = CountingProvider()
    credit, wallet_id = await prepared(database, provider)
    await use(database, credit, wallet_id, "use-1", 60)
    for status in (WalletStatus.FROZEN, WalletStatus.CLOSED):
        await set_status(database, credit, status)
        for order in await orders(database):
            await credit.top_ups.fulfil(order)
        await use(database, credit, wallet_id, f"use-{status}", 50)

    assert (len(await orders(database)), len(provider.paid), await balance(database, credit)) == (1, 1, 40)


async def test_next_order_is_placed_after_payment(database: Database) -> None:
    provider = CountingProvider()
    credit, wallet_id = await prepared(database, provider)
    for number in range(3):
        await use(database, credit, wallet_id, f"use-{number}", 100)
        for order in await orders(database):
            await credit.top_ups.fulfil(order)

    assert (len(provider.paid), await balance(database, credit)) == (3, 100)
