"""Ledgers of any size, made with the real rules and statements."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.grants import GrantSpec, add_grant
from faregate.credit.ledger.holds import HoldRequest, open_hold
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest, settle
from faregate.credit.ledger.states import WalletState
from faregate.credit.storage.repository import LedgerRepository

__all__ = ["fill"]

_CHUNK = 5_000
_GRANT_MICROS = 10**15
_HOLD_EVERY = 20


async def fill(
    database: Database, *, transfers: int, wallets: int, on_progress: Callable[[int], None] = lambda _: None
) -> None:
    """Create `wallets` wallets with `transfers` transfers: grants, and charges with and without a hold."""
    repository = LedgerRepository(database)
    states = await _wallets(database, repository, wallets)
    ids = sorted(states)
    for first in range(0, transfers, _CHUNK):
        last = min(first + _CHUNK, transfers)
        async with database.transaction() as session:
            await database.rows(session, "select set_config('statement_timeout', '0', true)")
            ((now,),) = await database.rows(session, "select clock_timestamp()")
            book = Book(now + timedelta(0), states.values())
            for number in range(first, last):
                _transfer(book, ids[number % len(ids)], number)
            await repository.write(session, book)
        on_progress(last)


async def _wallets(database: Database, repository: LedgerRepository, count: int) -> Mapping[int, WalletState]:
    async with database.transaction() as session:
        subjects = await Subjects(database).ensure(session, [f"bench-{number}" for number in range(count)])
        ids = [subject.subject_id for subject in subjects.values()]
        await repository.add_wallets(session, ids)
        book = await repository.lock(session, ids, now=None)
    return book.wallets


def _transfer(book: Book, wallet_id: int, number: int) -> None:
    wallet = book.wallets[wallet_id]
    if not wallet.last_seq:
        add_grant(book, wallet, GrantSpec(_GRANT_MICROS, GrantSource.PURCHASE))
        return
    key = f"bench-{number:012}"
    if number % _HOLD_EVERY == 0:
        open_hold(book, HoldRequest(key, wallet_id, wallet_id, None, "bench", "individual", 1_000_000, 3600, b"bench"))
    amount = 1 + number * 7919 % 1_000_000
    opening = ChargeOpening(wallet_id, wallet_id, None, "bench", "individual")
    settle(book, PostingRequest(key, amount, amount, b"bench", opening=opening))
