"""Filter that hides Faregate's schema from a host's autogeneration."""

import re
from collections.abc import Collection, Mapping

from alembic import context

from faregate.core.db.tables import table_names
from faregate.core.settings import load_settings

__all__ = ["include_name"]

_PARTITION = re.compile(r"_y\d{4}m\d{2}$")


def include_name(
    name: str | None,
    type_: str,
    parent_names: Mapping[str, str | None],
    *,
    schemas: Collection[str] | None = None,
) -> bool:
    """Return whether an object that Alembic found in the database is the host's: False for all that Faregate owns.

    For `context.configure(include_name=include_name, include_schemas=True)`; a host with a filter of its own returns
    `include_name(name, type_, parent_names) and …` from it. Faregate's schema is that of the settings (`FAREGATE_DB_SCHEMA`);
    `schemas` names others, such as those of several tenants, and is bound by `functools.partial`.
    """
    schema = name if type_ == "schema" else parent_names.get("schema_name")
    if schema is None and type_ == "schema":
        return True
    ours = {load_settings().db_schema} if schemas is None else set(schemas)
    if schema is not None and schema != _default_schema():
        return schema.removesuffix("_aside") not in ours
    table = name if type_ == "table" else parent_names.get("table_name")
    return _default_schema() not in ours or table is None or _PARTITION.sub("", table) not in table_names()


def _default_schema() -> str | None:
    """Return the schema that the running environment's connection means where none is named."""
    environment = getattr(context, "_proxy", None)
    connection = environment.get_context().connection if environment is not None else None
    return connection.dialect.default_schema_name if connection is not None else None
