"""Wiring of the ledger."""

from dependency_injector import containers, providers

from faregate.core.clock import IClock
from faregate.core.credits import to_micros
from faregate.core.database import Database
from faregate.core.settings import Settings
from faregate.core.subjects import Subjects
from faregate.credit.interfaces import ISettlementProgress
from faregate.credit.service import CreditService

__all__ = ["CreditContainer"]


def initial_micros(settings: Settings) -> int:
    """Return what each new wallet is granted."""
    return to_micros(settings.initial_credits)


class CreditContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects` and `progress`; exports `service`.

    `clock` is for simulations; left alone, the database's clock decides.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    progress: providers.Provider[ISettlementProgress] = providers.Dependency(instance_of=ISettlementProgress)
    clock: providers.Provider[IClock | None] = providers.Object(None)

    service: providers.Provider[CreditService] = providers.Singleton(
        CreditService,
        database,
        subjects,
        progress,
        initial_micros=providers.Callable(initial_micros, settings),
        clock=clock,
    )
