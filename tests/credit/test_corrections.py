"""Rules of refunds, adjustments and chargebacks: to the grants that paid, never more than was charged."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import InvalidError
from faregate.credit.errors import InsufficientCreditsError, NotRefundableError
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.corrections import adjust, charge_back, refund
from faregate.credit.ledger.states import GrantSlice, Transfer, TransferNote
from support.ledger import START, PureLedger, check_invariants, micros

NOTE = TransferNote(actor="eve", reason="ticket 9")


class Correcting(PureLedger):
    """A wallet whose transfers can be corrected."""

    @property
    def last(self) -> Transfer:
        found: Transfer = self.transfers[-1]
        return found

    def slices_of(self, transfer: Transfer) -> list[GrantSlice]:
        return [part for book in self.books for part in book.slices if part.seq == transfer.seq]

    def correct(self, decide: Any) -> Any:
        def keep(book: Book) -> Any:
            self.books.append(book)
            return decide(book)

        return self._decide(keep)

    def refund(self, original: Transfer, credits: int | None = None) -> Transfer:
        refunds = [t for t in self.transfers if t.corrects_seq == original.seq]
        given = [part for one in refunds for part in self.slices_of(one)]
        amount = micros(credits) if credits is not None else None
        posted: Transfer = self.correct(
            lambda book: refund(
                book,
                self.wallet,
                original,
                amount=amount,
                slices=self.slices_of(original),
                refunds=refunds,
                refund_slices=given,
                note=NOTE,
            )
        )
        return posted

    def _decide(self, decide: Any) -> Any:
        def remembering(book: Book) -> Any:
            if book not in self.books:
                self.books.append(book)
            return decide(book)

        return super()._decide(remembering)

    def __init__(self) -> None:
        self.books: list[Book] = []
        super().__init__()


@pytest.fixture
def ledger() -> Correcting:
    return Correcting()


async def test_refund_returns_to_the_grants_that_paid_last_used_first(ledger: Correcting) -> None:
    await ledger.grant("first", 10, priority=1)
    await ledger.grant("second", 10, priority=2)
    await ledger.use(15)
    ledger.refund(ledger.last, 7)

    assert await ledger.left() == {"first": 2, "second": 10}


async def test_refund_of_an_expired_grant_becomes_a_new_grant_without_expiry(ledger: Correcting) -> None:
    await ledger.grant("short", 10, expires_at=START + timedelta(days=1))
    await ledger.use(10)
    charge = ledger.last
    ledger.clock.advance(days=2)
    ledger.refund(charge)
    ledger.clock.advance(days=1000)

    assert await ledger.balance() == 10
    assert [g.source.value for g in ledger.wallet.grants.values() if g.remaining] == ["refund"]


async def test_refund_of_what_the_limit_paid_reduces_the_debt(ledger: Correcting) -> None:
    await ledger.set_limit(20)
    await ledger.use(12)
    ledger.refund(ledger.last, 5)

    assert (await ledger.balance(), ledger.wallet.debt) == (-7, micros(7))


async def test_refunds_are_limited_to_what_was_charged_in_total(ledger: Correcting) -> None:
    await ledger.grant("G", 10)
    await ledger.use(10)
    charge = ledger.last
    ledger.refund(charge, 4)
    with pytest.raises(NotRefundableError):
        ledger.refund(charge, 7)
    assert ledger.refund(charge).amount == micros(6)
    with pytest.raises(NotRefundableError):
        ledger.refund(charge)


async def test_only_charges_are_refunded_and_only_purchases_charged_back(ledger: Correcting) -> None:
    await ledger.grant("G", 10)
    purchase = ledger.last
    await ledger.use(3)
    charge = ledger.last
    with pytest.raises(InvalidError):
        ledger.refund(purchase)
    with pytest.raises(InvalidError):
        ledger.correct(lambda book: charge_back(book, ledger.wallet, charge, grants=[], earlier=[], note=NOTE))


async def test_chargeback_never_goes_below_zero_and_the_rest_is_shortfall(ledger: Correcting) -> None:
    await ledger.grant("G", 10)
    purchase = ledger.last
    await ledger.use(7)
    grants = [part.grant_id for part in ledger.slices_of(purchase)]
    posted = ledger.correct(
        lambda book: charge_back(book, ledger.wallet, purchase, grants=grants, earlier=[], note=NOTE)
    )

    assert [(t.kind, t.debit, t.credit, t.amount) for t in posted] == [
        (TransferKind.CHARGEBACK, Account.WALLET, Account.PURCHASES, micros(3)),
        (TransferKind.SHORTFALL, Account.SHORTFALL, Account.PURCHASES, micros(7)),
    ]
    assert await ledger.balance() == 0


async def test_adjustment_down_takes_only_free_credits(ledger: Correcting) -> None:
    await ledger.grant("G", 10)
    await ledger.hold("k", 6)
    with pytest.raises(InsufficientCreditsError):
        ledger.correct(lambda book: adjust(book, ledger.wallet, -micros(5), note=NOTE))
    ledger.correct(lambda book: adjust(book, ledger.wallet, -micros(4), note=NOTE))

    assert (await ledger.balance(), await ledger.free()) == (6, 0)


@given(
    grants=st.lists(st.integers(1, 50), min_size=1, max_size=4),
    used=st.integers(1, 120),
    parts=st.lists(st.integers(1, 60), max_size=6),
    limit=st.integers(0, 30),
)
async def test_partial_refunds_never_exceed_the_charge(
    grants: list[int], used: int, parts: list[int], limit: int
) -> None:
    """Refunds add up to at most the charge, and a full refund restores the balance from before it."""
    ledger = Correcting()
    await ledger.set_limit(limit)
    for number, amount in enumerate(grants):
        await ledger.grant(f"g{number}", amount)
    before = await ledger.balance()
    await ledger.use(used)
    charges = [t for t in ledger.transfers if t.kind in {TransferKind.CHARGE, TransferKind.LIMIT_CHARGE}]
    for charge in charges:
        for part in parts:
            try:
                ledger.refund(charge, part)
            except NotRefundableError:
                continue
        refunded = sum(t.amount for t in ledger.transfers if t.corrects_seq == charge.seq)
        assert refunded <= charge.amount
        if refunded < charge.amount:
            ledger.refund(charge)

    assert await ledger.balance() == before
    check_invariants(ledger.wallet, ledger.charges.values())
