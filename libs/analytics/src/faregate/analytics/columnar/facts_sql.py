"""SQL of a question's facts in DuckDB. Pure."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from faregate.analytics.columnar.duckdb_setup import quoted
from faregate.analytics.columnar.folder import StoreFolder
from faregate.analytics.columnar.interfaces import Selected
from faregate.analytics.columnar.questions_sql import tail_sql
from faregate.analytics.columnar.registry import View

__all__ = ["facts_sql", "file_facts_sql"]


def facts_sql(folder: Path, selected: Selected, kept: str) -> tuple[str, Mapping[str, Any]]:
    """Return the facts of a question, those of the files from the table `kept` unless it is empty, and the parameters."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    if kept:
        parts.append(f"select {', '.join(selected.names)} from {kept}")  # noqa: S608
    elif selected.view.file_ids:
        parts.append(file_facts_sql(folder, selected, selected.names))
        values |= selected.condition.parameters
    if selected.tail or not parts:
        parts.append(f"select {', '.join(selected.names)} from ({tail_sql()}) t")  # noqa: S608
        values["tail"] = selected.tail or "[]"
    return " union all ".join(parts), values


def file_facts_sql(folder: Path, selected: Selected, names: Collection[str]) -> str:
    """Return those columns of a question's facts in its files. Facts of whole files are not asked for their time: to read it
    takes longer than to find a user.
    """
    view, condition = selected.view, selected.condition
    parted = [file_id for file_id in view.file_ids if file_id not in view.whole]
    whole = [file_id for file_id in view.file_ids if file_id in view.whole]
    given = ((whole, condition.filters), (parted, condition.sql))
    return " union all ".join(
        _read_sql(folder, selected.view, names, file_ids, where) for file_ids, where in given if file_ids
    )


def _read_sql(folder: Path, view: View, names: Collection[str], file_ids: Collection[UUID], where: str) -> str:
    store = StoreFolder(folder, view.store)
    files = ", ".join(quoted(store.file(file_id)) for file_id in file_ids)
    return f"select {', '.join(names)} from read_parquet([{files}]) e where {where or 'true'}"  # noqa: S608
