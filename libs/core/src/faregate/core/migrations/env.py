"""Alembic environment: one linear history in Faregate's own schema.

The version table is in that schema, too.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from faregate.core.db.metadata import metadata
from faregate.core.db.schema import SCHEMA
from faregate.core.db.tables import VERSION_TABLE


def migrate(connection: Connection) -> None:
    """Run the requested Alembic command on `connection`, in the schema of its configuration."""
    schema = context.config.attributes.get("schema", SCHEMA)
    _make_schema(connection, schema)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        version_table_schema=schema,
        include_schemas=True,
        include_name=_is_ours,
        compare_server_default=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def _make_schema(connection: Connection, schema: str) -> None:
    """Create the schema if it is missing: `create schema if not exists` needs the right to create one even if it is there."""
    found = connection.execute(text("select 1 from pg_namespace where nspname = :schema"), {"schema": schema})
    if found.scalar() is None:
        connection.execute(text(f'create schema if not exists "{schema}"'))


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    if kind == "schema":
        return name == SCHEMA
    if kind == "table":
        return f"{parents['schema_name']}.{name}" in metadata.tables
    return True


migrate(context.config.attributes["connection"])
