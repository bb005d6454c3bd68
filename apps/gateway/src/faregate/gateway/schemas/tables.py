"""The body of `/api/tables`."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.formats import Format
from faregate.analytics.exports.tables import Table
from faregate.core.values.fields import AtMost, Body, Note
from faregate.core.values.moments import check_moment

__all__ = ["TableBody", "table_of"]

_KINDS = {"text": Kind.TEXT, "number": Kind.NUMBER, "time": Kind.MOMENT}
_DIGITS, _PLACES = 26, 12
"""The digits before and behind the point that the number of a file holds."""

_COLUMNS = 100
_Row = Annotated[list[Annotated[str, Field(max_length=10_000)] | None], AtMost(_COLUMNS)]


class TableColumnBody(Body):
    """One column and the kind of its cells."""

    name: Annotated[Note, Field(min_length=1, max_length=200, examples=["Credits"])]
    kind: Literal["text", "number", "time"] = "text"


class TableBody(Body):
    """A table as it is shown. Cells are texts, exact numbers as texts too; null is an empty cell."""

    name: Annotated[str, Field(pattern="^[a-z0-9-]{1,60}$", examples=["wallets"])]
    format: Format = Format.CSV
    columns: Annotated[list[TableColumnBody], AtMost(_COLUMNS, least=1)]
    rows: Annotated[list[_Row], AtMost(20_000)]

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        for at, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"rows/{at} must have {len(self.columns)} cells, as many as there are columns")
            for column, cell in zip(self.columns, row, strict=True):
                _typed(column, cell, at)
        if len({column.name for column in self.columns}) < len(self.columns):
            raise ValueError("columns must have different names")
        return self


def table_of(body: TableBody) -> Table:
    """Return the table with typed cells."""
    columns = [Column(column.name, _KINDS[column.kind]) for column in body.columns]
    rows = [
        [_typed(column, cell, at) for column, cell in zip(body.columns, row, strict=True)]
        for at, row in enumerate(body.rows)
    ]
    return Table(columns, rows, {"table": body.name})


def _typed(column: TableColumnBody, cell: str | None, at: int) -> Any:
    if cell is None or column.kind == "text":
        return cell
    try:
        return _number(cell) if column.kind == "number" else check_moment(datetime.fromisoformat(cell), param="rows")
    except (ValueError, InvalidOperation):
        wanted = "a number such as 12.5" if column.kind == "number" else "a time such as 2026-01-31T12:00:00Z"
        raise ValueError(f"rows/{at}: the cell of the column {column.name!r} must be {wanted}") from None


def _number(cell: str) -> Decimal:
    found = Decimal(cell)
    exponent = found.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_PLACES or found.adjusted() >= _DIGITS:
        raise ValueError(cell)
    return found
