"""Credit service: wallets, grants, holds and settlements."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import Deadline
from faregate.core.db.subjects import Subject, Subjects
from faregate.core.errors import FaregateError, RetryTransactionError
from faregate.credit.errors import UnknownGrantError, UnknownWalletError, unknown_usage_key
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.grants import GrantSpec, add_grant, void_grant
from faregate.credit.ledger.holds import (
    HoldRequest,
    extend_hold,
    open_hold,
    renew_hold,
    require_active,
    void_hold,
)
from faregate.credit.ledger.settlement import PostingRequest, settle
from faregate.credit.ledger.states import ChargeState, GrantUse, WalletState
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.services.repricing import RepricingService
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.values import CreditTransaction, Grant, Wallet, grant_view, transaction_view, wallet_view
from faregate.wire.credits import to_credits

__all__ = ["CreditService", "HoldResult", "SettledCharge", "StartedCharge", "WalletCounters"]

_OWNERS_REMEMBERED = 100_000
_OWNERS_REMEMBERED_SECONDS = 1.0
"""An erased owner gets a new subject id when it is seen again; every process uses it within this time."""

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class WalletCounters:
    """A wallet's counters, in micro-credits, after one decision of a batch."""

    balance: int
    held: int
    free: int


class StartedCharge(NamedTuple):
    """A charge and its user; `organization` is the owner id (`org:<id>`) for which it was started."""

    charge: ChargeState
    user_id: str
    organization: str | None


@dataclass(frozen=True, slots=True)
class HoldResult:
    """A charge whose hold was opened, extended or voided, and the wallet's counters after it."""

    charge: ChargeState
    wallet: WalletCounters


class SettledCharge(NamedTuple):
    """A settled charge; `replayed` if an earlier call had settled it."""

    charge: ChargeState
    replayed: bool


