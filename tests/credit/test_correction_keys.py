"""Operation keys: the same call again is a replay, a different call with the same key is a conflict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.db.database import Database
from faregate.core.errors import KeyConflictError
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.corrections import is_adjustment, is_charge_back_of, is_refund_of
from faregate.credit.ledger.states import Transfer, TransferNote, WalletState
from faregate.credit.values import CreditTransaction
from support.ledger import START, DatabaseLedger, micros

KEYED = TransferNote(actor="eve", reason="ticket 9", operation_key="ticket-9")
WALLET, REVENUE, PURCHASES = Account.WALLET, Account.REVENUE, Account.PURCHASES


class CorrectedWallet(DatabaseLedger):
    """A wallet of 100 from two purchases, with two charges of 10, and corrections of it with one key."""

    async def prepare(self) -> None:
        for name in ("bought", "bought too"):
            await self.grant(name, 50)
        for name in ("first", "second"):
            await self.settle(name, 10)

    async def transaction(self, number: int) -> str:
        wallet, _ = await self.state()
        return f"{wallet.wallet_id}-{number}"

    async def correct(self, call: str) -> list[CreditTransaction]:
        """Make one of the corrections with the key: "refund 3 4", "adjust 5", "chargeback 1"."""
        what, *numbers = call.split()
        service = self.corrections
        if what == "adjust":
            amount = micros(numbers[0])
            return [await self.database.run(lambda s: service.adjust(s, self.OWNER, amount=amount, note=KEYED))]
        number = await self.transaction(int(numbers[0]))
        if what == "chargeback":
            return await self.database.run(lambda s: service.charge_back(s, number, note=KEYED))
        part = micros(numbers[1]) if numbers[1:] else None
        return [await self.database.run(lambda s: service.refund(s, number, amount=part, note=KEYED))]


@pytest.fixture
async def corrected(database: Database) -> CorrectedWallet:
    corrected = CorrectedWallet(database)
    await corrected.prepare()
    return corrected


CALLS = ("adjust 5", "adjust -5", "refund 3 5", "refund 3", "refund 4 5", "chargeback 1")


@pytest.mark.parametrize("call", CALLS)
async def test_repeated_correction_returns_the_first_and_a_different_one_is_a_conflict(
    corrected: CorrectedWallet, call: str
) -> None:
    first = await corrected.correct(call)
    before = await corrected.balance()
    for other in CALLS:
        if other != call:
            with pytest.raises(KeyConflictError):
                await corrected.correct(other)

    assert await corrected.correct(call) == first
    assert await corrected.balance() == before


async def test_refund_of_the_remainder_is_the_same_after_other_refunds(corrected: CorrectedWallet) -> None:
    """The amount left at the time of the call counts, not the amount left now: 4 were refunded before, 6 with the key."""
    number = await corrected.transaction(3)
    other = TransferNote(actor="eve", reason="before")
    await corrected.database.run(lambda s: corrected.corrections.refund(s, number, amount=micros(4), note=other))
    first = await corrected.correct("refund 3")

    assert first[0].amount == 6
    assert await corrected.correct("refund 3") == first


async def test_key_of_a_grant_cannot_make_an_adjustment(corrected: CorrectedWallet) -> None:
    await corrected.grant("ticket-9", 5)
    with pytest.raises(KeyConflictError):
        await corrected.correct("adjust 5")


def posted(kind: TransferKind, debit: Account, credit: Account, amount: int, corrects: int | None = None) -> Transfer:
    book, wallet = Book(START), WalletState(1)
    return book.post(wallet, kind, debit=debit, credit=credit, amount=amount, note=TransferNote(corrects_seq=corrects))


@given(made=st.integers(-50, 50).filter(bool), asked=st.integers(-50, 50).filter(bool))
def test_adjustments_are_compared_by_signed_amount(made: int, asked: int) -> None:
    up = (TransferKind.GRANT, Account.ADJUSTMENT, WALLET)
    down = (TransferKind.ADJUSTMENT, WALLET, Account.ADJUSTMENT)

    assert is_adjustment(posted(*(up if made > 0 else down), abs(made)), asked) is (made == asked)


@pytest.mark.parametrize(
    ("kind", "debit", "credit", "refunds", "charges_back"),
    [
        (TransferKind.REFUND, REVENUE, WALLET, True, False),
        (TransferKind.CHARGEBACK, WALLET, PURCHASES, False, True),
        (TransferKind.SHORTFALL, Account.SHORTFALL, PURCHASES, False, True),
        (TransferKind.GRANT_VOID, WALLET, PURCHASES, False, False),
        (TransferKind.REPRICE, WALLET, REVENUE, False, False),
    ],
)
def test_corrections_of_different_kinds_are_different(
    kind: TransferKind, debit: Account, credit: Account, refunds: bool, charges_back: bool
) -> None:
    original = posted(TransferKind.CHARGE, WALLET, REVENUE, 7)
    made = posted(kind, debit, credit, 7, corrects=original.seq)
    elsewhere = posted(kind, debit, credit, 7, corrects=original.seq + 1)

    assert is_refund_of(made, original, amount=7, corrections=[made]) is refunds
    assert is_refund_of(made, original, amount=None, corrections=[made]) is refunds
    assert is_refund_of(made, original, amount=6, corrections=[made]) is False
    assert is_charge_back_of(made, original) is charges_back
    assert (
        is_refund_of(elsewhere, original, amount=7, corrections=[]) is is_charge_back_of(elsewhere, original) is False
    )
