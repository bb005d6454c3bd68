"""One wallet under test, in memory or in the database, by the same calls.

Amounts are in credits; the clock is set by the test.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from faregate.core.clock import FixedClock, IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import FaregateError
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.core.webhooks.outgoing_events import NullAnnouncer
from faregate.credit.closing.payments import PaymentRecords
from faregate.credit.closing.repository import CloseRepository
from faregate.credit.closing.service import CloseService
from faregate.credit.interfaces import ITopUpProvider
from faregate.credit.ledger.accounts import GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.grants import GrantSpec, add_grant, void_grant
from faregate.credit.ledger.holds import HoldRequest, extend_hold, open_hold, void_hold
from faregate.credit.ledger.limits import LimitPeriod, LimitState, period_start
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest, settle
from faregate.credit.ledger.states import ChargeState, GrantSlice, GrantState, Transfer, WalletState, WalletStatus
from faregate.credit.ledger.time_effects import mature
from faregate.credit.services.accounting import AccountingService
from faregate.credit.services.corrections import CorrectionService
from faregate.credit.services.credits import CreditService, HoldResult, SettledCharge
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.services.repricing import RepricingService
from faregate.credit.services.spending_limits import LimitService
from faregate.credit.services.top_up_orders import TopUpOrders
from faregate.credit.services.top_ups import OnAccountProvider, TopUpService
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.values import transaction_view
from faregate.wire.credits import to_credits, to_micros

__all__ = ["START", "Credit", "DatabaseLedger", "Ledger", "PureLedger", "make_credit", "micros"]

START = datetime(2026, 1, 1, tzinfo=UTC)
T = TypeVar("T")
Amount = Decimal | int | str


def micros(amount: Amount) -> int:
    return to_micros(Decimal(amount))


@dataclass(frozen=True)
class Credit:
    """The services of the ledger, composed without the container."""

    repository: LedgerRepository
    service: CreditService
    corrections: CorrectionService
    accounting: AccountingService
    limits: LimitService
    top_ups: TopUpService
    closes: CloseService


def make_credit(
    database: Database,
    *,
    clock: IClock | None = None,
    initial_micros: int = 0,
    provider: ITopUpProvider | None = None,
) -> Credit:
    """Compose the ledger on `database`; without a `clock` the database's clock is used."""
    repository, subjects = LedgerRepository(database), Subjects(database)
    ledger_session = LedgerSession(database, repository, Heartbeats(database), PostgresTransport(database), clock=clock)
    orders = TopUpOrders(database, repository, ledger_session, subjects, NullAnnouncer())
    repricing = RepricingService(repository, ledger_session, subjects)
    service = CreditService(repository, ledger_session, subjects, repricing, initial_micros=initial_micros)
    closes = CloseRepository(database)
    return Credit(
        repository,
        service,
        CorrectionService(repository, ledger_session, subjects),
        AccountingService(database, ledger_session),
        LimitService(database, repository, ledger_session),
        TopUpService(database, orders, provider or OnAccountProvider()),
        CloseService(database, closes, ledger_session, service, PaymentRecords(closes, service, ledger_session)),
    )


class Ledger(ABC):
    """A wallet under test, and its clock."""

    def __init__(self) -> None:
        self.clock = FixedClock(START)
        self.names: dict[str, str] = {}

    async def grant(self, name: str, credits: Amount, **spec: Any) -> None:
        """Add a grant called `name` to the wallet."""
        spec.setdefault("source", GrantSource.PURCHASE)
        for bound in ("rollover_min", "rollover_max"):
            spec[bound] = micros(spec.get(bound, 0))
        await self.add(GrantSpec(micros(credits), key=name, **spec))

    async def hold(
        self, key: str, credits: Amount, *, ttl: int = 3600, feature: str = "f", scopes: tuple[str, ...] = ()
    ) -> ChargeState:
        """Open a hold, within the spending limits of `scopes`."""
        return await self.open(key, micros(credits), ttl, feature, scopes)

    async def settle(self, key: str, credits: Amount, *, feature: str = "f", in_full: bool = False) -> ChargeState:
        """Settle a use, started or not."""
        amount = micros(credits)
        return await self.post(key, amount, feature, in_full)

    async def use(self, credits: Amount, *, key: str | None = None, feature: str = "f") -> ChargeState:
        """Use without a hold; the amount that is not covered is shortfall."""
        self.names[f"use-{len(self.names)}"] = ""
        return await self.settle(key or f"use-{len(self.names)}", credits, feature=feature)

    @abstractmethod
    async def add(self, spec: GrantSpec) -> None: ...
    @abstractmethod
    async def open(
        self, key: str, amount: int, ttl: int, feature: str, scopes: tuple[str, ...] = ()
    ) -> ChargeState: ...
    @abstractmethod
    async def post(self, key: str, amount: int, feature: str, in_full: bool) -> ChargeState: ...
    @abstractmethod
    async def void(self, key: str) -> ChargeState: ...
    @abstractmethod
    async def extend(self, key: str, ttl: int) -> datetime: ...
    @abstractmethod
    async def void_grant(self, name: str) -> None: ...
    @abstractmethod
    async def set_limit(self, credits: Amount) -> None: ...
    @abstractmethod
    async def set_hard_limit(self, scope: str, credits: Amount) -> None:
        """Limit the spending of a scope per month."""

    @abstractmethod
    async def set_status(self, status: WalletStatus) -> None: ...
    @abstractmethod
    async def state(self) -> tuple[WalletState, list[GrantState]]:
        """Return the wallet as of now, and all its grants."""

    @abstractmethod
    async def moved(self) -> list[Transfer]:
        """Return all transfers of the wallet as of now, in order."""

    async def listed(self) -> list[Decimal]:
        """Return the signed amounts of all transactions in the owner's view, newest first."""
        return [transaction_view(transfer, {}).amount for transfer in reversed(await self.moved())]

    async def balance(self) -> Decimal:
        return to_credits((await self.state())[0].balance).normalize()

    async def free(self) -> Decimal:
        return to_credits((await self.state())[0].free).normalize()

    async def left(self) -> dict[str, Decimal]:
        """Return the remainder of each grant, by name."""
        return {str(grant.key): to_credits(grant.remaining).normalize() for grant in (await self.state())[1]}


