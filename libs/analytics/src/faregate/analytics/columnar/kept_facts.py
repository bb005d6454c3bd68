"""Facts of filtered questions, kept as tables of DuckDB.

The facts of a filtered question are taken out of the files once, and kept where the memory allows it: the parts of an answer
read them several times. They are counted first, which costs a sixth of taking them out. Files never change, so that files, range
and filters say which facts these are. What totals do not need, such as names, is not taken out for them: half of the work.
"""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faregate.analytics.columnar.columns import ALL_NAMES, TOTALS_NAMES, USERS_NAMES, fact_bytes
from faregate.analytics.columnar.facts_sql import file_facts_sql
from faregate.analytics.columnar.interfaces import Selected

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["KeptFacts"]

_PARTS = {TOTALS_NAMES: 4, USERS_NAMES: 4, ALL_NAMES: 10}
"""The part of the memory that one table may take: a fourth or a tenth. Totals and users read theirs several times for one answer;
what needs other columns may be asked only once, and many facts are faster read from the files then.
"""

_SETS = tuple(_PARTS)
"""Columns that are taken out together. Each contains the one before."""

_PART_IN_ALL = 2
"""The part of the memory that all tables may take together; the rest is for the questions."""

_KEPT = 64

_NONE = ""

_Key = tuple[Any, ...]


class KeptFacts:
    """Tables with the facts of filtered questions; the least recently used are dropped.

    Args:
        memory_bytes: what DuckDB may take.
    """

    def __init__(self, folder: Path, *, memory_bytes: int) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._counts: OrderedDict[_Key, int] = OrderedDict()
        self._tables: OrderedDict[tuple[_Key, tuple[str, ...]], tuple[str, int]] = OrderedDict()
        self._in_use: dict[str, int] = {}
        self._number = 0

    def find(self, cursor: "DuckDBPyConnection", selected: Selected) -> str:
        """Return the table with the facts of a question, made if there is none; empty if they are too many."""
        if not selected.condition.filters or not selected.view.file_ids:
            return _NONE
        with self._lock:
            name = self._kept(selected) or self._made(cursor, selected)
            self._in_use[name] = self._in_use.get(name, 0) + 1
        return name

    def release(self, name: str) -> None:
        """Say that a question is answered."""
        with self._lock:
            self._in_use[name] = self._in_use.get(name, 0) - 1
            if self._in_use[name] <= 0:
                del self._in_use[name]

    def forget(self, cursor: "DuckDBPyConnection") -> None:
        """Drop all tables that are not in use."""
        with self._lock:
            self._counts.clear()
            self._shrink(cursor, 0, 0)

    def _kept(self, selected: Selected) -> str:
        """Return the table that is kept: one with more columns serves, too."""
        for names in _SETS[_SETS.index(selected.names) :]:
            place = selected.key, names
            if place in self._tables:
                self._tables.move_to_end(place)
                return self._tables[place][0]
        return _NONE

    def _made(self, cursor: "DuckDBPyConnection", selected: Selected) -> str:
        size = self._count(cursor, selected) * fact_bytes(selected.names)
        if size > self._memory_bytes // _PARTS[selected.names]:
            return _NONE
        self._shrink(cursor, self._memory_bytes // _PART_IN_ALL - size, _KEPT - 1)
        self._number += 1
        name = f"kept_{self._number}"
        found = file_facts_sql(self._folder, selected, selected.names)
        cursor.execute(f"create table {name} as {found}", dict(selected.condition.parameters))
        self._tables[selected.key, selected.names] = name, size
        return name

    def _count(self, cursor: "DuckDBPyConnection", selected: Selected) -> int:
        """Return how many facts a question has: only the columns of its filters are read."""
        if selected.key not in self._counts:
            found = file_facts_sql(self._folder, selected, ("sign",))
            row = cursor.execute(f"select count(*) from ({found})", dict(selected.condition.parameters)).fetchone()  # noqa: S608
            self._counts[selected.key] = row[0] if row is not None else 0
            while len(self._counts) > _KEPT:
                self._counts.popitem(last=False)
        return self._counts[selected.key]

    def _shrink(self, cursor: "DuckDBPyConnection", most_bytes: int, most_tables: int) -> None:
        """Drop tables that are not in use until the rest are small and few enough."""
        for place in list(self._tables):
            if len(self._tables) <= most_tables and sum(size for _, size in self._tables.values()) <= most_bytes:
                return
            name = self._tables[place][0]
            if name not in self._in_use:
                del self._tables[place]
                cursor.execute(f"drop table {name}")
