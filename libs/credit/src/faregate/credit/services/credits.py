"""Wallets, grants, holds and settlements. Every method works in the caller's transaction and never commits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import Deadline
from faregate.core.db.subjects import Subject, Subjects
from faregate.core.errors import FaregateError, RetryTransactionError
from faregate.credit.errors import UnknownGrantError, UnknownUsageKeyError, UnknownWalletError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.grants import GrantSpec, add_grant, void_grant
from faregate.credit.ledger.holds import HoldRequest, extend_hold, open_hold, void_hold
from faregate.credit.ledger.settlement import Posting, settle
from faregate.credit.ledger.states import ChargeState, GrantUse, WalletState
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.services.repricing import RepricingService
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.values import CreditTransaction, Grant, Wallet, grant_view, transaction_view, wallet_view

__all__ = ["Balance", "CreditService", "Held", "Posted", "Started"]

_OWNERS_REMEMBERED = 100_000
_OWNERS_REMEMBERED_SECONDS = 1.0
"""Who is erased gets another number when seen again; every process knows within this time."""

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Balance:
    """A wallet's counters, in micro-credits, after one decision of a batch."""

    balance: int
    held: int
    free: int


@dataclass(frozen=True, slots=True)
class Started:
    """A charge as it stands, and whose use it is; `organization` is the owner id (`org:<id>`) it was started for."""

    charge: ChargeState
    user_id: str
    organization: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """An open hold, and the wallet after it."""

    charge: ChargeState
    wallet: Balance


@dataclass(frozen=True, slots=True)
class Posted:
    """A settled charge; `replayed` when an earlier call had settled it."""

    charge: ChargeState
    replayed: bool


