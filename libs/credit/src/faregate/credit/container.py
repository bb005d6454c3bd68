"""Wiring of the ledger."""

from dependency_injector import containers, providers

from faregate.core.clock import IClock
from faregate.core.database import Database
from faregate.core.subjects import Subjects
from faregate.credit.interfaces import ISettlementProgress
from faregate.credit.service import CreditService

__all__ = ["CreditContainer"]


class CreditContainer(containers.DeclarativeContainer):
    """Needs `database`, `subjects`, `progress` and `initial_micros`; exports `service`.

    `clock` is for simulations; left alone, the database's clock decides.
    """

    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    progress: providers.Provider[ISettlementProgress] = providers.Dependency(instance_of=ISettlementProgress)  # type: ignore[type-abstract]
    initial_micros: providers.Provider[int] = providers.Dependency(instance_of=int, default=0)
    clock: providers.Provider[IClock | None] = providers.Object(None)

    service: providers.Provider[CreditService] = providers.Singleton(
        CreditService, database, subjects, progress, initial_micros=initial_micros, clock=clock
    )
