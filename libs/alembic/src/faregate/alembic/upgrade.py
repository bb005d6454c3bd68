"""Upgrade of Faregate's schema from the `env.py` of a host."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from alembic import context, op
from sqlalchemy import Connection, text

from faregate.core.db.migrate import run_on
from faregate.core.db.tables import VERSION_TABLE
from faregate.core.errors import ConfigurationError
from faregate.core.settings import load_settings

__all__ = ["upgrade_on"]

_OTHER_COMMANDS = {
    "do_ensure_version",
    "do_stamp",
    "display_version",
    "downgrade",
    "edit_current",
    "nothing",
    "retrieve_migrations",
    "show_current",
    "_display_current_history",
}
"""Functions by which Alembic runs an environment for another command than `upgrade`."""


def upgrade_on(connection: Connection, *, schema: str | None = None, revision: str = "head") -> None:
    """Migrate Faregate's schema on a host's connection, to be called at the end of a host's `env.py`. Safe to repeat.

    What it did is committed when it returns, or, within `with connection.begin():`, `with engine.begin():` or
    `with context.begin_transaction():`, when that block ends. Nothing is done when Alembic runs the environment for another
    command than `upgrade`. `schema` is `FAREGATE_DB_SCHEMA` unless it is given.

    Raises:
        ConfigurationError: the connection is in a transaction that no block commits, so that the migration could be lost; or a
            setting is wrong, or the host's version table would be Faregate's.
    """
    if _runs_another_command():
        return
    schema = schema or load_settings().db_schema
    if not connection.in_transaction():
        with connection.begin():
            _upgrade(connection, schema, revision)
        return
    if not _is_committed_by_a_block(connection):
        raise ConfigurationError(
            "upgrade_on: the connection is in a transaction that a statement began and that no block commits, so the migration "
            "would be lost; call connection.commit() before upgrade_on, or run both within `with connection.begin():`"
        )
    _upgrade(connection, schema, revision)


def _upgrade(connection: Connection, schema: str, revision: str) -> None:
    with _outer_environment_kept():
        run_on(connection, schema, "upgrade", revision)
    _check_version_table(connection, schema)


def _check_version_table(connection: Connection, schema: str) -> None:
    """Refuse a default schema that makes `alembic_version` of the host and of Faregate the same table."""
    environment = getattr(context, "_proxy", None)
    if environment is None:
        return
    options = environment.context_opts  # `configure` may come after the call
    own_table = options.get("version_table", VERSION_TABLE) != VERSION_TABLE or options.get("version_table_schema")
    if not own_table and connection.execute(text("select current_schema()")).scalar() == schema:
        raise ConfigurationError(
            f"upgrade_on: {schema!r} is the default schema of this connection (its search_path, or a role of that name), so your "
            'version table would be Faregate\'s; nothing was migrated. Add version_table_schema="public" to context.configure, '
            "and set the role's search_path to your schema: alter role … set search_path = public"
        )


def _runs_another_command() -> bool:
    outer = getattr(context, "_proxy", None)
    function = outer.context_opts.get("fn") if outer is not None else None
    return getattr(function, "__name__", "") in _OTHER_COMMANDS


def _is_committed_by_a_block(connection: Connection) -> bool:
    """Return whether a `with` block began the transaction: it commits, whereas the end of a connection rolls back.

    Neither SQLAlchemy nor Alembic, whose blocks differ, says so in public.
    """
    root, block = connection.get_transaction(), getattr(connection, "_trans_context_manager", None)
    environment = getattr(context, "_proxy", None)
    migrating = getattr(environment, "_migration_context", None)
    if migrating is not None and getattr(migrating, "_transaction", None) is root:
        return True
    while block is not None and block is not root:
        block = getattr(block, "_outer_trans_ctx", None)
    return block is not None


@contextmanager
def _outer_environment_kept() -> Generator[None]:
    """Restore `alembic.context` and `alembic.op` of the host, which Alembic removes at the end of an inner run."""
    outer: list[Any] = [getattr(module, "_proxy", None) for module in (context, op)]
    try:
        yield
    finally:
        for proxy in outer:
            if proxy is not None:
                proxy._install_proxy()  # noqa: SLF001  Alembic has no public way to nest
