"""Wiring of feature logs."""

from datetime import timedelta

from dependency_injector import containers, providers

from faregate.core.access.audit import AuditLog
from faregate.core.archive.archives import Archives
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Partitions
from faregate.core.db.subjects import Subjects
from faregate.core.redaction.records import IRedactor, Redactor
from faregate.core.settings import Settings
from faregate.feature_log.interfaces import IFeatureNames, NamesAsGiven
from faregate.feature_log.personal_data import LogPersonalData
from faregate.feature_log.preparing import Preparer
from faregate.feature_log.repository import LogRepository
from faregate.feature_log.retention import LogRetention
from faregate.feature_log.rotation import LogRotation
from faregate.feature_log.routes import Routes
from faregate.feature_log.sealing import Sealer, parse_keys
from faregate.feature_log.search_repository import LogSearch
from faregate.feature_log.service import FeatureLogService

__all__ = ["FeatureLogContainer"]


def make_redactor(settings: Settings) -> Redactor:
    """Return the redactor configured by the settings."""
    return Redactor(with_emails=settings.log_emails == "redact")


def make_sealer(settings: Settings) -> Sealer:
    """Return the sealer with the keys of the settings, or one that encrypts nothing."""
    return Sealer(parse_keys(settings.log_keys.get_secret_value() if settings.log_keys else None))


def make_preparer(settings: Settings, redactor: IRedactor, sealer: Sealer) -> Preparer:
    """Return the preparer of log rows."""
    return Preparer(redactor, sealer, retention=timedelta(days=settings.log_retention_days))


def make_archives(settings: Settings, database: Database, partitions: Partitions, clock: IClock) -> Archives | None:
    """Return the archives in the directory of the settings; None if no directory is set."""
    return Archives(database, partitions, settings.log_archive_dir, clock) if settings.log_archive_dir else None


class FeatureLogContainer(containers.DeclarativeContainer):
    """Container of feature logs. Needs `settings`, `database`, `subjects` and `clock`; accepts `names` (a catalogue) and
    `redactor`; exports `service`, `retention`, `rotation`, `personal_data` and `redactor`.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)
    names: providers.Provider[IFeatureNames] = providers.Dependency(
        instance_of=IFeatureNames, default=providers.Singleton(NamesAsGiven)
    )
    redactor: providers.Provider[IRedactor] = providers.Dependency(
        instance_of=IRedactor, default=providers.Singleton(make_redactor, settings)
    )

    audit: providers.Provider[AuditLog] = providers.Singleton(AuditLog, database, subjects)
    sealer: providers.Provider[Sealer] = providers.Singleton(make_sealer, settings)
    preparer: providers.Provider[Preparer] = providers.Singleton(make_preparer, settings, redactor, sealer)
    partitions: providers.Provider[Partitions] = providers.Singleton(Partitions, database, "feature_log")
    routes: providers.Provider[Routes] = providers.Singleton(Routes, database)
    repository: providers.Provider[LogRepository] = providers.Singleton(LogRepository, database)
    search: providers.Provider[LogSearch] = providers.Singleton(LogSearch, database, routes, sealer)
    archives: providers.Provider[Archives | None] = providers.Singleton(
        make_archives, settings, database, partitions, clock
    )
    retention: providers.Provider[LogRetention] = providers.Singleton(
        LogRetention,
        database,
        clock,
        partitions,
        repository,
        archives,
        default_days=settings.provided.log_retention_days,
    )
    rotation: providers.Provider[LogRotation] = providers.Singleton(LogRotation, database, sealer)
    personal_data: providers.Provider[LogPersonalData] = providers.Singleton(
        LogPersonalData, database, sealer, archives
    )
    service: providers.Provider[FeatureLogService] = providers.Singleton(
        FeatureLogService,
        database,
        subjects,
        clock,
        names,
        preparer,
        partitions,
        routes,
        repository,
        search,
        sealer,
        audit,
    )
