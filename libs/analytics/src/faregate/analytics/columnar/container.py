"""Wiring of the columnar copy."""

from dependency_injector import containers, providers

from faregate.analytics.columnar.copier import ColumnarCopier, CopyLimits
from faregate.analytics.columnar.duckdb_setup import duckdb_installed
from faregate.analytics.columnar.engine import DuckDbEngine
from faregate.analytics.columnar.registry import Registry
from faregate.analytics.columnar.repository import ColumnarRepository
from faregate.analytics.columnar.source import ColumnarSource
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.repository import RawRepository
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.settings import Settings

__all__ = ["ColumnarContainer", "make_facts"]


def make_facts(
    settings: Settings,
    database: Database,
    subjects: Subjects,
    archived: ArchivedMonths,
    registry: Registry,
    raw: RawRepository,
) -> RawRepository:
    """Return the repository that reads the copy, if the settings name a folder for it and the extra is installed; else `raw`."""
    directory = settings.columnar_dir
    if directory is None or not duckdb_installed():
        return raw
    engine = DuckDbEngine(
        directory,
        memory_mb=settings.columnar_memory_mb,
        threads=settings.columnar_threads,
        timeout_seconds=settings.db_statement_timeout_seconds,
    )
    return ColumnarRepository(database, archived, ColumnarSource(database, subjects, registry, engine, directory))


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
    limits: providers.Provider[CopyLimits] = providers.Singleton(
        CopyLimits, settings.provided.columnar_memory_mb, settings.provided.columnar_threads
    )
    copier: providers.Provider[ColumnarCopier] = providers.Singleton(
        ColumnarCopier, database, registry, settings.provided.columnar_dir, limits
    )
