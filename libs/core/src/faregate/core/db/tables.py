"""Names of the tables of all libraries."""

from importlib import import_module

from faregate.core.db.metadata import metadata

__all__ = ["VERSION_TABLE", "load_models", "table_names"]

VERSION_TABLE = "alembic_version"

_MODEL_MODULES = (
    "faregate.core.models",
    "faregate.credit.closing.models",
    "faregate.credit.models",
    "faregate.credit.payments.models",
    "faregate.usage.models",
    "faregate.feature_log.models",
    "faregate.usage.events.models",
    "faregate.analytics.models",
    "faregate.analytics.columnar.models",
    "faregate.analytics.bills.models",
    "faregate.analytics.quotas.models",
    "faregate.analytics.insights.models",
    "faregate.analytics.insights.budgets.models",
    "faregate.analytics.insights.feedback.models",
    "faregate.analytics.insights.operations.objectives.models",
    "faregate.analytics.reports.models",
)
"""By name, not imported: the core must not import a library that depends on it."""


def load_models() -> None:
    """Import the models of all libraries, so that `metadata` is complete. It takes long, and servers need none of them."""
    for name in _MODEL_MODULES:
        import_module(name)


def table_names() -> frozenset[str]:
    """Return the names of all tables of the schema: with its version table, without partitions."""
    load_models()
    return frozenset({VERSION_TABLE, *(table.name for table in metadata.tables.values())})
