"""Alembic environment: one linear history in Faregate's own schema.

The version table is in that schema, too.
"""

from importlib import import_module
from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from faregate.core.db.schema import SCHEMA
from faregate.core.models import metadata

MODEL_MODULES = (
    "faregate.core.models",
    "faregate.credit.models",
    "faregate.usage.models",
    "faregate.feature_log.models",
    "faregate.usage.events.models",
    "faregate.analytics.models",
    "faregate.analytics.quotas.models",
    "faregate.analytics.insights.models",
)
"""By name, not imported: the core must not import a library that depends on it."""

for name in MODEL_MODULES:
    import_module(name)


def migrate(connection: Connection) -> None:
    """Run the requested Alembic command on `connection`, in the schema of its configuration."""
    schema = context.config.attributes.get("schema", SCHEMA)
    connection.execute(text(f'create schema if not exists "{schema}"'))
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table="alembic_version",
        version_table_schema=schema,
        include_schemas=True,
        include_name=_is_ours,
        compare_server_default=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    if kind == "schema":
        return name == SCHEMA
    if kind == "table":
        return f"{parents['schema_name']}.{name}" in metadata.tables
    return True


migrate(context.config.attributes["connection"])
