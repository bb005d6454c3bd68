"""Wiring of provider bills."""

from dependency_injector import containers, providers

from faregate.analytics.bills.repository import BillRepository
from faregate.analytics.bills.service import BillService
from faregate.core.db.database import Database
from faregate.usage.price_book.service import PriceService

__all__ = ["BillsContainer"]


class BillsContainer(containers.DeclarativeContainer):
    """Needs `database` and `prices`; exports `bills`."""

    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    prices: providers.Provider[PriceService] = providers.Dependency(instance_of=PriceService)

    bills: providers.Provider[BillService] = providers.Singleton(
        BillService, database, providers.Singleton(BillRepository, database), prices
    )
