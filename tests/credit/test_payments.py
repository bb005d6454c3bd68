"""Payments on PostgreSQL: events in any order and at once, checkouts, automatic top-ups through Stripe's API."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from faregate.core.clock import FixedClock
from faregate.core.settings import Settings
from faregate.credit.errors import (
    NoPaymentMethodError,
    PaymentProviderError,
    PaymentsOffError,
    UnknownPackageError,
    UnknownPurchaseError,
)
from faregate.credit.ledger.accounts import GrantSource, TransferKind
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest
from faregate.credit.ledger.states import TransferNote
from faregate.credit.payments.repository import NewPurchase
from faregate.credit.payments.values import Purchase, PurchaseAddresses, Receipt
from faregate.host.container import FaregateContainer
from faregate.wire.credits import to_credits
from support.ledger import micros
from support.payments import POOL_PURCHASES, event_pool, pool_balance
from support.stripe_events import SECRET, StripeEvents, signed
from support.stripe_server import API_KEY, StripeServer, stripe_server

PACKAGES = {"small": {"credits": "10", "usd": "10.00"}, "large": {"credits": "120", "usd": "100.00", "name": "Large"}}
ADDRESSES = PurchaseAddresses("https://shop.example/paid/{purchase}", "https://shop.example/cart")


@pytest.fixture(scope="module")
def shared_stripe() -> Iterator[StripeServer]:
    with stripe_server() as stripe:
        yield stripe


@pytest.fixture
def stripe(shared_stripe: StripeServer) -> StripeServer:
    """The server with nothing in it."""
    shared_stripe.reset()
    return shared_stripe


@dataclass
class Shop:
    """One deployment and one customer."""

    container: FaregateContainer

    async def deliver(self, event: dict[str, Any]) -> Receipt:
        delivery = signed(event)
        return await self.container.stripe_inbox().receive(delivery.body, delivery.signature)

    async def agree(self, purchase_id: UUID, credits: int) -> None:
        """Store a purchase that costs 10.00 dollars."""
        database, credit = self.container.database(), self.container.credit

        async def work(session: Any) -> None:
            owner = (await self.container.credits().ensure_wallets(session, ["ada"]))["ada"]
            new = NewPurchase(purchase_id, owner.subject_id, None, micros(credits), 1000)
            await credit.purchases().add(session, new)

        await database.run(work)

    async def paid_purchase(self) -> tuple[Purchase, StripeEvents]:
        """Buy the small package."""
        made = await self.container.checkouts().open("ada", "small", ADDRESSES)
        events = StripeEvents(made.id)
        await self.deliver(events.intent_event())
        return made, events

    async def grant(self, credits: int) -> None:
        spec = GrantSpec(micros(credits), GrantSource.BONUS)
        await self.container.database().run(lambda session: self.container.credits().grant(session, "ada", spec))

    async def use(self, credits: int, key: str = "use") -> None:
        async def work(session: Any) -> None:
            wallet = (await self.container.credits().get_owner(session, "ada")).subject_id
            opening = ChargeOpening(wallet, wallet, None, "f", "individual")
            amount = micros(credits)
            await self.container.credits().post(
                session, [PostingRequest(key, amount, amount, key.encode(), opening=opening)]
            )

        await self.container.database().run(work)

    async def balance(self) -> Decimal:
        wallet = await self.container.database().run(lambda session: self.container.credits().wallet(session, "ada"))
        return wallet.balance

    async def purchase(self, purchase_id: UUID) -> Purchase:
        return (await self.container.payments().purchase(purchase_id))[0]

    async def kinds(self) -> list[str]:
        async with self.container.database().transaction(read_only=True) as session:
            sql = "select kind from faregate.transfer order by seq"
            return [TransferKind(row.kind).name for row in await self.container.database().rows(session, sql)]

    async def verified(self) -> bool:
        found = (await self.container.verifier().verify()).drifts
        assert found == ()
        return True

    async def orders(self) -> list[UUID]:
        async with self.container.database().transaction(read_only=True) as session:
            sql = "select order_id from faregate.top_up where status = 'requested' order by created_at"
            return [row.order_id for row in await self.container.database().rows(session, sql)]


def shop_settings(database_url: str, stripe: StripeServer, **settings: Any) -> Settings:
    return Settings(
        database_url=database_url,
        packages=PACKAGES,  # type: ignore[arg-type]
        stripe_api_key=SecretStr(API_KEY),
        stripe_webhook_secret=SecretStr(f"whsec_old_one, {SECRET}"),
        stripe_api_url=stripe.url,
        **settings,
    )


@pytest.fixture
async def shop(database_url: str, stripe: StripeServer) -> AsyncIterator[Shop]:
    container = FaregateContainer(settings=shop_settings(database_url, stripe, top_up_provider="stripe"))
    async with container.engines():
        yield Shop(container)


async def prepared(shop: Shop) -> list[dict[str, Any]]:
    """A customer with 5 free credits and a paid purchase of 10, who has used 12; return the events that follow."""
    numbers = [UUID(int=n + random.getrandbits(100) * 1000) for n in range(len(POOL_PURCHASES))]
    for number, credits in zip(numbers, POOL_PURCHASES.values(), strict=True):
        await shop.agree(number, credits)
    first, rest = event_pool(numbers)
    for event in (*first, *rest):  # ids are unique in the whole database
        event["id"] = f"{event['id']}_{numbers[0]}"
        for name in ("id", "payment_intent"):
            fields = event["data"]["object"]
            fields[name] = f"{fields[name]}_{numbers[0]}" if fields.get(name) else fields.get(name)
    await shop.grant(5)
    for event in first:
        await shop.deliver(event)
    await shop.use(12, f"use-{numbers[0]}")
    return rest


async def in_orders(shop: Shop, orders: int) -> tuple[int, int]:
    """Deliver the pool in random orders with duplicates; return the deliveries and how many of them were repeated."""
    receipts: list[Receipt] = []
    for number in range(orders):
        before = await shop.balance() if number else Decimal(0)
        rest = await prepared(shop)
        order = [event for event in rest for _ in range(random.choice((1, 1, 2, 3)))]
        random.shuffle(order)
        receipts += [await shop.deliver(event) for event in order]
        assert await shop.balance() == before + to_credits(pool_balance)
    assert await shop.verified()
    return len(receipts), receipts.count(Receipt.REPEATED)


async def test_events_in_any_order_leave_one_balance(shop: Shop) -> None:
    count, repeated = await in_orders(shop, 2)

    assert 0 < repeated < count


async def test_300_orders_of_events_leave_one_balance_in_the_database(shop: Shop) -> None:
    count, repeated = await in_orders(shop, 300)
    print(f"\n300 orders on PostgreSQL: {count} deliveries, {repeated} of them repeated; verify is clean")


async def test_events_that_arrive_at_once_are_applied_once_each(shop: Shop) -> None:
    rest = await prepared(shop)
    order = [event for event in rest for _ in range(3)]
    random.shuffle(order)
    receipts = await asyncio.gather(*(shop.deliver(event) for event in order))

    assert receipts.count(Receipt.REPEATED) == 2 * len(rest)
    assert await shop.balance() == to_credits(pool_balance)
    assert await shop.verified()


async def test_a_checkout_agrees_credits_and_price_and_its_payment_grants_them(
    shop: Shop, stripe: StripeServer
) -> None:
    checkouts = shop.container.checkouts()
    opened = await checkouts.open("ada", "small", ADDRESSES, key="cart-1")
    again = await checkouts.open("ada", "small", ADDRESSES, key="cart-1")
    (session,) = stripe.sessions.values()

    assert (opened.url, opened.status, opened.credits, opened.amount_usd) == (session["url"], "open", 10, 10)
    assert again == opened
    assert session["success_url"] == f"https://shop.example/paid/{opened.id}"
    assert session["metadata"] == {"faregate_purchase": str(opened.id)} == session["payment_intent_data"]["metadata"]
    assert await shop.balance() == 0

    stripe.pay(session["id"])
    receipts = [await shop.deliver(event) for event in stripe.events]
    paid = await shop.purchase(opened.id)

    assert receipts == [Receipt.APPLIED, Receipt.APPLIED]
    assert (paid.status, paid.granted, paid.url, await shop.balance()) == ("paid", 10, None, 10)
    assert paid.paid_at is not None


async def test_no_transaction_is_open_while_stripe_answers(shop: Shop, stripe: StripeServer) -> None:
    loop, busy = asyncio.get_running_loop(), list[int]()

    async def count_open() -> int:
        sql = """select count(*) as n from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null"""
        async with shop.container.database().transaction() as session:
            return int((await shop.container.database().rows(session, sql))[0].n)

    def look() -> None:
        busy.append(asyncio.run_coroutine_threadsafe(count_open(), loop).result(10))

    stripe.before_answer = look
    opened = await shop.container.checkouts().open("ada", "small", ADDRESSES, save=True)
    stripe.pay(next(iter(stripe.sessions)))
    for event in stripe.events:
        await shop.deliver(event)
    await shop.container.checkouts().set_automatic("ada", Decimal(5), "small")
    await shop.use(8)
    for order in await shop.orders():
        await shop.container.top_ups().fulfil(order)
    await shop.container.checkouts().refund(opened.id, amount_usd=None)

    assert busy == [0] * 3


async def test_refunds_are_cumulative_less_what_was_taken_before(shop: Shop, stripe: StripeServer) -> None:
    made, events = await shop.paid_purchase()
    for refunded, left in ((300, 7), (300, 7), (500, 5), (300, 5), (1000, 0)):
        await shop.deliver(events.charge_refunded(refunded))
        assert await shop.balance() == left
    found = await shop.purchase(made.id)

    assert (found.status, found.granted, found.taken, found.lost) == ("refunded", 10, 10, 0)
    assert await shop.kinds() == ["GRANT", "CHARGEBACK", "CHARGEBACK", "CHARGEBACK"]
    assert await shop.verified()


async def test_a_dispute_takes_the_credits_when_funds_go_and_returns_them_when_funds_come_back(shop: Shop) -> None:
    made, events = await shop.paid_purchase()
    await shop.use(6)
    steps = [
        (events.dispute("created", 1000), 4, "paid"),
        (events.dispute("funds_withdrawn", 1000, moved=(-1000,)), -6, "disputed"),
        (events.dispute("closed", 1000, status="won"), -6, "disputed"),
        (events.dispute("funds_reinstated", 1000, moved=(-1000, 400)), -2, "disputed"),
        (events.dispute("funds_reinstated", 1000, moved=(-1000, 1000)), 4, "paid"),
    ]
    for event, balance, status in steps:
        await shop.deliver(event)
        assert (await shop.balance(), (await shop.purchase(made.id)).status) == (balance, status)

    assert await shop.kinds() == ["GRANT", "CHARGE", "CHARGEBACK", "CHARGEBACK_DEBT", "REINSTATEMENT", "REINSTATEMENT"]
    assert await shop.verified()


async def test_a_debt_refuses_uses_and_is_paid_first_by_the_next_purchase(shop: Shop) -> None:
    _, events = await shop.paid_purchase()
    await shop.use(6)
    await shop.deliver(events.charge_refunded(1000))
    wallet = await shop.container.database().run(lambda session: shop.container.credits().wallet(session, "ada"))
    assert (wallet.balance, wallet.free, wallet.debt) == (-6, -6, 6)

    await shop.paid_purchase()
    after = await shop.container.database().run(lambda session: shop.container.credits().wallet(session, "ada"))

    assert (after.balance, after.debt, [grant.remaining for grant in after.grants]) == (4, 0, [4])
    assert await shop.verified()


async def test_the_monthly_close_shows_payments_reversals_and_what_was_earned(
    database_url: str, stripe: StripeServer
) -> None:
    """10.00 dollars for 10 credits, 6 used, disputed, 40 % reinstated: 4.00 dollars are paid, and the next purchase pays the debt."""
    clock = FixedClock(datetime(2026, 9, 22, tzinfo=UTC))  # the events are of the day before
    container = FaregateContainer(settings=shop_settings(database_url, stripe))
    container.credit.clock.override(clock)
    async with container.engines():
        shop = Shop(container)
        _, events = await shop.paid_purchase()
        await shop.use(6)
        await shop.deliver(events.dispute("funds_withdrawn", 1000, moved=(-1000,)))
        await shop.deliver(events.dispute("funds_reinstated", 1000, moved=(-1000, 400)))
        await shop.paid_purchase()
        balance = await shop.balance()
        clock.advance(days=20)
        close = await container.closes().run("2026-09")
        closed, value = close.statement, close.statement.value

        assert (balance, closed.closing, closed.charged_back, closed.shortfall) == (8, 8, 6, 0)
        assert (value.received, value.repaid, close.unvalued) == (Decimal(24), Decimal(10), 0)
        assert (value.revenue, value.forfeited, value.deferred_closing) == (
            Decimal("4.40"),
            Decimal("1.60"),
            Decimal(8),
        )
        assert await shop.verified()


async def test_with_the_policy_loss_the_balance_stays_at_zero(database_url: str, stripe: StripeServer) -> None:
    container = FaregateContainer(settings=shop_settings(database_url, stripe, payment_reversal="loss"))
    async with container.engines():
        shop = Shop(container)
        made, events = await shop.paid_purchase()
        await shop.use(6)
        await shop.deliver(events.dispute("funds_withdrawn", 1000))
        down = await shop.purchase(made.id)
        assert (await shop.balance(), down.taken, down.lost) == (0, 4, 6)

        await shop.deliver(events.dispute("funds_reinstated", 1000, moved=(-1000, 800)))
        up = await shop.purchase(made.id)

        assert (await shop.balance(), up.taken, up.lost) == (2, 2, 0)
        assert await shop.verified()


async def test_events_of_an_unknown_purchase_are_kept_until_it_is_known(shop: Shop) -> None:
    opened = await shop.container.checkouts().open("ada", "small", ADDRESSES)
    events, foreign = StripeEvents(opened.id), StripeEvents(UUID(int=7))
    bare = StripeEvents(None, name=events.number)
    bare_refund = bare.refund("created", "a", 400)
    assert await shop.deliver(bare_refund) is Receipt.WAITING
    assert await shop.deliver(foreign.charge_refunded(10)) is Receipt.WAITING
    waiting = await shop.container.payments().waiting_events()
    assert {event.payment_intent for event in waiting} == {events.intent, foreign.intent}

    paid = events.intent_event()
    paid["id"] += "_paid"
    assert await shop.deliver(paid) is Receipt.APPLIED

    assert await shop.balance() == 6
    assert len((await shop.container.payments().purchase(opened.id))[1]) == 2
    assert await shop.deliver(events.event("invoice.paid", {"id": "in_1"})) is Receipt.IGNORED
    with pytest.raises(UnknownPurchaseError):
        await shop.container.payments().purchase(UUID(int=8))


async def test_a_charge_back_and_a_void_by_operators_are_not_taken_twice(shop: Shop) -> None:
    _, events = await shop.paid_purchase()
    books, note = shop.container.bookkeeping(), TransferNote(actor="eve", reason="ticket 9")
    async with shop.container.database().transaction(read_only=True) as session:
        (row,) = await shop.container.database().rows(session, "select wallet_id, seq from faregate.transfer")
    await books.charge_back(f"{row.wallet_id}-{row.seq}", note=note)
    await shop.deliver(events.charge_refunded(1000))
    assert await shop.balance() == 0

    _, other = await shop.paid_purchase()
    wallet = await shop.container.database().run(lambda session: shop.container.credits().wallet(session, "ada"))
    await books.void_grant("ada", UUID(wallet.grants[0].id), note=note)
    await shop.deliver(other.charge_refunded(1000))

    assert await shop.balance() == 0
    assert await shop.verified()


async def saved_customer(shop: Shop, stripe: StripeServer) -> None:
    """A customer who has bought 10 credits, saved the card, and buys 10 more below 5."""
    await shop.container.checkouts().open("ada", "small", ADDRESSES, save=True)
    stripe.pay(next(iter(stripe.sessions)))
    for event in stripe.events:
        await shop.deliver(event)
    automatic = await shop.container.checkouts().set_automatic("ada", Decimal(5), "small")
    assert (automatic.saved, automatic.below, automatic.credits) == (True, 5, 10)


async def test_an_automatic_top_up_charges_the_saved_method_once(shop: Shop, stripe: StripeServer) -> None:
    await saved_customer(shop, stripe)
    await shop.use(8)
    (order,) = await shop.orders()
    await asyncio.gather(*(shop.container.top_ups().fulfil(order) for _ in range(3)))
    receipts = [await shop.deliver(event) for event in stripe.events]
    found = await shop.purchase(order)

    assert await shop.balance() == 12
    assert receipts[-1] is Receipt.APPLIED
    assert (found.automatic, found.status, found.package, found.amount_usd) == (True, "paid", "small", 10)
    assert len(stripe.intents) == 2
    assert await shop.verified()


async def test_the_event_of_a_top_up_may_come_before_the_answer(shop: Shop, stripe: StripeServer) -> None:
    await saved_customer(shop, stripe)
    await shop.use(8)
    (order,) = await shop.orders()
    stripe.outcome = "processing"
    with pytest.raises(PaymentProviderError, match="processing"):
        await shop.container.top_ups().fulfil(order)
    (intent,) = [each for each in stripe.intents.values() if each["status"] == "processing"]
    intent |= {"status": "succeeded", "amount_received": 1000}
    await shop.deliver(stripe.add_event("payment_intent.succeeded", intent))
    assert (await shop.balance(), await shop.orders()) == (12, [])
    assert await shop.verified()

    await shop.container.top_ups().fulfil(order)
    assert (await shop.balance(), len(stripe.intents)) == (12, 2)


async def test_a_payment_whose_answer_was_lost_is_found_and_not_made_again(shop: Shop, stripe: StripeServer) -> None:
    await saved_customer(shop, stripe)
    await shop.use(8)
    (order,) = await shop.orders()
    stripe.lost_answers = 1
    stripe.before_answer = lambda: None
    with pytest.raises(PaymentProviderError):
        await _without_retries(shop, order)
    await shop.container.top_ups().fulfil(order)

    assert (len(stripe.intents), await shop.balance()) == (2, 12)
    assert await shop.verified()


async def _without_retries(shop: Shop, order: UUID) -> None:
    client, _ = shop.container.credit.stripe_api()._client
    client._requestor._options.max_network_retries = 0
    await shop.container.top_ups().fulfil(order)


async def test_a_declined_top_up_is_noted_and_its_later_payment_still_counts(shop: Shop, stripe: StripeServer) -> None:
    await saved_customer(shop, stripe)
    await shop.use(8)
    (order,) = await shop.orders()
    stripe.declines = "insufficient_funds"
    await shop.container.top_ups().fulfil(order)
    for event in stripe.events:
        await shop.deliver(event)
    declined = await shop.purchase(order)
    assert (declined.status, await shop.orders(), await shop.balance()) == ("failed", [], 2)
    assert "card_declined" in (declined.failure or "")

    intent = stripe.intents[declined.payment_intent or ""]
    intent |= {"status": "succeeded", "amount_received": 1000}
    await shop.deliver(stripe.add_event("payment_intent.succeeded", intent))

    assert ((await shop.purchase(order)).status, await shop.balance()) == ("paid", 12)
    assert await shop.verified()


async def test_missed_events_are_fetched_from_stripe(shop: Shop, stripe: StripeServer) -> None:
    opened = await shop.container.checkouts().open("ada", "small", ADDRESSES)
    stripe.pay(next(iter(stripe.sessions)))
    await shop.container.stripe_inbox().receive(*_parts(stripe.events[0]))
    stripe.outages = 1
    found = await shop.container.stripe_inbox().catch_up(since=datetime.now(UTC) - timedelta(days=1))

    assert found == {Receipt.APPLIED: 1, Receipt.REPEATED: 1}
    await shop.container.checkouts().refund(opened.id, amount_usd=Decimal("2.50"))
    await shop.container.checkouts().refund(opened.id, amount_usd=Decimal("2.50"))
    await shop.container.stripe_inbox().catch_up(since=datetime.now(UTC) - timedelta(days=1))
    assert await shop.balance() == Decimal("7.5")


def _parts(event: dict[str, Any]) -> tuple[bytes, str]:
    delivery = signed(event)
    return delivery.body, delivery.signature


async def test_forgetting_the_payment_method_stops_top_ups_and_detaches_it(shop: Shop, stripe: StripeServer) -> None:
    await saved_customer(shop, stripe)
    ended = await shop.container.checkouts().stop_automatic("ada", forget=True)
    await shop.container.checkouts().stop_automatic("ada", forget=True)

    assert (ended.saved, ended.below, len(stripe.detached)) == (False, None, 1)
    with pytest.raises(NoPaymentMethodError):
        await shop.container.checkouts().set_automatic("ada", Decimal(5), "small")
    with pytest.raises(UnknownPackageError, match="small"):
        await shop.container.checkouts().open("ada", "huge", ADDRESSES)


async def test_without_keys_payments_say_what_to_set(database_url: str) -> None:
    container = FaregateContainer(settings=Settings(database_url=database_url, packages=PACKAGES))  # type: ignore[arg-type]
    async with container.engines():
        with pytest.raises(PaymentsOffError, match="FAREGATE_STRIPE_API_KEY"):
            await container.checkouts().open("ada", "small", ADDRESSES)
        with pytest.raises(PaymentsOffError, match="FAREGATE_STRIPE_WEBHOOK_SECRET"):
            await container.stripe_inbox().receive(b"{}", "t=1")
