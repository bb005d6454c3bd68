"""DuckDB in process, confined to the folder of the columnar copy."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faregate.core.errors import MissingExtraError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["NEEDS_DUCKDB", "duckdb_installed", "open_duckdb", "quoted"]

NEEDS_DUCKDB = "The columnar copy of usage events"


def duckdb_installed() -> bool:
    """Return whether the extra is installed."""
    return find_spec("duckdb") is not None


def open_duckdb(folder: Path, *, memory_mb: int, threads: int, spill: Path | None = None) -> "DuckDBPyConnection":
    """Open a database in memory that reads and writes files of `folder`, and nothing else: no other file, no network, no
    extension; its settings are locked.

    Args:
        spill: the folder for what does not fit into the memory; without it nothing is spilled.

    Raises:
        MissingExtraError: duckdb is not installed.
    """
    try:
        duckdb: Any = import_module("duckdb")
    except ImportError:
        raise MissingExtraError(NEEDS_DUCKDB, "columnar") from None
    connection: DuckDBPyConnection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": str(spill.absolute()) if spill is not None else "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "preserve_insertion_order": False,
        },
    )
    connection.execute("set parquet_metadata_cache = true")
    connection.execute(f"set allowed_directories = [{quoted(folder)}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def quoted(path: Path) -> str:
    """Return a path as a literal of SQL."""
    return "'" + str(path.absolute()).replace("'", "''") + "'"
