"""View and column of the schema for business intelligence tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["BiColumn", "BiView", "ColumnType"]

ColumnType = Literal["bigint", "boolean", "integer", "numeric", "text", "timestamptz", "uuid"]
"""Types that every tool reads: no JSON, no arrays; moments have a time zone."""


@dataclass(frozen=True, slots=True)
class BiColumn:
    """A column: its name and type are promises, its expression is not.

    Attributes:
        expression: SQL over the tables of the view's source.
        comment: what it means, with unit, in one sentence.
    """

    name: str
    type: ColumnType
    expression: str
    comment: str


@dataclass(frozen=True, slots=True)
class BiView:
    """A view with one row per fact.

    Attributes:
        source: the FROM clause, with a condition if there is one.
        comment: what one row is.
    """

    name: str
    comment: str
    columns: Sequence[BiColumn]
    source: str
