"""Seams of the columnar copy: its place, and its reader."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Protocol
from uuid import UUID

from faregate.analytics.columnar.columns import ALL_NAMES
from faregate.analytics.columnar.dialect import ColumnDialect
from faregate.analytics.columnar.questions_sql import FactCondition
from faregate.analytics.columnar.registry import View
from faregate.analytics.columnar.values import CopiedFile

__all__ = ["IColumnEngine", "ICopyPlace", "ICopyStore", "IRows", "RowsFormat", "Selected"]

RowsFormat = Literal["csv", "text"]


class IRows(Protocol):
    """Rows of one month that become one file."""

    size: int

    async def add(self, rows: bytes) -> None:
        """Append whole rows."""
        ...

    async def end(self) -> CopiedFile | None:
        """Write the file; None without rows."""
        ...


class ICopyStore(Protocol):
    """The files of one copy, for the one run that may write them. Files never change, and no id is used twice."""

    async def make(self) -> None:
        """Create the store if it is missing."""
        ...

    def begin(self, month: date) -> IRows:
        """Begin a file."""
        ...

    async def merge(self, files: Sequence[CopiedFile]) -> CopiedFile:
        """Write one file with the facts of several files of one month."""
        ...

    async def remove(self, file_ids: Collection[UUID]) -> None:
        """Remove files. Safe to repeat."""
        ...

    async def clean(self, known: Collection[UUID]) -> int:
        """Remove the files that a killed run has left, and return how many."""
        ...

    async def broken(self, files: Sequence[CopiedFile]) -> set[UUID]:
        """Return the files that are missing or not whole."""
        ...


class ICopyPlace(Protocol):
    """A place for copies: each database has a store of its own in it."""

    rows_format: RowsFormat
    """The format of PostgreSQL's COPY that its stores take."""

    needs: tuple[str, str]
    """What the place is for, and the extra that it needs."""

    @property
    def installed(self) -> bool:
        """Whether the extra is installed."""
        ...

    def name(self, store: UUID) -> str:
        """Return the name of a store, for people."""
        ...

    def open(self, store: UUID) -> AbstractAsyncContextManager[ICopyStore]:
        """Open a store for one run."""
        ...


@dataclass(frozen=True, slots=True)
class Selected:
    """The facts of a question: those of the view's files that meet the condition, and the tail, as JSON (empty for none).

    `names` are the columns that the question needs: `TOTALS_NAMES`, `USERS_NAMES` or `ALL_NAMES`.
    """

    view: View
    condition: FactCondition
    tail: str
    names: tuple[str, ...] = ALL_NAMES

    @property
    def key(self) -> tuple[Any, ...]:
        """What determines the facts of the files."""
        parameters: Mapping[str, Any] = self.condition.parameters
        return self.view.store, self.view.file_ids, self.condition.sql, tuple(sorted(parameters.items()))


class IColumnEngine(Protocol):
    """Answers questions over the files of the copy."""

    dialect: ColumnDialect

    async def reads(self, view: View) -> bool:
        """Tell whether the files can be read here, as far as this is known without reading them."""
        ...

    async def rows(self, selected: Selected, sql: str) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a question, whose SQL names its facts `facts`. Any error means that PostgreSQL has to answer."""
        ...

    def forget(self) -> None:
        """Forget the facts of earlier questions, as after a start."""
        ...
