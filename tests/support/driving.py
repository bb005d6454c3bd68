"""One wallet and repeatable operations on it, in memory or on PostgreSQL.

Every operation states in `replay` that a repetition after success must change nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import FixedClock
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.credit.ledger.accounts import GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.corrections import adjust, charge_back, refund
from faregate.credit.ledger.grants import GrantSpec, add_grant, void_grant
from faregate.credit.ledger.holds import HoldRequest, extend_hold, open_hold, void_hold
from faregate.credit.ledger.reasons import operation_digest
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest, settle
from faregate.credit.ledger.states import ChargeState, GrantSlice, GrantState, Transfer, TransferNote, WalletState
from faregate.credit.ledger.time_effects import mature
from faregate.credit.proof.verify import Drift, Verifier
from support.ledger import START, make_credit

__all__ = [
    "Adjust",
    "ChargeBack",
    "DatabaseDriver",
    "Extend",
    "Hold",
    "Limit",
    "Operation",
    "PureDriver",
    "PutGrant",
    "Refund",
    "Settle",
    "State",
    "TakeGrant",
    "Void",
]

T = TypeVar("T")
OWNER = "owner"


@dataclass(frozen=True)
class PutGrant:
    key: str
    amount: int
    source: GrantSource
    priority: int = 50
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    features: tuple[str, ...] | None = None
    every: str | None = None
    rollover_max: int = 0

    @property
    def spec(self) -> GrantSpec:
        return GrantSpec(
            self.amount,
            self.source,
            priority=self.priority,
            effective_at=self.effective_at,
            expires_at=self.expires_at,
            features=self.features,
            every=self.every,
            rollover_max=self.rollover_max,
            key=self.key,
        )


@dataclass(frozen=True)
class TakeGrant:
    key: str


@dataclass(frozen=True)
class Hold:
    key: str
    amount: int
    ttl: int
    feature: str


@dataclass(frozen=True)
class Extend:
    key: str
    ttl: int


@dataclass(frozen=True)
class Settle:
    key: str
    amount: int
    feature: str
    in_full: bool = False


@dataclass(frozen=True)
class Void:
    key: str


@dataclass(frozen=True)
class Refund:
    usage_key: str
    kind: TransferKind
    amount: int | None
    operation_key: str


@dataclass(frozen=True)
class Adjust:
    amount: int
    operation_key: str


@dataclass(frozen=True)
class ChargeBack:
    grant_key: str


@dataclass(frozen=True)
class Limit:
    amount: int


Operation = PutGrant | TakeGrant | Hold | Extend | Settle | Void | Refund | Adjust | ChargeBack | Limit


class Absent(Exception):  # noqa: N818
    """The object of the operation does not exist."""


@dataclass(frozen=True)
class State:
    """The complete state, comparable between drivers: grants by position, no ids, no hashes."""

    wallet: tuple[Any, ...]
    grants: tuple[tuple[Any, ...], ...]
    charges: tuple[tuple[Any, ...], ...]
    transfers: int


class Driver(Protocol):
    clock: FixedClock

    def apply(self, operation: Operation) -> str: ...
    def state(self) -> State: ...


def note_of(operation: Refund | Adjust | ChargeBack) -> TransferNote:
    key = None if isinstance(operation, ChargeBack) else operation.operation_key
    return TransferNote(actor="test", reason="test", operation_key=key)


def request_of(wallet_id: int, op: Hold) -> HoldRequest:
    meaning = repr(op).encode()
    return HoldRequest(op.key, wallet_id, wallet_id, None, op.feature, "individual", op.amount, op.ttl, meaning)


def charge_request_of(wallet_id: int, op: Settle) -> PostingRequest:
    opening = ChargeOpening(wallet_id, wallet_id, None, op.feature, "individual")
    return PostingRequest(op.key, op.amount, op.amount, f"{op.amount}".encode(), opening=opening, in_full=op.in_full)


class PureDriver:
    """The ledger rules only: books over one wallet in memory."""

    def __init__(self) -> None:
        self.clock = FixedClock(START)
        self.wallet = WalletState(1, all_grants=True)
        self.charges: dict[str, ChargeState] = {}
        self.transfers: list[Transfer] = []
        self.slices: list[GrantSlice] = []

    def apply(self, operation: Operation) -> str:
        """Perform it; return "done", or the name of the refusal."""
        book = self.mature()
        try:
            self._do(book, operation)
        except (FaregateError, Absent) as refusal:
            assert not book.transfers, "a refusal posts nothing"
            return type(refusal).__name__
        self._keep(book)
        return "done"

    def mature(self) -> Book:
        """Apply the effects of time, and return the current book."""
        book = self._book()
        if self.wallet.next_change_at is not None and self.wallet.next_change_at <= book.now:
            mature(book, self.wallet, self.charges.values(), holds_until=book.now)
            self._keep(book)
        return self._book()

    def state(self) -> State:
        self.mature()
        grants, charges = self.wallet.grants.values(), self.charges.values()
        return _state(self.wallet, grants, charges, len(self.transfers))

    def _book(self) -> Book:
        book = Book(self.clock.now(), [self.wallet])
        book.charges = self.charges
        return book

    def _keep(self, book: Book) -> None:
        self.transfers += book.transfers
        self.slices += book.slices

    def _do(self, book: Book, op: Operation) -> object:  # noqa: C901
        match op:
            case PutGrant():
                return add_grant(book, self.wallet, op.spec)
            case TakeGrant():
                return void_grant(book, self.wallet, self._grant(op.key), actor="test", reason="test")
            case Hold():
                return open_hold(book, request_of(1, op))
            case Extend():
                return extend_hold(book, self._charge(op.key), op.ttl)
            case Settle():
                return settle(book, charge_request_of(1, op))
            case Void():
                return void_hold(book, self._charge(op.key), reason=None)
            case Refund():
                self._refund(book, op)
            case Adjust():
                if not self._done(op.operation_key):
                    adjust(book, self.wallet, op.amount, note=note_of(op))
            case ChargeBack():
                self._charge_back(book, op)
            case Limit():
                self.wallet.credit_limit = max(self.wallet.credit_limit, op.amount)
        return None

    def _refund(self, book: Book, op: Refund) -> None:
        original = self._first(lambda t: t.usage_key == op.usage_key and t.kind is op.kind)
        if self._done(op.operation_key):
            return
        refunds = [t for t in self.transfers if t.corrects_seq == original.seq and t.kind is TransferKind.REFUND]
        given = {transfer.seq for transfer in refunds}
        refund(
            book,
            self.wallet,
            original,
            amount=op.amount,
            slices=sorted((s for s in self.slices if s.seq == original.seq), key=lambda s: s.grant_id),
            refunds=refunds,
            refund_slices=[s for s in self.slices if s.seq in given],
            note=note_of(op),
        )

    def _charge_back(self, book: Book, op: ChargeBack) -> None:
        original = self._first(lambda t: t.operation_key == operation_digest(op.grant_key))
        earlier = [t for t in self.transfers if t.corrects_seq == original.seq]
        grants = [s.grant_id for s in self.slices if s.seq == original.seq]
        charge_back(book, self.wallet, original, grants=grants, earlier=earlier, note=note_of(op))

    def _done(self, operation_key: str) -> bool:
        return any(t.operation_key == operation_digest(operation_key) for t in self.transfers)

    def _first(self, wanted: Callable[[Transfer], bool]) -> Transfer:
        found = next((t for t in self.transfers if wanted(t)), None)
        if found is None:
            raise Absent
        return found

    def _grant(self, key: str) -> GrantState:
        found = next((grant for grant in self.wallet.grants.values() if grant.key == key), None)
        if found is None:
            raise Absent
        return found

    def _charge(self, key: str) -> ChargeState:
        if key not in self.charges:
            raise Absent
        return self.charges[key]


class DatabaseDriver:
    """The same wallet in PostgreSQL: services, statements and constraints included; one transaction, rolled back at the end."""

    def __init__(self, database: Database, runner: asyncio.Runner) -> None:
        self.clock = FixedClock(START)
        self.database = database
        self.runner = runner
        self.credit = make_credit(database, clock=self.clock)
        self.verifier = Verifier(database)
        self.wallet_id = 0
        self._opened = self._run(self._open())

    def apply(self, operation: Operation) -> str:
        return self._run(self._apply(operation))

    def state(self) -> State:
        return self._run(self._state())

    def drifts(self) -> tuple[Drift, ...]:
        """Return the findings of `verify`."""
        return self._run(self.verifier.drifts(self._opened[0]))

    def transfers(self) -> list[Transfer]:
        async def read() -> list[Transfer]:
            return await self.credit.repository.transfers(self._opened[0], self.wallet_id, before=None, limit=10_000)

        return self._run(read())[::-1]

    def close(self) -> None:
        self._run(self._opened[0].rollback())
        self._run(self._opened[0].close())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> "tuple[AsyncSession, asyncpg.Connection[asyncpg.Record]]":
        engine = self.database._require_engine()
        session = AsyncSession(engine, expire_on_commit=False)
        await session.begin()
        owners = await self.credit.service.ensure_wallets(session, [OWNER])
        self.wallet_id = owners[OWNER].subject_id
        return session, await self.database.driver(session)

    async def _apply(self, operation: Operation) -> str:
        session, driver = self._opened
        savepoint = driver.transaction()
        await savepoint.start()
        try:
            await self._do(session, operation)
        except (FaregateError, Absent) as refusal:
            await savepoint.rollback()
            return "Absent" if type(refusal).__name__ == "UnknownUsageKeyError" else type(refusal).__name__
        await savepoint.commit()
        return "done"

    async def _do(self, session: AsyncSession, op: Operation) -> object:  # noqa: C901
        service, corrections = self.credit.service, self.credit.corrections
        match op:
            case PutGrant():
                return await service.grant(session, OWNER, op.spec)
            case TakeGrant():
                grants = await self.credit.repository.grants(session, self.wallet_id, live=False)
                grant_id = next((g.grant_id for g in grants if g.key == op.key), None)
                if grant_id is None:
                    raise Absent
                return await service.void_grant(session, OWNER, grant_id, actor="test", reason="test")
            case Hold():
                return _raised(await service.authorize(session, [request_of(self.wallet_id, op)]))
            case Extend():
                return await service.extend(session, op.key, ttl_seconds=op.ttl)
            case Settle():
                return _raised(await service.post(session, [charge_request_of(self.wallet_id, op)]))
            case Void():
                return await service.void(session, op.key)
            case Refund():
                wanted = await self._find(session, f"usage_key = '{op.usage_key}' and kind = {int(op.kind)}")
                return await corrections.refund(session, wanted, amount=op.amount, note=note_of(op))
            case Adjust():
                return await corrections.adjust(session, OWNER, amount=op.amount, note=note_of(op))
            case ChargeBack():
                wanted = await self._find(session, f"operation_key = '{operation_digest(op.grant_key)}'")
                return await corrections.charge_back(session, wanted, note=note_of(op))
            case Limit():

                def change(wallet: WalletState) -> None:
                    wallet.credit_limit = max(wallet.credit_limit, op.amount)

                return await service.change_wallet(session, OWNER, change)

    async def _find(self, session: AsyncSession, condition: str) -> str:
        await self.credit.service.wallet(session, OWNER)  # matured, so that transfers posted by time are included
        sql = f"select seq from faregate.transfer where wallet_id = :wallet_id and {condition} order by seq limit 1"
        rows = await self.database.rows(session, sql, wallet_id=self.wallet_id)
        if not rows:
            raise Absent
        return f"{self.wallet_id}-{rows[0].seq}"

    async def _state(self) -> State:
        session, _ = self._opened
        repository = self.credit.repository
        await self.credit.service.wallet(session, OWNER)
        book = await repository.read(session, [self.wallet_id], now=self.clock.now())
        grants = await repository.grants(session, self.wallet_id, live=False)
        keys = [row.usage_key for row in await self.database.rows(session, "select usage_key from faregate.charge")]
        charges = await repository.charges(session, keys)
        (last,) = await self.database.rows(session, "select count(*) as n from faregate.transfer")
        return _state(book.wallets[self.wallet_id], grants, charges.values(), last.n)


def _raised(outcomes: Any) -> object:
    (outcome,) = outcomes
    if isinstance(outcome, FaregateError):
        raise outcome
    return outcome


def _state(wallet: WalletState, grants: Any, charges: Any, transfers: int) -> State:
    return State(
        (wallet.credits, wallet.debits, wallet.held, wallet.earmarked, wallet.debt, wallet.credit_limit, wallet.last_seq),
        tuple(sorted((_grant(grant) for grant in grants), key=repr)),
        tuple(sorted(_charge(charge) for charge in charges)),
        transfers,
    )  # fmt: skip


def _grant(grant: GrantState) -> tuple[Any, ...]:
    renews = grant.renewal.next_at if grant.renewal else None
    return (
        grant.key,
        grant.source,
        grant.amount,
        grant.remaining,
        grant.held,
        grant.active,
        grant.voided,
        grant.expires_at,
        renews,
    )


def _charge(charge: ChargeState) -> tuple[Any, ...]:
    return (
        charge.usage_key,
        int(charge.status),
        charge.hold,
        charge.charged,
        charge.shortfall,
        int(charge.flags),
        charge.first_seq or 0,
        str(charge.expires_at),
        str(charge.closed_at),
    )
