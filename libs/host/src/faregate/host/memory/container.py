"""Wiring of the libraries on data in memory."""

from typing import Any

from dependency_injector import providers

from faregate.core.clock import IClock
from faregate.core.settings import Settings
from faregate.core.webhooks.outgoing_events import NullAnnouncer
from faregate.host.container import FaregateContainer
from faregate.host.memory.database import MemoryDatabase
from faregate.host.memory.definitions import MemoryDefinitionRepository, MemoryPriceRepository
from faregate.host.memory.engines import MemoryOutbox, MemoryProgress
from faregate.host.memory.ledger_repository import MemoryLedgerRepository
from faregate.host.memory.store import Store
from faregate.host.memory.subjects import MemoryDirectory, MemorySubjects
from faregate.host.memory.usage_repository import (
    MemoryEventRepository,
    MemoryPartitions,
    MemorySettledEvents,
    MemoryUsageRepository,
)
from faregate.usage.interfaces import IAccountDirectory, IFeatureStrategy, NoQuotas

__all__ = ["memory_container"]


def memory_container(
    settings: Settings,
    store: Store,
    clock: IClock,
    strategies: dict[str, IFeatureStrategy],
    directory: IAccountDirectory | None = None,
) -> FaregateContainer:
    """Return a container whose services are the real ones, and whose repositories keep their rows in `store`."""
    database = MemoryDatabase(store)
    subjects = MemorySubjects(database)
    members = MemoryDirectory(database, subjects, claim=settings.organization_claim)
    partitions, outbox = MemoryPartitions(database), MemoryOutbox()
    container = FaregateContainer(settings=settings, extra_strategies=strategies)
    replaced: list[tuple[Any, object]] = [
        (container.clock, clock),
        (container.database, database),
        (container.subjects, subjects),
        (container.transport, outbox),
        (container.outbox, outbox),
        (container.heartbeats, MemoryProgress()),
        (container.announcer, NullAnnouncer()),
        (container.credit.container.clock, clock),
        (container.credit.container.repository, MemoryLedgerRepository(database, clock)),
        (container.usage.container.members, members),
        (container.usage.container.directory, directory or members),
        (container.usage.container.quotas, NoQuotas()),
        (container.usage.container.repository, MemoryUsageRepository(database)),
        (container.usage.container.settled_events, MemorySettledEvents()),
        (container.usage.container.partitions, partitions),
        (container.usage.container.events, MemoryEventRepository(database)),
        (container.usage.container.definitions, MemoryDefinitionRepository(database)),
        (container.usage.container.price_repository, MemoryPriceRepository(database, clock)),
    ]
    for provider, made in replaced:
        provider.override(providers.Object(made))
    return container
