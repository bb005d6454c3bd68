"""What the columns of an export are: a name, a kind, and the SQL that yields them."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Column", "Kind"]


class Kind(StrEnum):
    """How a column's values look and sort; amounts and quantities are exact decimals."""

    TEXT = "text"
    INTEGER = "integer"
    CREDITS = "credits"
    USD = "usd"
    QUANTITY = "quantity"
    NUMBER = "number"
    MOMENT = "moment"
    JSON = "json"

    @property
    def is_decimal(self) -> bool:
        """Whether values are `Decimal`."""
        return self in {Kind.CREDITS, Kind.USD, Kind.QUANTITY, Kind.NUMBER}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `sql` yields it where rows come from a query, and is its name elsewhere.

    Text that outsiders may choose is `guarded` in spreadsheets.
    """

    name: str
    kind: Kind
    sql: str = ""
    guarded: bool = True
