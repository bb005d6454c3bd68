"""`credits.low` and `credits.exhausted`: sent once, and again after a recovery or a pause."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.balance_warnings import warn_of_balances
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.grants import GrantSpec, add_grant
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest, settle
from faregate.credit.ledger.states import WalletState
from support.ledger import START, micros

PAUSE = timedelta(days=1)


class WarnedWallet:
    """One wallet, and the warnings about it."""

    def __init__(self, *, mark: int | None = None, limit: int = 0, pause: timedelta = PAUSE) -> None:
        self.wallet = WalletState(
            1, all_grants=True, low_balance=micros(mark) if mark is not None else None, credit_limit=micros(limit)
        )
        self.now, self.pause = START, pause
        self.told: list[str] = []
        self.uses = 0

    def grant(self, credits: int) -> None:
        with_grant = GrantSpec(micros(credits), GrantSource.PURCHASE)
        self._write(lambda book: add_grant(book, self.wallet, with_grant))

    def use(self, credits: int) -> None:
        self.uses += 1
        opening = ChargeOpening(1, 1, None, "f", "individual")
        request = PostingRequest(f"use-{self.uses}", micros(credits), micros(credits), b"", opening=opening)
        self._write(lambda book: settle(book, request))

    def move(self, change: int) -> None:
        """Add (positive) or use (negative) credits."""
        if change > 0:
            self.grant(change)
        elif change < 0:
            self.use(-change)

    def _write(self, decide: Callable[[Book], object]) -> None:
        book = Book(self.now, [self.wallet])
        book.left_before = {1: self.wallet.left}
        decide(book)
        warn_of_balances(book, pause=self.pause)
        self.told += ["low"] * len(book.low) + ["exhausted"] * len(book.exhausted)


@pytest.mark.parametrize(
    ("mark", "moves", "told"),
    [
        (100, [110, *[-20, 20] * 11], ["low"]),
        (100, [110, -20, 60, -60], ["low", "low"]),
        (100, [110, -20, 59, -60], ["low"]),
        (100, [100], []),
        (100, [110, -110], ["low", "exhausted"]),
        (100, [110, -10, -10, -10], ["low"]),
        (100, [110, -110, 50, -50], ["low", "exhausted"]),
        (100, [110, -110, 101, -101], ["low", "exhausted", "exhausted"]),
        (100, [110, -110, 150, -150], ["low", "exhausted", "low", "exhausted"]),
        (None, [50, -50], ["exhausted"]),
        (None, [50, -50, 10, -10], ["exhausted", "exhausted"]),
        (0, [50, -50, 10, -10], ["low", "exhausted", "low", "exhausted"]),
        (None, [50, -60, -60], ["exhausted"]),
    ],
)
def test_wallet_is_warned_of_once_until_it_has_recovered(mark: int | None, moves: list[int], told: list[str]) -> None:
    purse = WarnedWallet(mark=mark)
    for move in moves:
        purse.move(move)

    assert purse.told == told


def test_after_the_pause_a_fall_is_warned_of_again() -> None:
    purse = WarnedWallet(mark=100)
    for move in (110, -20, 20):
        purse.move(move)
    purse.now += PAUSE - timedelta(seconds=1)
    purse.move(-20)
    purse.move(20)
    assert purse.told == ["low"]

    purse.now += timedelta(seconds=1)
    purse.move(-20)
    assert purse.told == ["low", "low"]


def test_without_a_pause_each_fall_is_warned_of() -> None:
    purse = WarnedWallet(mark=100, pause=timedelta(0))
    for move in (110, *[-20, 20] * 11):
        purse.move(move)

    assert purse.told == ["low"] * 11


def test_credit_limit_counts_as_left() -> None:
    purse = WarnedWallet(mark=10, limit=50)
    purse.move(20)
    purse.move(-20)
    assert purse.told == []

    purse.move(-45)
    assert purse.told == ["low"]


@given(st.lists(st.integers(-60, 60).filter(bool), max_size=40), st.integers(1, 100))
def test_wallet_recovers_between_two_warnings(moves: list[int], mark: int) -> None:
    """Within one pause a wallet is warned of as low twice only if it had one and a half times its threshold in between."""
    purse, highest = WarnedWallet(mark=mark), 0
    for move in moves:
        before = len(purse.told)
        purse.move(move)
        highest = max(highest, purse.wallet.left)
        if "low" in purse.told[before:]:
            assert before == 0 or "low" not in purse.told[:before] or 2 * highest >= 3 * micros(mark)
            highest = 0
