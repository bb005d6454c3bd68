"""Ledger session: locks wallets, brings them up to date, writes changes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.core.errors import RetryTransactionError
from faregate.core.messaging.interfaces import IOutbox
from faregate.core.webhooks.outgoing_events import IAnnouncer, NullAnnouncer
from faregate.credit.interfaces import ISettlementProgress
from faregate.credit.ledger.balance_warnings import warn_of_balances
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.states import ChargeState, WalletState
from faregate.credit.ledger.time_effects import mature
from faregate.credit.ledger.top_ups import order_message, order_top_ups
from faregate.credit.services.announcements import events_of
from faregate.credit.storage.repository import LedgerRepository

__all__ = ["LIMITS_VERSION", "TOP_UP_QUEUE", "WARNING_PAUSE", "LedgerSession"]

LIMITS_VERSION = "spend_limits"
TOP_UP_QUEUE = "top_up_queue"
WARNING_PAUSE = timedelta(days=1)


class LedgerSession:
    """Locks wallets in ascending order of their ids, then spending limits, and returns a book of them.

    Every operation that moves credits reads its wallets with `lock` and stores its changes with `write`, both in the
    caller's transaction.

    Args:
        clock: replaces the database's clock in simulations.
        warning_pause: how long a wallet that has not recovered is not warned of again; see `balance_warnings`.
    """

    def __init__(
        self,
        database: Database,
        repository: LedgerRepository,
        progress: ISettlementProgress,
        outbox: IOutbox,
        *,
        clock: IClock | None = None,
        announcer: IAnnouncer | None = None,
        warning_pause: timedelta = WARNING_PAUSE,
    ) -> None:
        self._repository = repository
        self._progress = progress
        self._outbox = outbox
        self._clock = clock
        self._announcer = announcer or NullAnnouncer()
        self._pause = warning_pause
        self.limit_kinds: VersionedCache[frozenset[str]] = VersionedCache(
            database, LIMITS_VERSION, repository.limit_kinds
        )

    def now(self) -> datetime | None:
        """Return the simulated moment, or None to use the database's clock."""
        return self._clock.now() if self._clock is not None else None

    async def lock(
        self,
        session: AsyncSession,
        wallet_ids: Iterable[int],
        *,
        keys: Sequence[str] = (),
        seen: Mapping[str, ChargeState] | None = None,
        scopes: Iterable[str] = (),
    ) -> Book:
        """Lock these wallets and return the book of them as of now, with the charges of `keys` and the limits of `scopes`.

        Charges that the caller has `seen` in this transaction are read again only if they have changed since.

        Raises:
            RetryTransactionError: a wallet does not exist (any more); run the transaction again.
        """
        wanted = set(wallet_ids)
        book = await self._repository.lock(session, wanted, now=self.now())
        if len(book.wallets) < len(wanted):
            raise RetryTransactionError("a wallet does not exist; the transaction that created it was rolled back")
        book.left_before = {wallet.wallet_id: wallet.left for wallet in book.wallets.values()}
        if keys:
            book.charges.update(await self._repository.charges_again(session, keys, seen or {}))
        due = [wallet.wallet_id for wallet in book.wallets.values() if is_due(wallet, book.now)]
        until = await self._load_due(session, book, due) if due else book.now
        limited = {scope for charge in book.charges.values() for scope in charge.limit_scopes}
        await self._repository.lock_limits(session, book, limited | set(scopes))
        for wallet_id in due:
            charges = [charge for charge in book.charges.values() if charge.wallet_id == wallet_id]
            mature(book, book.wallets[wallet_id], charges, holds_until=until)
        return book

    async def matured(self, session: AsyncSession, wallet_id: int) -> Book:
        """Return the book of one wallet as of now; it is locked and written only if time has changed it."""
        return await self.all_matured(session, [wallet_id])

    async def all_matured(self, session: AsyncSession, wallet_ids: Sequence[int]) -> Book:
        """Return the book of these wallets as of now; those that time has changed are locked and written first."""
        book = await self._repository.read(session, wallet_ids, now=self.now())
        due = [wallet.wallet_id for wallet in book.wallets.values() if is_due(wallet, book.now)]
        if due:
            changed = await self.lock(session, due)
            await self.write(session, changed)
            book.wallets.update(changed.wallets)
        return book

    async def write(self, session: AsyncSession, book: Book) -> None:
        """Write the changes, with the top-up orders and events that follow from them."""
        order_top_ups(book)
        warn_of_balances(book, pause=self._pause)
        await self._repository.write(session, book)
        await self._announcer.announce(session, events_of(book))
        if book.top_ups:
            await self._outbox.add(session, TOP_UP_QUEUE, [order_message(order) for order in book.top_ups])

    async def _load_due(self, session: AsyncSession, book: Book, wallet_ids: Sequence[int]) -> datetime:
        """Read what `mature` requires; return up to when holds expire (earlier than now while settlement has a backlog)."""
        until = min(await self._progress.settled_until(session) or book.now, book.now)
        await self._repository.load_grants(session, book, wallet_ids)
        due = await self._repository.due_charges(session, wallet_ids, until=until)
        book.charges = {**due, **book.charges}
        return until


def is_due(wallet: WalletState, now: datetime) -> bool:
    """Tell whether time has changed the wallet since it was last written."""
    return wallet.next_change_at is not None and wallet.next_change_at <= now