class CreditService:
    """The ledger's front door.

    Args:
        initial_micros: granted once to each new wallet.
    """

    def __init__(
        self, repository: LedgerRepository, locker: LedgerSession, subjects: Subjects, *, initial_micros: int = 0
    ) -> None:
        self._ledger = repository
        self._locker = locker
        self._subjects = subjects
        self._initial_micros = initial_micros
        self._owners: dict[str, Subject] = {}
        self._owners_fresh = Deadline(_OWNERS_REMEMBERED_SECONDS)

    async def ensure_wallets(self, session: AsyncSession, owner_ids: Iterable[str]) -> Mapping[str, Subject]:
        """Return the subjects of these owners; those seen for the first time get a wallet and the initial grant."""
        ids = set(owner_ids)
        known = self._remembered(ids)
        if len(known) < len(ids):
            known |= await self._find_or_make(session, ids - known.keys())
        return known

    async def find_owners(self, session: AsyncSession, owner_ids: Iterable[str]) -> Mapping[str, Subject]:
        """Return the known ones among these owners; makes nothing."""
        ids = set(owner_ids)
        known = self._remembered(ids)
        return known | dict(await self._subjects.find(session, ids - known.keys()))

    async def get_owner(self, session: AsyncSession, owner_id: str) -> Subject:
        """Return the subject of one owner, or raise `UnknownWalletError`."""
        subject = (await self._subjects.find(session, [owner_id])).get(owner_id)
        if subject is None or not await self._ledger.has_wallet(session, subject.subject_id):
            raise UnknownWalletError(owner_id)
        return subject

    async def authorize(self, session: AsyncSession, requests: Sequence[HoldRequest]) -> list[Held | FaregateError]:
        """Open holds; each succeeds or is refused by itself, in the order given. All wallets must exist."""
        scopes = [scope for request in requests for scope in request.limit_scopes]
        keys = [request.usage_key for request in requests if not request.is_new]
        book = await self._lock(session, (r.wallet_id for r in requests), keys=keys, scopes=scopes)
        await self._ledger.load_grants(session, book, [w.wallet_id for w in book.wallets.values() if w.earmarked])
        await self._add_other_payers(session, book)
        outcomes = [_attempt(lambda request: _held(book, open_hold(book, request)), request) for request in requests]
        await self._locker.write(session, book)
        return outcomes

    async def find_started(self, session: AsyncSession, usage_keys: Iterable[str]) -> Mapping[str, Started]:
        """Return the known ones among these uses, as they stand; nothing is locked."""
        found = await self._ledger.started(session, usage_keys)
        return {charge.usage_key: Started(charge, user_id, organization) for charge, user_id, organization in found}

    async def get_charge(self, session: AsyncSession, usage_key: str) -> ChargeState:
        """Return one use, or raise `UnknownUsageKeyError`."""
        charge = (await self._ledger.charges(session, [usage_key])).get(usage_key)
        if charge is None:
            raise UnknownUsageKeyError(usage_key)
        return charge

    async def post(
        self, session: AsyncSession, postings: Sequence[Posting], *, seen: Mapping[str, ChargeState] | None = None
    ) -> list[Posted | FaregateError]:
        """Settle uses; each succeeds or is refused by itself, in the order given.

        `seen` are charges that `find_started` has returned in this transaction; they are not to be used afterwards.

        Raises:
            RetryTransactionError: a charge has appeared meanwhile with another payer; run the transaction again.
        """
        if not postings:
            return []
        wallet_ids = {posting.wallet_id for posting in postings}
        scopes = [scope for posting in postings if posting.opening for scope in posting.opening.limit_scopes]
        keys = [posting.usage_key for posting in postings]
        book = await self._lock(session, wallet_ids, keys=keys, seen=seen, scopes=scopes)
        await self._load_for(session, book, postings)
        outcomes = [_attempt(lambda posting: Posted(*settle(book, posting)), posting) for posting in postings]
        await self._locker.write(session, book)
        return outcomes

    async def look_up_limits(self) -> None:
        """See which kinds of spending limits there are; call it before the transaction (it uses its own connection)."""
        await self._locker.limit_kinds.get()

    def known_scopes(self, wanted: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
        """Return of each sequence of limit scopes those that may have a limit; costs nothing while there is none."""
        return self._locker.known_scopes(wanted)

    @property
    def repricing(self) -> RepricingService:
        """What charges afterwards for lines that had no price when they were settled."""
        return RepricingService(self._ledger, self._locker, self._subjects)

    async def void(self, session: AsyncSession, usage_key: str, *, reason: str | None = None) -> Held:
        """Close a hold unused; doing it again changes nothing.

        Raises:
            UnknownUsageKeyError, AlreadySettledError, HoldClosedError (expired).
        """
        return await self._on_charge(session, usage_key, lambda book, charge: void_hold(book, charge, reason=reason))

    async def extend(self, session: AsyncSession, usage_key: str, *, ttl_seconds: int) -> Held:
        """Let an open hold last at least `ttl_seconds` from now.

        Raises:
            UnknownUsageKeyError, AlreadySettledError, HoldClosedError.
        """
        return await self._on_charge(session, usage_key, lambda book, charge: extend_hold(book, charge, ttl_seconds))

    async def grant(self, session: AsyncSession, owner_id: str, spec: GrantSpec) -> tuple[Grant, Wallet, bool]:
        """Put a grant into a wallet, making the wallet if need be; the same key makes it once (then True)."""
        subject = (await self.ensure_wallets(session, [owner_id]))[owner_id]
        if spec.actor is not None:
            spec = replace(spec, actor=await self._subjects.append_only_actor(session, spec.actor))
        book = await self._lock(session, [subject.subject_id])
        if spec.key is not None:
            await self._ledger.load_grants_by_key(session, book, [(subject.subject_id, spec.key)])
        wallet = book.wallets[subject.subject_id]
        grant, replayed = add_grant(book, wallet, spec)
        await self._locker.write(session, book)
        return grant_view(grant, now=book.now), wallet_view(wallet, owner_id=owner_id, email=subject.email), replayed

    async def void_grant(
        self, session: AsyncSession, owner_id: str, grant_id: UUID, *, actor: str, reason: str
    ) -> tuple[Grant, Wallet]:
        """Take a grant back: at once what no open hold protects, the rest when the holds close. Safe to repeat.

        Raises:
            UnknownWalletError, UnknownGrantError.
        """
        subject = await self.get_owner(session, owner_id)
        actor = await self._subjects.append_only_actor(session, actor)
        book = await self._lock(session, [subject.subject_id])
        await self._ledger.load_grants_by_id(session, book, [grant_id])
        wallet = book.wallets[subject.subject_id]
        if grant_id not in wallet.grants:
            raise UnknownGrantError(grant_id)
        filled_by = await self._ledger.filled_by(session, subject.subject_id, grant_id)
        grant = void_grant(book, wallet, wallet.grants[grant_id], actor=actor, reason=reason, filled_by=filled_by)
        await self._locker.write(session, book)
        return grant_view(grant, now=book.now), wallet_view(wallet, owner_id=owner_id, email=subject.email)

    @property
    def simulated(self) -> bool:
        """Whether the moments are not the database's own."""
        return self._locker.now() is not None

    async def wallet(self, session: AsyncSession, owner_id: str) -> Wallet:
        """Return a wallet as of now, with its live grants.

        Raises:
            UnknownWalletError: nobody of that id was seen yet.
        """
        subject = await self.get_owner(session, owner_id)
        book = await self._locker.matured(session, subject.subject_id)
        grants = await self._ledger.grants(session, subject.subject_id)
        views = tuple(grant_view(grant, now=book.now) for grant in grants)
        return wallet_view(book.wallets[subject.subject_id], owner_id=owner_id, email=subject.email, grants=views)

    async def wallets(
        self, session: AsyncSession, *, prefix: str | None = None, after: str | None = None, limit: int = 100
    ) -> list[Wallet]:
        """Return wallets as of now without their grants, in order of their owners' ids, from just behind `after`."""
        owners = await self._ledger.list_wallets(session, prefix=prefix, after=after, limit=limit)
        if not owners:
            return []
        book = await self._locker.all_matured(session, [owner.subject_id for owner in owners])
        return [
            wallet_view(book.wallets[owner.subject_id], owner_id=owner.external_id, email=owner.email)
            for owner in owners
        ]

    async def grants(self, session: AsyncSession, owner_id: str) -> list[Grant]:
        """Return all grants of a wallet, spent and lapsed ones included, oldest first."""
        subject = await self.get_owner(session, owner_id)
        book = await self._locker.matured(session, subject.subject_id)
        found = await self._ledger.grants(session, subject.subject_id, live=False)
        return [grant_view(grant, now=book.now) for grant in found]

    async def grants_by_prefix(self, session: AsyncSession, owner_id: str, prefix: str) -> tuple[datetime, list[Grant]]:
        """Return the present moment, and the grants whose key begins with `prefix`, newest first (at most 1,000)."""
        subject = await self.get_owner(session, owner_id)
        book = await self._locker.matured(session, subject.subject_id)
        found = await self._ledger.grants_by_prefix(session, subject.subject_id, prefix)
        return book.now, [grant_view(grant, now=book.now) for grant in found]

    async def grant_use(
        self, session: AsyncSession, owner_id: str, grants: Sequence[Grant], *, since: datetime
    ) -> tuple[list[GrantUse], int]:
        """Return what became of each grant since a moment, and what filling them has repaid of the credit limit."""
        wallet_id = (await self.get_owner(session, owner_id)).subject_id
        ids = [UUID(grant.id) for grant in grants]
        uses = await self._ledger.grant_use(session, wallet_id, ids, since=since)
        actors = [grant.actor for grant in grants if grant.actor is not None]
        repaid = await self._ledger.repaid_by(session, wallet_id, ids, actors, since=since)
        return [uses[grant_id] for grant_id in ids], repaid

    async def change_wallet(
        self, session: AsyncSession, owner_id: str, change: Callable[[WalletState], None]
    ) -> Wallet:
        """Make the wallet if need be, apply `change` to its limit, plan or status under the lock, and return it."""
        subject = (await self.ensure_wallets(session, [owner_id]))[owner_id]
        book = await self._lock(session, [subject.subject_id])
        wallet = book.wallets[subject.subject_id]
        change(wallet)
        book.touch(wallet)
        await self._locker.write(session, book)
        return wallet_view(wallet, owner_id=owner_id, email=subject.email)

    async def transactions(
        self, session: AsyncSession, owner_id: str, *, before: int | None = None, limit: int = 100
    ) -> list[CreditTransaction]:
        """Return a wallet's transactions, newest first, from just below sequence number `before`.

        Numbers are given under the wallet's lock, so a list read page by page stays exact while rows arrive.
        """
        subject = await self.get_owner(session, owner_id)
        await self._locker.matured(session, subject.subject_id)
        transfers = await self._ledger.transfers(session, subject.subject_id, before=before, limit=limit)
        keys = [transfer.usage_key for transfer in transfers if transfer.usage_key is not None]
        charges: Mapping[str, ChargeState] = await self._ledger.charges(session, keys) if keys else {}
        return [transaction_view(transfer, charges) for transfer in transfers]

    async def transactions_of(self, session: AsyncSession, charge: ChargeState) -> list[CreditTransaction]:
        """Return what one use moved, corrections included, in order."""
        transfers = await self._ledger.transfers_of(session, charge)
        return [transaction_view(transfer, {charge.usage_key: charge}) for transfer in transfers]

    async def balances(self, session: AsyncSession, wallet_ids: Iterable[int]) -> Mapping[int, Balance]:
        """Return the counters of wallets as they stand; nothing is locked or matured."""
        book = await self._ledger.read(session, wallet_ids, now=self._locker.now())
        return {wallet.wallet_id: _balance(wallet) for wallet in book.wallets.values()}

    async def sweep(self, session: AsyncSession, *, limit: int = 500) -> int:
        """Mature the wallets that are longest overdue; return how many. Hygiene only: no answer waits for it."""
        due = await self._ledger.due_wallets(session, now=self._locker.now(), limit=limit)
        if due:
            await self._locker.write(session, await self._lock(session, due))
        return len(due)

    def _remembered(self, owner_ids: Iterable[str]) -> dict[str, Subject]:
        if self._owners_fresh.passed:
            self._owners.clear()
            self._owners_fresh = Deadline(_OWNERS_REMEMBERED_SECONDS)
        return {owner_id: subject for owner_id in owner_ids if (subject := self._owners.get(owner_id)) is not None}

    async def _find_or_make(self, session: AsyncSession, owner_ids: Iterable[str]) -> Mapping[str, Subject]:
        subjects = await self._subjects.ensure(session, owner_ids)
        new = await self._ledger.add_wallets(session, (subject.subject_id for subject in subjects.values()))
        if new and self._initial_micros:
            book = await self._lock(session, new)
            for wallet_id in new:
                spec = GrantSpec(self._initial_micros, GrantSource.INITIAL, key="initial")
                add_grant(book, book.wallets[wallet_id], spec)
            await self._locker.write(session, book)
        if len(self._owners) > _OWNERS_REMEMBERED:
            self._owners.clear()
        self._owners.update({k: s for k, s in subjects.items() if s.subject_id not in new})
        return subjects

    async def _lock(
        self,
        session: AsyncSession,
        wallet_ids: Iterable[int],
        *,
        keys: Sequence[str] = (),
        seen: Mapping[str, ChargeState] | None = None,
        scopes: Iterable[str] = (),
    ) -> Book:
        try:
            return await self._locker.lock(session, wallet_ids, keys=keys, seen=seen, scopes=scopes)
        except RetryTransactionError:
            self._owners.clear()
            raise

    async def _load_for(self, session: AsyncSession, book: Book, postings: Sequence[Posting]) -> None:
        """Read the grants that may be touched: enough for what is asked, all where some are restricted."""
        needs: dict[int, int] = {}
        for posting in postings:
            charge = book.charges.get(posting.usage_key)
            wallet_id = charge.wallet_id if charge else posting.wallet_id
            if wallet_id not in book.wallets:
                raise RetryTransactionError(f"the payer of {posting.usage_key!r} is not locked")
            needs[wallet_id] = needs.get(wallet_id, 0) + posting.chargeable
        held = {c.wallet_id for c in book.charges.values() if c.hold_grants and c.wallet_id in book.wallets}
        await self._ledger.load_grants(session, book, held | {w for w in needs if book.wallets[w].earmarked})
        await self._ledger.load_grants_for(session, book, {w: need for w, need in needs.items() if need})

    async def _add_other_payers(self, session: AsyncSession, book: Book) -> None:
        """Show the wallets of replayed holds that another payer opened (a membership has changed since); not locked."""
        others = {charge.wallet_id for charge in book.charges.values()} - book.wallets.keys()
        if others:
            book.wallets.update((await self._ledger.read(session, others, now=self._locker.now())).wallets)

    async def _on_charge(
        self, session: AsyncSession, usage_key: str, change: Callable[[Book, ChargeState], object]
    ) -> Held:
        wallet_id = (await self.get_charge(session, usage_key)).wallet_id
        book = await self._lock(session, [wallet_id], keys=[usage_key])
        charge = book.charges[usage_key]
        if charge.hold_grants:
            await self._ledger.load_grants(session, book, [wallet_id])
        change(book, charge)
        await self._locker.write(session, book)
        return _held(book, charge)


def _attempt(decide: Callable[[Q], A], item: Q) -> A | FaregateError:
    try:
        return decide(item)
    except FaregateError as refusal:
        return refusal


def _held(book: Book, charge: ChargeState) -> Held:
    return Held(charge, _balance(book.wallets[charge.wallet_id]))


def _balance(wallet: WalletState) -> Balance:
    return Balance(wallet.balance, wallet.held, wallet.free)
