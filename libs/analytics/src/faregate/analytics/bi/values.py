"""View, column and roles of the schema for business intelligence tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["BiColumn", "BiView", "ColumnType", "DroppedRoles"]

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


@dataclass(frozen=True, slots=True)
class DroppedRoles:
    """What became of the roles that read the views: those that have other uses are kept."""

    dropped: Sequence[str]
    kept: Sequence[str]
