"""DuckDB engine of the columnar copy.

One database in memory for the process; questions run in threads.

The facts of a filtered question are taken out of the files once, and kept while they are few: the parts of an answer read them
several times. Files never change, so that files, range and filters say which facts these are. What totals do not need, such as
names, is not taken out for them: that is a fifth of the work.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faregate.analytics.columnar.columns import COLUMNS
from faregate.analytics.columnar.dialect import DUCKDB
from faregate.analytics.columnar.duckdb_setup import open_duckdb, quoted
from faregate.analytics.columnar.folder import StoreFolder
from faregate.analytics.columnar.interfaces import Selected
from faregate.analytics.columnar.questions_sql import tail_sql
from faregate.analytics.columnar.registry import View

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["DuckDbEngine"]

_QUESTIONS_AT_ONCE = 4
_KEPT_FACTS = 250_000
_KEPT_FACTS_IN_ALL = 600_000
_TABLES_KEPT = 64
_NAMES = ", ".join(column.name for column in COLUMNS)
_TOTALS_NAMES = ", ".join(column.name for column in COLUMNS if column.is_for_totals)
_LARGE = ""

_Key = tuple[Any, ...]


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
        self._kept = _KeptFacts(folder)

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
                facts, values = _facts_sql(self._folder, selected, kept)
                return cursor.execute(f"with facts as not materialized ({facts}) {sql}", values).fetchall()
            finally:
                self._kept.release(kept)


class _KeptFacts:
    """Tables with the facts of filtered questions, the least recently used are dropped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[_Key, str], tuple[str, int]] = OrderedDict()
        self._in_use: dict[str, int] = {}
        self._number = 0

    def find(self, cursor: "DuckDBPyConnection", selected: Selected) -> str:
        """Return the table with the facts of a question, made if there is none; empty if they are too many."""
        if not selected.condition.filtered or not selected.view.file_ids:
            return _LARGE
        with self._lock:
            place = self._place(selected)
            if place not in self._tables:
                self._tables[place] = self._made(cursor, selected)
            self._tables.move_to_end(place)
            name = self._tables[place][0]
            self._in_use[name] = self._in_use.get(name, 0) + 1
            self._shrink(cursor)
        return name

    def _place(self, selected: Selected) -> tuple[_Key, str]:
        """Return the key of the table that has the facts or will have them: one with all columns serves totals, too."""
        every, totals = (selected.key, _NAMES), (selected.key, _TOTALS_NAMES)
        if every in self._tables:
            return every
        is_large = totals in self._tables and self._tables[totals][0] == _LARGE
        return totals if selected.totals_only or is_large else every

    def release(self, name: str) -> None:
        """Say that a question is answered."""
        with self._lock:
            self._in_use[name] = self._in_use.get(name, 0) - 1
            if self._in_use[name] <= 0:
                del self._in_use[name]

    def forget(self, cursor: "DuckDBPyConnection") -> None:
        """Drop all tables that are not in use."""
        with self._lock:
            self._shrink(cursor, facts_limit=-1)

    def _made(self, cursor: "DuckDBPyConnection", selected: Selected) -> tuple[str, int]:
        self._number += 1
        name = f"kept_{self._number}"
        found = f"{_file_facts(self._folder, selected)} limit {_KEPT_FACTS + 1}"
        cursor.execute(f"create table {name} as {found}", dict(selected.condition.parameters))
        row = cursor.execute(f"select count(*) from {name}").fetchone()  # noqa: S608
        facts = row[0] if row is not None else 0
        if facts <= _KEPT_FACTS:
            return name, facts
        cursor.execute(f"drop table {name}")
        return _LARGE, 0

    def _shrink(self, cursor: "DuckDBPyConnection", facts_limit: int = _KEPT_FACTS_IN_ALL) -> None:
        """Drop tables that are not in use until the rest are small enough."""
        for key in list(self._tables):
            facts = sum(facts for _, facts in self._tables.values())
            if facts <= facts_limit and len(self._tables) <= _TABLES_KEPT:
                return
            name = self._tables[key][0]
            if name not in self._in_use:
                del self._tables[key]
                if name != _LARGE:
                    cursor.execute(f"drop table {name}")


def _facts_sql(folder: Path, selected: Selected, kept: str) -> tuple[str, Mapping[str, Any]]:
    """Return the facts of a question, and the parameters."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    if kept:
        parts.append(f"select {_names(selected)} from {kept}")  # noqa: S608
    elif selected.view.file_ids:
        parts.append(_file_facts(folder, selected))
        values |= selected.condition.parameters
    if selected.tail or not parts:
        parts.append(f"select {_names(selected)} from ({tail_sql()}) t")  # noqa: S608
        values["tail"] = selected.tail or "[]"
    return " union all ".join(parts), values


def _file_facts(folder: Path, selected: Selected) -> str:
    store = StoreFolder(folder, selected.view.store)
    files = ", ".join(quoted(store.file(file_id)) for file_id in selected.view.file_ids)
    return f"select {_names(selected)} from read_parquet([{files}]) e where {selected.condition.sql}"  # noqa: S608


def _names(selected: Selected) -> str:
    return _TOTALS_NAMES if selected.totals_only else _NAMES


def _ignore(asked: "asyncio.Future[Any]") -> None:
    """Take the error of a question that nobody waits for any more."""
    if not asked.cancelled():
        asked.exception()
