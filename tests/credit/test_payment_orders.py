"""The final balance does not depend on the order in which signed events arrive, nor on duplicates."""

import random
import time
from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.clawbacks import ReversalPolicy
from faregate.credit.payments.stripe_events import read_event
from faregate.credit.payments.stripe_signature import check_signature
from faregate.credit.payments.values import PaymentEvent
from faregate.wire import exact_json
from support.ledger import micros
from support.payments import POOL_PURCHASES, PurePayments, event_pool, pool_balance
from support.stripe_events import SECRET, Delivery, signed


def received(delivery: Delivery) -> PaymentEvent:
    """Return the event of a raw body, as the webhook reads it."""
    check_signature(delivery.body, delivery.signature, [SECRET])
    event = read_event(exact_json.loads(delivery.body))
    assert event is not None
    return event


def deliveries_of_pool() -> list[Delivery]:
    """Return the events that may come in any order, signed now."""
    return [signed(event) for event in event_pool(list(POOL_PURCHASES))[1]]


@cache
def pool() -> tuple[list[PaymentEvent], list[PaymentEvent]]:
    """Return the events that come first, and those that may come in any order, as the webhook reads them."""
    first, rest = event_pool(list(POOL_PURCHASES))
    return [received(signed(event)) for event in first], [received(signed(event)) for event in rest]


async def used_wallet(policy: ReversalPolicy = ReversalPolicy.DEBT) -> PurePayments:
    """A wallet with 5 free credits and a purchase of 10, of which 12 are used and 1 is held."""
    payments = PurePayments(POOL_PURCHASES, policy)
    await payments.grant("bonus", 5)
    for event in pool()[0]:
        payments.deliver(event)
    await payments.hold("open", 1)
    await payments.settle("used", 12)
    return payments


def deliveries(rng: random.Random, count: int) -> list[int]:
    """Return an order of the events, each one to three times."""
    order = [number for number in range(count) for _ in range(rng.choice((1, 1, 2, 3)))]
    rng.shuffle(order)
    return order


async def run(orders: int, *, raw: int, seed: int = 1) -> Counter[str]:
    """Deliver the pool in random orders, the first `raw` of them as signed bodies; return counts."""
    rng, counts = random.Random(seed), Counter[str]()
    _, rest = pool()
    for number in range(orders):
        payments = await used_wallet()
        order = deliveries(rng, len(rest))
        bodies = deliveries_of_pool() if number < raw else []
        for place in order:
            payments.deliver(received(bodies[place]) if bodies else rest[place])
        assert payments.wallet.balance == pool_balance, order
        assert payments.wallet.debt == payments.wallet.clawback_debt == 0
        assert payments.lost() == 0
        assert payments.keys_are_unique()
        counts["orders"] += 1
        counts["deliveries"] += len(order)
        counts["repeated"] += len(order) - len(rest)
        counts["transfers"] += len(payments.transfers)
        counts["below zero on the way"] += any(t.balance_after < 0 for t in payments.transfers)
        counts["reinstatements"] += sum(t.kind is TransferKind.REINSTATEMENT for t in payments.transfers)
    return counts


async def test_signed_events_in_any_order_with_duplicates_leave_one_balance() -> None:
    counts = await run(400, raw=100)

    assert counts["repeated"] > 0 < counts["below zero on the way"]
    assert counts["reinstatements"] > 0


async def test_100_000_orders_of_signed_events_with_duplicates_leave_one_balance() -> None:
    began = time.monotonic()
    counts = await run(100_000, raw=5_000, seed=2)

    print(f"\n{dict(counts)} in {time.monotonic() - began:.0f} s; final balance {pool_balance / 1e6} in each")
    assert counts["orders"] == 100_000


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(ReversalPolicy))
async def test_a_loss_is_cancelled_before_credits_come_back(rng: random.Random, policy: ReversalPolicy) -> None:
    """With the policy `loss` the balance never goes below 0, and what is left of it plus the losses is the same."""
    payments = await used_wallet(policy)
    _, rest = pool()
    for place in deliveries(rng, len(rest)):
        payments.deliver(rest[place])
        assert policy is ReversalPolicy.DEBT or payments.wallet.balance >= payments.wallet.held >= 0

    assert payments.wallet.balance - payments.lost() == pool_balance


async def test_a_debt_is_paid_first_by_the_next_grant_and_refuses_uses_until_then() -> None:
    payments = await used_wallet()
    for event in pool()[1][:2]:
        payments.deliver(event)
    assert (await payments.balance(), await payments.free()) == (-7, -8)

    await payments.grant("gift", 5)
    assert (await payments.balance(), payments.wallet.debt) == (-2, micros(3))
    await payments.grant("gift 2", 10)

    assert (await payments.balance(), payments.wallet.debt, payments.wallet.clawback_debt) == (8, 0, 0)


@pytest.mark.parametrize("used", [0, 1])
async def test_what_a_hold_had_set_aside_is_charged_after_a_claw_back(used: int) -> None:
    """The balance is the same whether the use is settled before the refund or after it."""
    after = await used_wallet()
    for event in pool()[1][:2]:
        after.deliver(event)
    charge = await after.settle("open", used)
    before = await used_wallet()
    await before.settle("open", used)
    for event in pool()[1][:2]:
        before.deliver(event)

    assert (charge.charged, charge.shortfall) == (micros(used), 0)
    assert await before.balance() == await after.balance() == -7 - used
