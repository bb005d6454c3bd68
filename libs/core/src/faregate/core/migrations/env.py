"""The Alembic environment: one linear history in our own schema, with a version table of its own there."""

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
)
"""Named, not imported: the platform has no import of a feature library."""

for name in MODEL_MODULES:
    import_module(name)


def migrate(connection: Connection) -> None:
    """Run what Alembic was asked for on `connection`, in the schema of its configuration."""
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
