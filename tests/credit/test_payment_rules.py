"""What events of a payment say together: laws of the reducer, and what each type of event means."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import MalformedError
from faregate.credit.errors import WebhookSignatureError
from faregate.credit.payments.facts_json import facts_from, facts_json
from faregate.credit.payments.rules import (
    NO_FACTS,
    DisputeFacts,
    PaymentFacts,
    RefundFacts,
    join,
    join_all,
    reversed_amount,
    share_of,
    status_of,
)
from faregate.credit.payments.stripe_events import EVENT_TYPES, read_event
from faregate.credit.payments.stripe_signature import check_signature
from support.stripe_events import SECRET, StripeEvents, signed

PURCHASE = UUID("01938000-0000-7000-8000-000000000001")
AMOUNTS = st.integers(0, 1000)
NAMES = st.sampled_from(["a", "b", "c"])
FACTS = st.builds(
    PaymentFacts,
    paid=st.sampled_from([0, 1000]),
    refunded=AMOUNTS,
    refunds=st.dictionaries(NAMES, st.builds(RefundFacts, amount=AMOUNTS, failed=st.booleans())),
    disputes=st.dictionaries(NAMES, st.builds(DisputeFacts, withdrawn=AMOUNTS, reinstated=AMOUNTS)),
    failed=st.booleans(),
    expired=st.booleans(),
)


@given(FACTS, FACTS, FACTS)
def test_facts_join_in_any_order_and_any_number_of_times(
    one: PaymentFacts, two: PaymentFacts, three: PaymentFacts
) -> None:
    assert join(one, two) == join(two, one)
    assert join(join(one, two), three) == join(one, join(two, three))
    assert join(one, one) == one == join(one, NO_FACTS)


@given(FACTS)
def test_no_more_is_reversed_than_was_paid_and_stored_facts_are_the_same(facts: PaymentFacts) -> None:
    assert 0 <= reversed_amount(facts) <= facts.paid
    assert facts_from(facts_json(facts)) == facts


@given(st.integers(1, 10**15), st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_share_never_exceeds_the_whole_and_the_whole_is_all(credits: int, part: int, whole: int) -> None:
    share = share_of(credits, part, whole)

    assert 0 <= share <= credits
    assert (share == credits) or part < whole


EVENTS = StripeEvents(PURCHASE, name="1")
PAID = EVENTS.intent_event()
CASES: list[tuple[str, list[dict[str, Any]], int, str]] = [
    ("nothing", [], 0, "open"),
    ("completed but not paid yet", [EVENTS.session(paid=False)], 0, "open"),
    ("the payment failed", [EVENTS.session("async_payment_failed", paid=False)], 0, "failed"),
    ("expired", [EVENTS.session("expired", paid=False)], 0, "expired"),
    ("canceled", [EVENTS.intent_event("canceled")], 0, "expired"),
    ("paid after a failed attempt", [EVENTS.intent_event("payment_failed"), PAID], 0, "paid"),
    ("paid, said by the session", [EVENTS.session()], 0, "paid"),
    ("a refund before its payment", [EVENTS.charge_refunded(400)], 0, "open"),
    ("refunded in part", [PAID, EVENTS.charge_refunded(400)], 400, "partly_refunded"),
    ("cumulative amounts are not added", [PAID, EVENTS.charge_refunded(400), EVENTS.charge_refunded(600)], 600, "partly_refunded"),
    ("the earlier of two arrives last", [PAID, EVENTS.charge_refunded(600), EVENTS.charge_refunded(400)], 600, "partly_refunded"),
    ("a refund and its charge are one", [PAID, EVENTS.charge_refunded(400), EVENTS.refund("created", "a", 400)], 400, "partly_refunded"),
    ("two refunds", [PAID, EVENTS.refund("created", "a", 400), EVENTS.refund("created", "b", 600)], 1000, "refunded"),
    ("a failed refund", [PAID, EVENTS.charge_refunded(400), EVENTS.refund("failed", "a", 400, "failed")], 0, "paid"),
    (
        "a failed refund, then another one",
        [PAID, EVENTS.charge_refunded(300), EVENTS.refund("failed", "a", 300, "failed"), EVENTS.charge_refunded(500), EVENTS.refund("created", "b", 500)],
        500,
        "partly_refunded",
    ),
    ("a canceled refund", [PAID, EVENTS.refund("charge.refund.updated", "a", 400, "canceled")], 0, "paid"),
    ("a dispute without a withdrawal", [PAID, EVENTS.dispute("created", 1000)], 0, "paid"),
    ("an inquiry that was closed", [PAID, EVENTS.dispute("closed", 1000, status="warning_closed")], 0, "paid"),
    ("withdrawn", [PAID, EVENTS.dispute("funds_withdrawn", 1000)], 1000, "disputed"),
    ("withdrawn, said by the dispute alone", [PAID, EVENTS.dispute("created", 1000, moved=(-1000,))], 1000, "disputed"),
    ("lost: nothing more is taken", [PAID, EVENTS.dispute("funds_withdrawn", 1000), EVENTS.dispute("closed", 1000, status="lost")], 1000, "disputed"),
    ("lost, the withdrawal unseen", [PAID, EVENTS.dispute("closed", 1000, status="lost")], 1000, "disputed"),
    ("won, the funds not back yet", [PAID, EVENTS.dispute("funds_withdrawn", 1000), EVENTS.dispute("closed", 1000, status="won")], 1000, "disputed"),
    ("reinstated", [PAID, EVENTS.dispute("funds_withdrawn", 1000), EVENTS.dispute("funds_reinstated", 1000)], 0, "paid"),
    ("reinstated before withdrawn", [EVENTS.dispute("funds_reinstated", 1000), PAID, EVENTS.dispute("funds_withdrawn", 1000)], 0, "paid"),
    ("reinstated in part", [PAID, EVENTS.dispute("funds_reinstated", 1000, moved=(-1000, 250))], 750, "disputed"),
    ("reinstated in part, in another currency", [PAID, EVENTS.dispute("funds_reinstated", 1000, moved=(-880, 220))], 750, "disputed"),
    ("refunded and disputed: at most what was paid", [PAID, EVENTS.charge_refunded(400), EVENTS.dispute("funds_withdrawn", 1000)], 1000, "disputed"),
    ("refunded in part, the rest disputed", [PAID, EVENTS.charge_refunded(400), EVENTS.dispute("funds_withdrawn", 600)], 1000, "disputed"),
    ("two disputes, one reinstated", [PAID, EVENTS.dispute("funds_withdrawn", 600), EVENTS.dispute("funds_withdrawn", 400, name="2"), EVENTS.dispute("funds_reinstated", 600)], 400, "disputed"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "back", "status"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_events_mean_together(events: list[dict[str, Any]], back: int, status: str) -> None:
    read = [read_event(event) for event in events]
    facts = join_all(event.facts for event in read if event is not None)

    assert (reversed_amount(facts), status_of(facts).value) == (back, status)


def test_an_event_names_its_purchase_its_payment_and_the_method_that_was_saved() -> None:
    paid = read_event(EVENTS.intent_event(save=True, method="pm_7"))
    back = read_event(EVENTS.charge_refunded(1))

    assert paid is not None
    assert back is not None
    assert (paid.purchase_id, paid.payment_intent) == (PURCHASE, "pi_1") == (back.purchase_id, back.payment_intent)
    assert paid.saved is not None
    assert (paid.saved.customer, paid.saved.method) == ("cus_1", "pm_7")
    assert read_event(EVENTS.event("customer.created", {"id": "cus_1"})) is None
    assert "payment_intent.succeeded" in EVENT_TYPES


def test_metadata_of_another_system_names_no_purchase() -> None:
    event = StripeEvents(None).session()
    event["data"]["object"]["client_reference_id"] = "order 7"
    read = read_event(event)

    assert read is not None
    assert read.purchase_id is None


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["object"], "charge", "object"),
        (["id"], 7, "id"),
        (["created"], "now", "created"),
        (["data"], None, "data"),
        (["data", "object"], [], "data.object"),
        (["data", "object", "amount_received"], 9.5, "amount_received"),
        (["data", "object", "amount_received"], True, "amount_received"),
        (["data", "object", "id"], "x" * 300, "id"),
    ],
)
def test_what_is_no_event_is_refused_and_the_field_named(path: list[str], value: Any, named: str) -> None:
    event: Any = StripeEvents(PURCHASE).intent_event()
    place = event
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value

    with pytest.raises(MalformedError, match=named):
        read_event(event)


def test_only_a_fresh_signature_of_one_of_the_secrets_is_accepted() -> None:
    good, old = signed(PAID), signed(PAID, at=1_700_000_000)
    check_signature(good.body, good.signature, ["whsec_next", SECRET])
    for body, header, problem in (
        (good.body, None, "no Stripe-Signature"),
        (good.body, "t=1,v1=", "none of"),
        (good.body, "nonsense", "none of"),
        (good.body + b" ", good.signature, "none of"),
        (b"\xff", good.signature, "none of"),
        (good.body, signed(PAID, secret="whsec_other").signature, "none of"),
        (old.body, old.signature, "too old"),
    ):
        with pytest.raises(WebhookSignatureError, match=problem):
            check_signature(body, header, [SECRET])
