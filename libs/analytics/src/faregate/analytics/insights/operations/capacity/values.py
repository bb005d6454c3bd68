"""Values of capacity: table sizes, samples of the database, full dates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

__all__ = ["CapacitySample", "FullDates", "TableSize"]


@dataclass(frozen=True, slots=True)
class TableSize:
    """One table of the schema with its indexes, its partitions together; rows as PostgreSQL estimates them."""

    name: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class CapacitySample:
    """The counters of the database at one moment.

    Attributes:
        bytes: of the whole database, other schemas included.
        active_ms: the time in which PostgreSQL executed statements since `counted_since`.
        counted_since: when PostgreSQL's statistics were last reset; None if never.
    """

    at: datetime
    bytes: int
    tables: Sequence[TableSize]
    active_ms: Decimal
    counted_since: datetime | None

    @property
    def own_bytes(self) -> int:
        """The size of the schema's tables."""
        return sum(table.bytes for table in self.tables)

    @property
    def rows(self) -> int:
        """The rows of the schema's tables."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class FullDates:
    """When the database reaches a limit; None: not within ten years."""

    limit_bytes: int
    bytes: int
    expected_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None
    days_left: int | None
