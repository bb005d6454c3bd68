"""Wiring of the columnar copy."""

from pathlib import Path
from typing import cast

from dependency_injector import containers, providers

from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
from faregate.analytics.columnar.clickhouse.client import ClickHouseClient
from faregate.analytics.columnar.clickhouse.engine import ClickHouseEngine
from faregate.analytics.columnar.clickhouse.place import ClickHousePlace
from faregate.analytics.columnar.copier import ColumnarCopier, CopyLimits
from faregate.analytics.columnar.engine import DuckDbEngine
from faregate.analytics.columnar.folder_place import FolderPlace
from faregate.analytics.columnar.interfaces import IColumnEngine, ICopyPlace
from faregate.analytics.columnar.registry import Registry
from faregate.analytics.columnar.repository import ColumnarRepository
from faregate.analytics.columnar.source import ColumnarSource
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.repository import RawRepository
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import ConfigurationError
from faregate.core.settings import Settings

__all__ = ["ColumnarContainer", "make_facts", "make_place"]


def make_facts(
    settings: Settings,
    database: Database,
    subjects: Subjects,
    archived: ArchivedMonths,
    registry: Registry,
    raw: RawRepository,
) -> RawRepository:
    """Return the repository that reads the copy, if the settings name a place for it and its extra is installed; else `raw`.

    Raises:
        ConfigurationError: the settings name two places.
    """
    engine = _engine(settings)
    if engine is None:
        return raw
    return ColumnarRepository(database, archived, ColumnarSource(database, subjects, registry, engine))


def make_place(settings: Settings) -> ICopyPlace | None:
    """Return the place of the copy; None if the settings name none.

    Raises:
        ConfigurationError: the settings name two.
    """
    directory, url = settings.columnar_dir, settings.clickhouse_url
    if directory is not None and url is not None:
        raise ConfigurationError(
            "FAREGATE_COLUMNAR_DIR and FAREGATE_CLICKHOUSE_URL are both set; the columnar copy has one place: unset one of them"
        )
    if url is not None:
        return ClickHousePlace(ClickHouseAddress.of(url.get_secret_value()))
    if directory is None:
        return None
    return FolderPlace(directory, memory_mb=settings.columnar_memory_mb, threads=settings.columnar_threads)


def _engine(settings: Settings) -> IColumnEngine | None:
    """Return what reads the copy; None if there is no place for it, or its extra is not installed."""
    place, timeout_seconds = make_place(settings), settings.db_statement_timeout_seconds
    if place is None or not place.installed:
        return None
    if settings.clickhouse_url is not None:
        address = ClickHouseAddress.of(settings.clickhouse_url.get_secret_value())
        return ClickHouseEngine(ClickHouseClient(address, timeout_seconds=timeout_seconds))
    directory = cast("Path", settings.columnar_dir)
    return DuckDbEngine(
        directory,
        memory_mb=settings.columnar_memory_mb,
        threads=settings.columnar_threads,
        timeout_seconds=timeout_seconds,
    )


class ColumnarContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects`, `archived` and `raw`; exports `facts` and `copier`."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    archived: providers.Provider[ArchivedMonths] = providers.Dependency(instance_of=ArchivedMonths)
    raw: providers.Provider[RawRepository] = providers.Dependency(instance_of=RawRepository)

    registry: providers.Provider[Registry] = providers.Singleton(Registry, database)
    facts: providers.Provider[RawRepository] = providers.Singleton(
        make_facts, settings, database, subjects, archived, registry, raw
    )
    place: providers.Provider[ICopyPlace | None] = providers.Singleton(make_place, settings)
    limits: providers.Provider[CopyLimits] = providers.Singleton(CopyLimits)
    copier: providers.Provider[ColumnarCopier] = providers.Singleton(ColumnarCopier, database, registry, place, limits)
