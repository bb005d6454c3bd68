"""Dependency injection container of the credit ledger."""

from datetime import timedelta

from dependency_injector import containers, providers

from faregate.core.clock import IClock, SystemClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.messaging.interfaces import IOutbox
from faregate.core.settings import Settings
from faregate.core.webhooks.outgoing_events import IAnnouncer, NullAnnouncer
from faregate.credit.closing.payments import PaymentRecords
from faregate.credit.closing.repository import CloseRepository
from faregate.credit.closing.service import CloseService
from faregate.credit.interfaces import ISettlementProgress, ITopUpProvider
from faregate.credit.ledger.clawbacks import ReversalPolicy
from faregate.credit.payments.checkout import CheckoutService
from faregate.credit.payments.packages import Packages
from faregate.credit.payments.provider import StripeProvider
from faregate.credit.payments.purchase_ledger import PurchaseLedger
from faregate.credit.payments.purchase_value import PurchaseValue
from faregate.credit.payments.repository import PurchaseRepository
from faregate.credit.payments.service import PaymentService
from faregate.credit.payments.stripe_api import StripeApi
from faregate.credit.payments.stripe_inbox import StripeInbox
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
from faregate.credit.services.top_up_orders import TopUpOrders
from faregate.credit.services.top_ups import NoProvider, OnAccountProvider, TopUpService
from faregate.credit.storage.repository import LedgerRepository
from faregate.wire.credits import to_micros

__all__ = ["CreditContainer"]


def initial_micros(settings: Settings) -> int:
    """Return the initial grant of each new wallet, in micro-credits."""
    return to_micros(settings.initial_credits)


def configured_provider(settings: Settings, stripe: StripeProvider) -> ITopUpProvider:
    """Return the payment provider that the settings name. A host can override it."""
    if settings.top_up_provider == "stripe":
        return stripe
    return OnAccountProvider() if settings.top_up_provider == "on_account" else NoProvider()


def make_stripe_api(settings: Settings) -> StripeApi:
    """Return the client of Stripe's API."""
    key = settings.stripe_api_key
    return StripeApi(key.get_secret_value() if key is not None else None, settings.stripe_api_url.rstrip("/"))


def webhook_secrets(settings: Settings) -> list[str]:
    """Return the signing secrets of Stripe's webhook."""
    given = settings.stripe_webhook_secret
    return [part.strip() for part in given.get_secret_value().split(",") if part.strip()] if given is not None else []


def _warning_pause(settings: Settings) -> timedelta:
    return timedelta(seconds=settings.balance_warning_pause_seconds)


class CreditContainer(containers.DeclarativeContainer):
    """Container of the ledger.

    Requires `settings`, `database`, `subjects`, `outbox` and `progress`. Optional: `top_up_provider`, `announcer` and
    `clock`. Provides `service`, `repricing`, `bookkeeping`, `corrections`, `accounting`, `limits`, `top_ups`, `closes`,
    `payments`, `checkouts`, `stripe_inbox`, `openings`, `lookups`, `bulk_reads`, `gauges` and `verifier`.

    `clock` is for simulations; if it is None, the database's clock is used.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    outbox: providers.Provider[IOutbox] = providers.Dependency(instance_of=IOutbox)
    progress: providers.Provider[ISettlementProgress] = providers.Dependency(instance_of=ISettlementProgress)
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
    close_repository: providers.Provider[CloseRepository] = providers.Singleton(CloseRepository, database)
    payment_records: providers.Provider[PaymentRecords] = providers.Singleton(
        PaymentRecords, close_repository, service, ledger_session
    )
    top_up_orders: providers.Provider[TopUpOrders] = providers.Singleton(
        TopUpOrders, database, repository, ledger_session, subjects, announcer
    )
    packages: providers.Provider[Packages] = providers.Singleton(
        Packages, settings.provided.packages, settings.provided.credit_price_usd
    )
    purchases: providers.Provider[PurchaseRepository] = providers.Singleton(PurchaseRepository, database)
    stripe_api: providers.Provider[StripeApi] = providers.Singleton(make_stripe_api, settings)
    payments: providers.Provider[PaymentService] = providers.Singleton(
        PaymentService,
        database,
        purchases,
        providers.Singleton(
            PurchaseLedger,
            repository,
            ledger_session,
            top_up_orders,
            providers.Callable(ReversalPolicy, settings.provided.payment_reversal),
        ),
        providers.Singleton(PurchaseValue, payment_records, subjects),
        subjects,
        announcer,
    )
    checkouts: providers.Provider[CheckoutService] = providers.Singleton(
        CheckoutService, database, service, purchases, packages, stripe_api
    )
    stripe_inbox: providers.Provider[StripeInbox] = providers.Singleton(
        StripeInbox, payments, stripe_api, providers.Callable(webhook_secrets, settings)
    )
    top_up_provider: providers.Provider[ITopUpProvider] = providers.Dependency(
        instance_of=ITopUpProvider,
        default=providers.Callable(
            configured_provider,
            settings,
            providers.Singleton(
                StripeProvider,
                database,
                purchases,
                subjects,
                packages,
                payments,
                stripe_api,
                providers.Singleton(SystemClock),
            ),
        ),
    )
    top_ups: providers.Provider[TopUpService] = providers.Singleton(
        TopUpService, database, top_up_orders, top_up_provider
    )
    bookkeeping: providers.Provider[Bookkeeping] = providers.Singleton(
        Bookkeeping, database, service, corrections, accounting, limits, subjects
    )
    closes: providers.Provider[CloseService] = providers.Singleton(
        CloseService,
        database,
        close_repository,
        ledger_session,
        service,
        payment_records,
        accounts=settings.provided.journal_accounts,
    )
    openings: providers.Provider[OpeningImport] = providers.Singleton(OpeningImport, database, service)
    lookups: providers.Provider[LedgerLookups] = providers.Singleton(LedgerLookups, database, repository)
    bulk_reads: providers.Provider[BulkReads] = providers.Singleton(BulkReads, database, repository, ledger_session)
    gauges: providers.Provider[LedgerGauges] = providers.Singleton(LedgerGauges, database)
    verifier: providers.Provider[Verifier] = providers.Singleton(Verifier, database)
