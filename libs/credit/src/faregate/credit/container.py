"""Dependency injection container of the credit ledger."""

from datetime import timedelta

from dependency_injector import containers, providers

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.messaging.interfaces import IOutbox
from faregate.core.settings import Settings
from faregate.core.webhooks.outgoing_events import IAnnouncer, NullAnnouncer
from faregate.credit.closing.payments import PaymentRecords
from faregate.credit.closing.repository import CloseRepository
from faregate.credit.closing.service import CloseService
from faregate.credit.interfaces import ISettlementProgress, ITopUpProvider
from faregate.credit.proof.verify import Verifier
from faregate.credit.services.accounting import AccountingService
from faregate.credit.services.bookkeeping import Bookkeeping
from faregate.credit.services.bulk_reads import BulkReads
from faregate.credit.services.corrections import CorrectionService
from faregate.credit.services.credits import CreditService
from faregate.credit.services.gauges import LedgerGauges
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.services.lookups import LedgerLookups
from faregate.credit.services.opening_balances import OpeningImport
from faregate.credit.services.repricing import RepricingService
from faregate.credit.services.spending_limits import LimitService
from faregate.credit.services.top_ups import NoProvider, OnAccountProvider, TopUpService
from faregate.credit.storage.repository import LedgerRepository
from faregate.wire.credits import to_micros

__all__ = ["CreditContainer"]


def initial_micros(settings: Settings) -> int:
    """Return the initial grant of each new wallet, in micro-credits."""
    return to_micros(settings.initial_credits)


def configured_provider(settings: Settings) -> ITopUpProvider:
    """Return the payment provider that the settings name. A host can override it."""
    return OnAccountProvider() if settings.top_up_provider == "on_account" else NoProvider()


def _warning_pause(settings: Settings) -> timedelta:
    return timedelta(seconds=settings.balance_warning_pause_seconds)


class CreditContainer(containers.DeclarativeContainer):
    """Container of the ledger.

    Requires `settings`, `database`, `subjects`, `outbox` and `progress`. Optional: `top_up_provider`, `announcer` and
    `clock`. Provides `service`, `repricing`, `bookkeeping`, `corrections`, `accounting`, `limits`, `top_ups`, `closes`,
    `openings`, `lookups`, `bulk_reads`, `gauges` and `verifier`.

    `clock` is for simulations; if it is None, the database's clock is used.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    outbox: providers.Provider[IOutbox] = providers.Dependency(instance_of=IOutbox)
    progress: providers.Provider[ISettlementProgress] = providers.Dependency(instance_of=ISettlementProgress)
    top_up_provider: providers.Provider[ITopUpProvider] = providers.Dependency(
        instance_of=ITopUpProvider, default=providers.Callable(configured_provider, settings)
    )
    announcer: providers.Provider[IAnnouncer] = providers.Dependency(
        instance_of=IAnnouncer, default=providers.Singleton(NullAnnouncer)
    )
    clock: providers.Provider[IClock | None] = providers.Object(None)

    repository: providers.Provider[LedgerRepository] = providers.Singleton(LedgerRepository, database)
    ledger_session: providers.Provider[LedgerSession] = providers.Singleton(
        LedgerSession,
        database,
        repository,
        progress,
        outbox,
        clock=clock,
        announcer=announcer,
        warning_pause=providers.Callable(_warning_pause, settings),
    )
    repricing: providers.Provider[RepricingService] = providers.Singleton(
        RepricingService, repository, ledger_session, subjects
    )
    service: providers.Provider[CreditService] = providers.Singleton(
        CreditService,
        repository,
        ledger_session,
        subjects,
        repricing,
        initial_micros=providers.Callable(initial_micros, settings),
    )
    corrections: providers.Provider[CorrectionService] = providers.Singleton(
        CorrectionService, repository, ledger_session, subjects
    )
    accounting: providers.Provider[AccountingService] = providers.Singleton(AccountingService, database, ledger_session)
    limits: providers.Provider[LimitService] = providers.Singleton(LimitService, database, repository, ledger_session)
    top_ups: providers.Provider[TopUpService] = providers.Singleton(
        TopUpService, database, repository, ledger_session, subjects, top_up_provider
    )
    bookkeeping: providers.Provider[Bookkeeping] = providers.Singleton(
        Bookkeeping, database, service, corrections, accounting, limits, subjects
    )
    close_repository: providers.Provider[CloseRepository] = providers.Singleton(CloseRepository, database)
    closes: providers.Provider[CloseService] = providers.Singleton(
        CloseService,
        database,
        close_repository,
        ledger_session,
        service,
        providers.Singleton(PaymentRecords, close_repository, service, ledger_session),
        accounts=settings.provided.journal_accounts,
    )
    openings: providers.Provider[OpeningImport] = providers.Singleton(OpeningImport, database, service)
    lookups: providers.Provider[LedgerLookups] = providers.Singleton(LedgerLookups, database, repository)
    bulk_reads: providers.Provider[BulkReads] = providers.Singleton(BulkReads, database, repository, ledger_session)
    gauges: providers.Provider[LedgerGauges] = providers.Singleton(LedgerGauges, database)
    verifier: providers.Provider[Verifier] = providers.Singleton(Verifier, database)