class PureLedger(Ledger):
    """The ledger rules only: a book without a database."""

    def __init__(self) -> None:
        super().__init__()
        self.wallet = WalletState(1, all_grants=True)
        self.charges: dict[str, ChargeState] = {}
        self.transfers: list[Transfer] = []
        self.slices: list[GrantSlice] = []
        self.limits: dict[tuple[str, LimitPeriod], LimitState] = {}

    async def add(self, spec: GrantSpec) -> None:
        self._decide(lambda book: add_grant(book, self.wallet, spec))

    async def open(self, key: str, amount: int, ttl: int, feature: str, scopes: tuple[str, ...] = ()) -> ChargeState:
        meaning = f"{amount}{ttl}{feature}".encode()
        request = HoldRequest(key, 1, 1, None, feature, "individual", amount, ttl, meaning, None, scopes)
        return self._decide(lambda book: open_hold(book, request))

    async def post(self, key: str, amount: int, feature: str, in_full: bool) -> ChargeState:
        request = PostingRequest(
            key,
            amount,
            amount,
            f"{amount}".encode(),
            opening=ChargeOpening(1, 1, None, feature, "individual"),
            in_full=in_full,
        )
        return self._decide(lambda book: settle(book, request)[0])

    async def void(self, key: str) -> ChargeState:
        return self._decide(lambda book: void_hold(book, book.charges[key], reason=None))

    async def extend(self, key: str, ttl: int) -> datetime:
        return self._decide(lambda book: extend_hold(book, book.charges[key], ttl))

    async def void_grant(self, name: str) -> None:
        grant = next(grant for grant in self.wallet.grants.values() if grant.key == name)
        filled_by = max(
            (
                part.seq
                for part in self.slices
                if part.grant_id == grant.grant_id and self.transfers[part.seq - 1].kind is TransferKind.GRANT
            ),
            default=None,
        )
        self._decide(
            lambda book: void_grant(book, self.wallet, grant, actor="test", reason="test", filled_by=filled_by)
        )

    async def set_limit(self, credits: Amount) -> None:
        self.wallet.credit_limit = micros(credits)

    async def set_hard_limit(self, scope: str, credits: Amount) -> None:
        began = period_start(LimitPeriod.MONTH, self.clock.now())
        self.limits[scope, LimitPeriod.MONTH] = LimitState(scope, LimitPeriod.MONTH, None, micros(credits), began)

    async def set_status(self, status: WalletStatus) -> None:
        def change(_: Book) -> None:
            self.wallet.status = status

        self._decide(change)

    async def state(self) -> tuple[WalletState, list[GrantState]]:
        self._decide(lambda _: None)
        return self.wallet, list(self.wallet.grants.values())

    async def moved(self) -> list[Transfer]:
        await self.state()
        return self.transfers

    def _decide(self, decide: Callable[[Book], T]) -> T:
        book = Book(self.clock.now(), [self.wallet])
        book.charges = self.charges
        book.limits = self.limits
        if self.wallet.next_change_at is not None and self.wallet.next_change_at <= book.now:
            mature(book, self.wallet, self.charges.values(), holds_until=book.now)
        try:
            return decide(book)
        finally:
            self.transfers += book.transfers
            self.slices += book.slices
            check_invariants(self.wallet, self.charges.values())


