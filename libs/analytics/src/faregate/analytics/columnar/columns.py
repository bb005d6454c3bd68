"""Columns of the columnar copy.

They are what questions add up, group by and filter by. Nothing that an erasure removes is copied: no id of the sender, no use,
no tag and no metadata; people are subject numbers, as in the sums.
"""

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["ALL_NAMES", "COLUMNS", "TOTALS_NAMES", "USERS_NAMES", "CopiedColumn", "copied_sql", "fact_bytes"]


@dataclass(frozen=True, slots=True)
class CopiedColumn:
    """A column of the copy: its expression over `usage_event e`, its type in DuckDB, and whether each fact has a value."""

    name: str
    expression: str
    type: str
    required: bool = False


_BYTES = {"SMALLINT": 2, "INTEGER": 4, "BIGINT": 8, "DECIMAL(21, 9)": 16, "VARCHAR": 16}

_REQUIRED = frozenset(
    ("sign", "subject_id", "service", "requests", "calls", "input_tokens", "output_tokens", "credits", "charged")
)


def _same(name: str, kind: str) -> CopiedColumn:
    return CopiedColumn(name, f"e.{name}", kind, name in _REQUIRED)


COLUMNS = (
    CopiedColumn("time_us", "(extract(epoch from e.time) * 1000000)::bigint", "BIGINT", required=True),
    _same("sign", "SMALLINT"),
    _same("subject_id", "BIGINT"),
    _same("organization_id", "BIGINT"),
    *(_same(name, "VARCHAR") for name in ("service", "feature_key", "model", "provider", "meter", "country", "device")),
    CopiedColumn("quantity", "e.quantity::text", "DECIMAL(21, 9)"),
    *(_same(name, "SMALLINT") for name in ("requests", "calls", "status")),
    *(_same(name, "BIGINT") for name in ("input_tokens", "output_tokens", "credits", "charged", "cost")),
    _same("latency_ms", "INTEGER"),
)
"""A quantity is below 10¹² and has at most 9 decimal places, so that it fits exactly."""

ALL_NAMES = tuple(column.name for column in COLUMNS)

TOTALS_NAMES = tuple(
    column.name for column in COLUMNS if column.type != "VARCHAR" and column.name not in {"time_us", "organization_id"}
)
"""What totals, latencies and numbers of users are made of."""

USERS_NAMES = (*TOTALS_NAMES, "time_us")
"""What totals by user are made of, with the time of each user's last fact."""


def copied_sql() -> str:
    """Return the select list of the copy over `usage_event e`."""
    return ", ".join(f"{column.expression} as {column.name}" for column in COLUMNS)


def fact_bytes(names: Collection[str]) -> int:
    """Return how many bytes those columns of a fact take in DuckDB's memory: at most, if no text is longer than 12 bytes."""
    return sum(_BYTES[column.type] for column in COLUMNS if column.name in names)
