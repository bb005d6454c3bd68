"""DuckDB engine of the columnar copy.

One database in memory for the process; questions run in threads.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faregate.analytics.columnar.dialect import DUCKDB
from faregate.analytics.columnar.duckdb_setup import open_duckdb
from faregate.analytics.columnar.facts_sql import facts_sql
from faregate.analytics.columnar.folder import StoreFolder
from faregate.analytics.columnar.interfaces import Selected
from faregate.analytics.columnar.kept_facts import KeptFacts
from faregate.analytics.columnar.registry import View

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["DuckDbEngine"]

_QUESTIONS_AT_ONCE = 4
_MIB = 1 << 20


class DuckDbEngine:
    """Answers questions over the files of one folder. Opened at the first question; each question has a cursor of its own.

    Args:
        timeout_seconds: a question that takes longer is interrupted.
    """

    dialect = DUCKDB

    def __init__(self, folder: Path, *, memory_mb: int, threads: int, timeout_seconds: float) -> None:
        self._folder = folder
        self._memory_mb = memory_mb
        self._threads = threads
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._root: DuckDBPyConnection | None = None
        self._pool = ThreadPoolExecutor(_QUESTIONS_AT_ONCE, thread_name_prefix="columnar")
        self._kept = KeptFacts(folder, memory_bytes=memory_mb * _MIB)

    async def reads(self, view: View) -> bool:
        """Tell whether the files are here, with their sizes."""
        return await asyncio.to_thread(StoreFolder(self._folder, view.store).present, view.file_ids, view.sizes)

    async def rows(self, selected: Selected, sql: str) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a question, whose SQL names its facts `facts`.

        Raises:
            TimeoutError: it took too long.
        """
        cursor = await asyncio.to_thread(self._cursor)
        asked = asyncio.get_running_loop().run_in_executor(self._pool, self._ask, cursor, selected, sql)
        try:
            return await asyncio.wait_for(asyncio.shield(asked), self._timeout_seconds)
        finally:
            if not asked.done():
                cursor.interrupt()
                asked.add_done_callback(_ignore)

    def forget(self) -> None:
        """Forget the facts of earlier questions, as after a start."""
        with self._cursor() as cursor:
            self._kept.forget(cursor)

    def _cursor(self) -> "DuckDBPyConnection":
        with self._lock:
            if self._root is None:
                self._root = open_duckdb(self._folder, memory_mb=self._memory_mb, threads=self._threads)
            return self._root.cursor()

    def _ask(self, cursor: "DuckDBPyConnection", selected: Selected, sql: str) -> Sequence[tuple[Any, ...]]:
        with cursor:
            kept = self._kept.find(cursor, selected)
            try:
                facts, values = facts_sql(self._folder, selected, kept)
                return cursor.execute(f"with facts as not materialized ({facts}) {sql}", values).fetchall()
            finally:
                self._kept.release(kept)


def _ignore(asked: "asyncio.Future[Any]") -> None:
    """Take the error of a question that nobody waits for any more."""
    if not asked.cancelled():
        asked.exception()
