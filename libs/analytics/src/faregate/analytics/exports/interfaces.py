"""The seam between rows and formats."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from faregate.analytics.exports.columns import Column

__all__ = ["IExportWriter", "Rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is to be written: batches of rows in the order of `columns`, and what is told about them.

    Attributes:
        metadata: what was asked for, and when.
        summary: totals over all rows, known beforehand.
    """

    columns: Sequence[Column]
    batches: AsyncIterator[Sequence[Sequence[Any]]]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    summary: Mapping[str, Any] = field(default_factory=dict[str, Any])


@runtime_checkable
class IExportWriter(Protocol):
    """Writes rows in one format."""

    def write(self, rows: Rows) -> AsyncGenerator[bytes]:
        """Yield the file piece by piece; holds a bounded number of rows at any time.

        Closing the generator early lets go of everything, temporary files included.
        """
        ...