class DatabaseLedger(Ledger):
    """The same wallet in PostgreSQL, through the service."""

    OWNER: str = "owner"

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        credit = make_credit(database, clock=self.clock)
        self.service = credit.service
        self.corrections = credit.corrections
        self.accounting = credit.accounting
        self.repository = credit.repository
        self.limits = credit.limits
        self.closes = credit.closes

    async def add(self, spec: GrantSpec) -> None:
        await self.database.run(lambda session: self.service.grant(session, self.OWNER, spec))

    async def open(self, key: str, amount: int, ttl: int, feature: str, scopes: tuple[str, ...] = ()) -> ChargeState:
        wallet_id = await self._wallet_id()
        meaning = f"{amount}{ttl}{feature}".encode()
        request = HoldRequest(
            key, wallet_id, wallet_id, None, feature, "individual", amount, ttl, meaning, None, scopes
        )
        (outcome,) = await self.database.run(lambda session: self.service.authorize(session, [request]))
        return _charge(outcome)

    async def post(self, key: str, amount: int, feature: str, in_full: bool) -> ChargeState:
        wallet_id = await self._wallet_id()
        opening = ChargeOpening(wallet_id, wallet_id, None, feature, "individual")
        request = PostingRequest(key, amount, amount, f"{amount}".encode(), opening=opening, in_full=in_full)
        (outcome,) = await self.database.run(lambda session: self.service.post(session, [request]))
        return _charge(outcome)

    async def void(self, key: str) -> ChargeState:
        return (await self.database.run(lambda session: self.service.void(session, key))).charge

    async def extend(self, key: str, ttl: int) -> datetime:
        held = await self.database.run(lambda session: self.service.extend(session, key, ttl_seconds=ttl))
        assert held.charge.expires_at is not None
        return held.charge.expires_at

    async def void_grant(self, name: str) -> None:
        grant = next(grant for grant in (await self.state())[1] if grant.key == name)
        await self.database.run(
            lambda session: self.service.void_grant(session, self.OWNER, grant.grant_id, actor="test", reason="test")
        )

    async def set_limit(self, credits: Amount) -> None:
        def change(wallet: WalletState) -> None:
            wallet.credit_limit = micros(credits)

        await self.database.run(lambda session: self.service.change_wallet(session, self.OWNER, change))

    async def set_hard_limit(self, scope: str, credits: Amount) -> None:
        hard = micros(credits)
        await self.database.run(lambda s: self.limits.set(s, scope, LimitPeriod.MONTH, soft=None, hard=hard))

    async def set_status(self, status: WalletStatus) -> None:
        def change(wallet: WalletState) -> None:
            wallet.status = status

        await self.database.run(lambda session: self.service.change_wallet(session, self.OWNER, change))

    async def state(self) -> tuple[WalletState, list[GrantState]]:
        wallet_id = await self._wallet_id()
        await self.database.run(lambda session: self.service.wallet(session, self.OWNER))
        async with self.database.transaction(read_only=True) as session:
            book = await self.repository.read(session, [wallet_id], now=self.clock.now())
            grants = await self.repository.grants(session, wallet_id, live=False)
        return book.wallets[wallet_id], grants

    async def moved(self) -> list[Transfer]:
        wallet, _ = await self.state()
        async with self.database.transaction(read_only=True) as session:
            found = await self.repository.transfers(session, wallet.wallet_id, before=None, limit=1000)
        return found[::-1]

    async def _wallet_id(self) -> int:
        owners = await self.database.run(lambda session: self.service.ensure_wallets(session, [self.OWNER]))
        return owners[self.OWNER].subject_id


def check_invariants(wallet: WalletState, charges: Iterable[ChargeState]) -> None:
    """Assert the invariants that hold after every step."""
    held = sum(charge.hold for charge in charges if charge.status == 0)
    remaining = sum(grant.remaining for grant in wallet.grants.values())
    restricted = sum(grant.remaining - grant.held for grant in wallet.grants.values() if grant.features is not None)
    assert wallet.held == held, "held is the sum of open holds"
    assert wallet.balance == remaining - wallet.debt, "balance is the remainder of all grants less the debt"
    assert wallet.earmarked == restricted, "earmarked is the remainder of restricted grants beyond their holds"
    assert wallet.free >= -wallet.clawback_debt, "never overspent"
    assert 0 <= wallet.clawback_debt <= wallet.debt
    assert wallet.debt <= wallet.credit_limit + wallet.clawback_debt, "the debt stays within the limit"
    assert all(0 <= grant.held <= grant.remaining for grant in wallet.grants.values())
    assert min(wallet.credits, wallet.debits, wallet.held) >= 0


def _charge(outcome: HoldResult | SettledCharge | FaregateError) -> ChargeState:
    if isinstance(outcome, FaregateError):
        raise outcome
    return outcome.charge