class CreditService:
    """Operations on the ledger. Works in the caller's transaction and never commits.

    Args:
        initial_micros: amount of the grant that each new wallet gets once, in micro-credits.

    Attributes:
        repricing: charges afterwards for lines that had no price when they were settled.
    """

    def __init__(
        self,
        repository: LedgerRepository,
        ledger_session: LedgerSession,
        subjects: Subjects,
        repricing: RepricingService,
        *,
        initial_micros: int = 0,
    ) -> None:
        self._ledger = repository
        self._ledger_session = ledger_session
        self._subjects = subjects
        self.repricing = repricing
        self._initial_micros = initial_micros
        self._owners: dict[str, Subject] = {}
        self._owners_fresh = Deadline(_OWNERS_REMEMBERED_SECONDS)

    async def ensure_wallets(self, session: AsyncSession, owner_ids: Iterable[str]) -> Mapping[str, Subject]:
        """Return the subjects of these owners; owners without a wallet get one, with the initial grant."""
        ids = set(owner_ids)
        known = self._remembered(ids)
        if len(known) < len(ids):
            known |= await self._find_or_make(session, ids - known.keys())
        return known

    async def find_owners(self, session: AsyncSession, owner_ids: Iterable[str]) -> Mapping[str, Subject]:
        """Return the subjects of the known ones of these owners; creates nothing."""
        ids = set(owner_ids)
        known = self._remembered(ids)
        return known | dict(await self._subjects.find(session, ids - known.keys()))

    async def get_owner(self, session: AsyncSession, owner_id: str) -> Subject:
        """Return the subject of one owner, or raise `UnknownWalletError`."""
        subject = (await self._subjects.find(session, [owner_id])).get(owner_id)
        if subject is None or not await self._ledger.has_wallet(session, subject.subject_id):
            raise UnknownWalletError(owner_id, initial_credits=to_credits(self._initial_micros))
        return subject

    async def authorize(
        self, session: AsyncSession, requests: Sequence[HoldRequest]
    ) -> list[HoldResult | FaregateError]:
        """Open holds. Each one succeeds or is refused independently, in the order given. All wallets must exist."""
        scopes = [scope for request in requests for scope in request.limit_scopes]
        keys = [request.usage_key for request in requests if not request.is_new]
        book = await self._lock(session, (r.wallet_id for r in requests), keys=keys, scopes=scopes)
        await self._ledger.load_grants(session, book, [w.wallet_id for w in book.wallets.values() if w.earmarked])
        await self._add_other_payers(session, book)
        outcomes = [_attempt(lambda request: _held(book, open_hold(book, request)), request) for request in requests]
        await self._ledger_session.write(session, book)
        return outcomes

    async def warm_up(self, session: AsyncSession) -> None:
        """Prepare the statements of a settlement on this connection; changes nothing."""
        await self._ledger.warm_up(session)

    async def find_started(self, session: AsyncSession, usage_keys: Iterable[str]) -> Mapping[str, StartedCharge]:
        """Return the known ones of these uses in their present state, without locking."""
        found = await self._ledger.started(session, usage_keys)
        return {
            charge.usage_key: StartedCharge(charge, user_id, organization) for charge, user_id, organization in found
        }

    async def get_charge(self, session: AsyncSession, usage_key: str) -> ChargeState:
        """Return one use, or raise `UnknownUsageKeyError`."""
        charge = (await self._ledger.charges(session, [usage_key])).get(usage_key)
        if charge is None:
            raise unknown_usage_key(usage_key)
        return charge

    async def post(
        self,
        session: AsyncSession,
        requests: Sequence[PostingRequest],
        *,
        seen: Mapping[str, ChargeState] | None = None,
    ) -> list[SettledCharge | FaregateError]:
        """Settle uses. Each one succeeds or is refused independently, in the order given.

        `seen` are charges that `find_started` has returned in this transaction; do not use them afterwards.

        Raises:
            RetryTransactionError: a charge with another payer was inserted meanwhile; run the transaction again.
        """
        if not requests:
            return []
        wallet_ids = {request.wallet_id for request in requests}
        scopes = [scope for request in requests if request.opening for scope in request.opening.limit_scopes]
        keys = [request.usage_key for request in requests]
        holds = {request.drawn_from for request in requests if request.drawn_from is not None}
        book = await self._lock(session, wallet_ids, keys=[*keys, *holds], seen=seen, scopes=scopes)
        await self._load_for(session, book, requests)
        outcomes = [_attempt(lambda request: SettledCharge(*settle(book, request)), request) for request in requests]
        await self._ledger_session.write(session, book)
        return outcomes

    async def limit_kinds(self) -> frozenset[str]:
        """Return the kinds of scopes that have spending limits (`user`, `member`, `key`), at most half a second old.

        Call it before a transaction: it uses a connection of its own.
        """
        return await self._ledger_session.limit_kinds.get()

    async def void(self, session: AsyncSession, usage_key: str, *, reason: str | None = None) -> HoldResult:
        """Void an open hold; repeating it changes nothing.

        Raises:
            UnknownUsageKeyError, AlreadySettledError, HoldClosedError (expired).
        """
        return await self._on_charge(session, usage_key, lambda book, charge: void_hold(book, charge, reason=reason))

    async def extend(self, session: AsyncSession, usage_key: str, *, ttl_seconds: int) -> HoldResult:
        """Extend an open hold to at least `ttl_seconds` from now.

        Raises:
            UnknownUsageKeyError, AlreadySettledError, HoldClosedError.
        """
        return await self._on_charge(session, usage_key, lambda book, charge: extend_hold(book, charge, ttl_seconds))

    async def renew(
        self, session: AsyncSession, usage_key: str, *, ttl_seconds: int, amount: int | None = None
    ) -> HoldResult:
        """Extend an open hold and raise it towards `amount` micro-credits, as far as the wallet and its limits allow.

        Raises:
            UnknownUsageKeyError, AlreadySettledError, HoldClosedError, WalletFrozenError, WalletClosedError.
        """
        return await self._on_charge(
            session, usage_key, lambda book, charge: renew_hold(book, charge, ttl_seconds=ttl_seconds, amount=amount)
        )

    async def grant(self, session: AsyncSession, owner_id: str, spec: GrantSpec) -> tuple[Grant, Wallet, bool]:
        """Add a grant to a wallet, creating the wallet if needed; each key adds it once (True for a replay)."""
        subject = (await self.ensure_wallets(session, [owner_id]))[owner_id]
        if spec.actor is not None:
            spec = replace(spec, actor=await self._subjects.append_only_actor(session, spec.actor))
        book = await self._lock(session, [subject.subject_id])
        if spec.key is not None:
            await self._ledger.load_grants_by_key(session, book, [(subject.subject_id, spec.key)])
        wallet = book.wallets[subject.subject_id]
        grant, replayed = add_grant(book, wallet, spec)
        await self._ledger_session.write(session, book)
        return grant_view(grant, now=book.now), wallet_view(wallet, owner_id=owner_id, email=subject.email), replayed

    async def void_grant(
        self, session: AsyncSession, owner_id: str, grant_id: UUID, *, actor: str, reason: str
    ) -> tuple[Grant, Wallet]:
        """Void a grant: what no open hold protects is taken at once, the rest when the holds close. Safe to repeat.

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
        await self._ledger_session.write(session, book)
        return grant_view(grant, now=book.now), wallet_view(wallet, owner_id=owner_id, email=subject.email)

    @property
    def simulated(self) -> bool:
        """Whether a simulated clock replaces the database's."""
        return self._ledger_session.now() is not None

    async def wallet(self, session: AsyncSession, owner_id: str) -> Wallet:
        """Return a wallet as of now, with its live grants.

        Raises:
            UnknownWalletError: the owner has no wallet yet.
        """
        subject = await self.get_owner(session, owner_id)
        book = await self._ledger_session.matured(session, subject.subject_id)
        grants = await self._ledger.grants(session, subject.subject_id)
        views = tuple(grant_view(grant, now=book.now) for grant in grants)
        return wallet_view(book.wallets[subject.subject_id], owner_id=owner_id, email=subject.email, grants=views)

    async def usable(self, session: AsyncSession, owner_id: str, feature_key: str) -> Decimal:
        """Return the credits that a feature may use of a wallet now; of a new one, the initial grant. Creates nothing.

        Raises:
            WalletFrozenError, WalletClosedError: the wallet accepts no uses.
        """
        try:
            subject = await self.get_owner(session, owner_id)
        except UnknownWalletError:
            return to_credits(self._initial_micros)
        book = await self._ledger_session.matured(session, subject.subject_id)
        wallet = book.wallets[subject.subject_id]
        require_active(wallet)
        if wallet.earmarked:
            await self._ledger.load_grants(session, book, [wallet.wallet_id])
        return to_credits(wallet.free_for(feature_key))

    async def wallets(
        self, session: AsyncSession, *, prefix: str | None = None, after: str | None = None, limit: int = 100
    ) -> list[Wallet]:
        """Return wallets as of now, without their grants, in order of their owner ids, starting after `after`."""
        owners = await self._ledger.list_wallets(session, prefix=prefix, after=after, limit=limit)
        if not owners:
            return []
        book = await self._ledger_session.all_matured(session, [owner.subject_id for owner in owners])
        return [
            wallet_view(book.wallets[owner.subject_id], owner_id=owner.external_id, email=owner.email)
            for owner in owners
        ]

    async def grants(self, session: AsyncSession, owner_id: str) -> list[Grant]:
        """Return all grants of a wallet, used and expired ones included, oldest first."""
        subject = await self.get_owner(session, owner_id)
        book = await self._ledger_session.matured(session, subject.subject_id)
        found = await self._ledger.grants(session, subject.subject_id, live=False)
        return [grant_view(grant, now=book.now) for grant in found]

    async def grants_by_prefix(self, session: AsyncSession, owner_id: str, prefix: str) -> tuple[datetime, list[Grant]]:
        """Return the present moment, and the grants whose key begins with `prefix`, newest first (at most 1,000)."""
        subject = await self.get_owner(session, owner_id)
        book = await self._ledger_session.matured(session, subject.subject_id)
        found = await self._ledger.grants_by_prefix(session, subject.subject_id, prefix)
        return book.now, [grant_view(grant, now=book.now) for grant in found]

    async def grant_use(
        self, session: AsyncSession, owner_id: str, grants: Sequence[Grant], *, since: datetime
    ) -> tuple[list[GrantUse], int]:
        """Return the use of each grant since a moment, and what filling the grants has repaid of the credit limit."""
        wallet_id = (await self.get_owner(session, owner_id)).subject_id
        ids = [UUID(grant.id) for grant in grants]
        uses = await self._ledger.grant_use(session, wallet_id, ids, since=since)
        actors = [grant.actor for grant in grants if grant.actor is not None]
        repaid = await self._ledger.repaid_by(session, wallet_id, ids, actors, since=since)
        return [uses[grant_id] for grant_id in ids], repaid

    async def change_wallet(
        self, session: AsyncSession, owner_id: str, change: Callable[[WalletState], None]
    ) -> Wallet:
        """Apply `change` to the wallet's limit, plan or status under its lock; create the wallet if needed."""
        subject = (await self.ensure_wallets(session, [owner_id]))[owner_id]
        book = await self._lock(session, [subject.subject_id])
        wallet = book.wallets[subject.subject_id]
        change(wallet)
        book.touch(wallet)
        await self._ledger_session.write(session, book)
        return wallet_view(wallet, owner_id=owner_id, email=subject.email)

    async def transactions(
        self, session: AsyncSession, owner_id: str, *, before: int | None = None, limit: int = 100
    ) -> list[CreditTransaction]:
        """Return a wallet's transactions, newest first, below sequence number `before`.

        Sequence numbers are assigned under the wallet's lock, so that reading page by page misses and repeats nothing.
        """
        subject = await self.get_owner(session, owner_id)
        await self._ledger_session.matured(session, subject.subject_id)
        transfers = await self._ledger.transfers(session, subject.subject_id, before=before, limit=limit)
        keys = [transfer.usage_key for transfer in transfers if transfer.usage_key is not None]
        charges: Mapping[str, ChargeState] = await self._ledger.charges(session, keys) if keys else {}
        return [transaction_view(transfer, charges) for transfer in transfers]

    async def transactions_of(self, session: AsyncSession, charge: ChargeState) -> list[CreditTransaction]:
        """Return the transactions of one use, corrections included, in order."""
        transfers = await self._ledger.transfers_of(session, charge)
        return [transaction_view(transfer, {charge.usage_key: charge}) for transfer in transfers]

    async def balances(self, session: AsyncSession, wallet_ids: Iterable[int]) -> Mapping[int, WalletCounters]:
        """Return the stored counters of wallets, without locking them or bringing them up to date."""
        book = await self._ledger.read(session, wallet_ids, now=self._ledger_session.now())
        return {wallet.wallet_id: _balance(wallet) for wallet in book.wallets.values()}

    async def sweep(self, session: AsyncSession, *, limit: int = 500) -> int:
        """Bring the wallets that are longest overdue up to date; return how many. Optional: no answer depends on it."""
        due = await self._ledger.due_wallets(session, now=self._ledger_session.now(), limit=limit)
        if due:
            await self._ledger_session.write(session, await self._lock(session, due))
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
            await self._ledger_session.write(session, book)
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
            return await self._ledger_session.lock(session, wallet_ids, keys=keys, seen=seen, scopes=scopes)
        except RetryTransactionError:
            self._owners.clear()
            raise

    async def _load_for(self, session: AsyncSession, book: Book, requests: Sequence[PostingRequest]) -> None:
        """Read the grants that the settlements may use: enough to cover the amounts, or all where some are restricted."""
        needs: dict[int, int] = {}
        for request in requests:
            charge = book.charges.get(request.usage_key)
            wallet_id = charge.wallet_id if charge else request.wallet_id
            if wallet_id not in book.wallets:
                raise RetryTransactionError(f"the payer of {request.usage_key!r} is not locked")
            needs[wallet_id] = needs.get(wallet_id, 0) + request.chargeable
        held = {c.wallet_id for c in book.charges.values() if c.hold_grants and c.wallet_id in book.wallets}
        await self._ledger.load_grants(session, book, held | {w for w in needs if book.wallets[w].earmarked})
        await self._ledger.load_grants_for(session, book, {w: need for w, need in needs.items() if need})

    async def _add_other_payers(self, session: AsyncSession, book: Book) -> None:
        """Add the wallets of replayed holds that another payer opened (before a membership changed), without locking."""
        others = {charge.wallet_id for charge in book.charges.values()} - book.wallets.keys()
        if others:
            book.wallets.update((await self._ledger.read(session, others, now=self._ledger_session.now())).wallets)

    async def _on_charge(
        self, session: AsyncSession, usage_key: str, change: Callable[[Book, ChargeState], object]
    ) -> HoldResult:
        wallet_id = (await self.get_charge(session, usage_key)).wallet_id
        book = await self._lock(session, [wallet_id], keys=[usage_key])
        charge = book.charges[usage_key]
        if charge.hold_grants or book.wallets[wallet_id].earmarked:
            await self._ledger.load_grants(session, book, [wallet_id])
        change(book, charge)
        await self._ledger_session.write(session, book)
        return _held(book, charge)


def _attempt(decide: Callable[[Q], A], item: Q) -> A | FaregateError:
    try:
        return decide(item)
    except FaregateError as refusal:
        return refusal


def _held(book: Book, charge: ChargeState) -> HoldResult:
    return HoldResult(charge, _balance(book.wallets[charge.wallet_id]))


def _balance(wallet: WalletState) -> WalletCounters:
    return WalletCounters(wallet.balance, wallet.held, wallet.free)
