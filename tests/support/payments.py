"""Payments of one wallet in memory, by the rules that the service applies, and a pool of their events."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from faregate.credit.ledger.accounts import GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.clawbacks import ReversalPolicy, correct_purchase, position_of
from faregate.credit.ledger.grants import GrantSpec, add_grant
from faregate.credit.ledger.states import Transfer, TransferNote
from faregate.credit.payments.rules import NO_FACTS, PaymentFacts, join, reversed_amount, share_of
from faregate.credit.payments.values import PaymentEvent
from support.ledger import PureLedger, micros
from support.stripe_events import StripeEvents

__all__ = ["POOL_PURCHASES", "PurePayments", "event_pool", "pool_balance"]

POOL_PURCHASES: Mapping[UUID, int] = {
    UUID(int=number): credits for number, credits in enumerate((10, 20, 40, 80, 160), 1)
}
"""The purchases of the pool and their credits; each costs 10.00 dollars. The first is paid and used before."""

pool_balance = micros(116)
"""What is left when all events have come: 5 free + 10 - 12 used - 10 refunded; + 20 - 5 lost in a dispute; + 40 - 12 refunded;
+ 80 - 80 in a lost dispute; + 160 - 32 refunded - 48 of a dispute of which 80 of 128 came back."""


def event_pool(purchases: Sequence[UUID]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the events that come first (the first purchase is paid), and those that may come in any order."""
    used, won, back, lost, both = [StripeEvents(purchase, name=f"{n}") for n, purchase in enumerate(purchases)]
    first = [used.session(), used.intent_event()]
    rest = [
        used.charge_refunded(400),
        used.charge_refunded(1000),
        used.refund("created", "a", 400),
        used.refund("created", "b", 600),
        won.session(),
        won.dispute("created", 1000),
        won.dispute("funds_withdrawn", 1000, moved=(-1000,)),
        won.dispute("closed", 1000, status="won"),
        won.dispute("funds_reinstated", 1000, moved=(-1000, 750)),
        back.session(paid=False),
        back.intent_event("payment_failed"),
        back.intent_event(),
        back.charge_refunded(300),
        back.refund("created", "a", 300),
        back.refund("failed", "a", 300, "failed"),
        back.refund("created", "b", 300),
        lost.intent_event(),
        lost.dispute("funds_withdrawn", 1000),
        lost.dispute("closed", 1000, status="lost"),
        both.session(),
        both.charge_refunded(200),
        both.dispute("funds_withdrawn", 800),
        both.dispute("funds_reinstated", 800, moved=(-800, 500)),
        both.refund("created", "a", 200),
    ]
    return first, rest


class PurePayments(PureLedger):
    """A wallet whose purchases follow the events that are delivered."""

    def __init__(self, purchases: Mapping[UUID, int], policy: ReversalPolicy) -> None:
        super().__init__()
        self.purchases = purchases
        self.policy = policy
        self.seen: set[str] = set()
        self.owners: dict[str, UUID] = {}
        self.waiting: dict[str, PaymentFacts] = {}
        self.facts: dict[UUID, PaymentFacts] = dict.fromkeys(purchases, NO_FACTS)
        self.fillings: dict[UUID, Transfer] = {}

    def deliver(self, event: PaymentEvent) -> None:
        """Do what `PaymentService.take` does."""
        if event.event_id in self.seen:
            return
        self.seen.add(event.event_id)
        intent = event.payment_intent
        purchase = self.owners.get(intent or "") or event.purchase_id
        if purchase is None:
            assert intent is not None
            self.waiting[intent] = join(self.waiting.get(intent, NO_FACTS), event.facts)
            return
        facts = join(self.facts[purchase], event.facts)
        if intent is not None:
            self.owners[intent] = purchase
            facts = join(facts, self.waiting.pop(intent, NO_FACTS))
        self.facts[purchase] = facts
        if facts.paid:
            self._decide(lambda book: self._move(book, purchase, facts))

    def _move(self, book: Book, purchase: UUID, facts: PaymentFacts) -> None:
        filling = self.fillings.get(purchase)
        if filling is None:
            add_grant(book, self.wallet, GrantSpec(micros(self.purchases[purchase]), GrantSource.PURCHASE))
            filling = self.fillings[purchase] = book.transfers[-1]
        corrections = [transfer for transfer in self.transfers if transfer.corrects_seq == filling.seq]
        correct_purchase(
            book,
            self.wallet,
            filling,
            share_of(filling.amount, reversed_amount(facts), facts.paid),
            corrections=corrections,
            slices=[*self.slices, *book.slices],
            policy=self.policy,
            note=TransferNote(operation_key=str(purchase)),
        )

    def lost(self) -> int:
        """Return what is lost in all."""
        return sum(
            position_of(t for t in self.transfers if t.corrects_seq == f.seq).lost for f in self.fillings.values()
        )

    def keys_are_unique(self) -> bool:
        """Tell whether no step was posted twice, as the database demands."""
        keys = [
            (t.operation_key, t.kind)
            for t in self.transfers
            if t.operation_key is not None and t.kind is not TransferKind.GRANT
        ]
        return len(keys) == len(set(keys))
