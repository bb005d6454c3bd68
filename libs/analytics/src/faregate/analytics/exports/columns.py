"""Columns of exports: name, kind and SQL."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Column", "Kind"]


class Kind(StrEnum):
    """The type of a column's values; amounts and quantities are exact decimals."""

    TEXT = "text"
    INTEGER = "integer"
    CREDITS = "credits"
    USD = "usd"
    QUANTITY = "quantity"
    NUMBER = "number"
    EXACT = "exact"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    JSON = "json"

    @property
    def is_decimal(self) -> bool:
        """Whether values are `Decimal`."""
        return self in {Kind.CREDITS, Kind.USD, Kind.QUANTITY, Kind.NUMBER, Kind.EXACT}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `sql` is its expression if the rows come from a query, else its name.

    Text from outside, which a spreadsheet could run as a formula, is `guarded`.
    """

    name: str
    kind: Kind
    sql: str = ""
    guarded: bool = True
