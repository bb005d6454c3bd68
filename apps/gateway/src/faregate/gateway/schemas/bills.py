"""Queries and answers of `/api/bills`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from faregate.analytics.bills.values import (
    BillImport,
    BillSource,
    Comparison,
    Difference,
    DifferenceKind,
    Side,
    StoredBillLine,
)
from faregate.core.errors import InvalidError
from faregate.core.values.fields import LooseBody, Moment, Note
from faregate.gateway.schemas.base import Answer, PageQuery

__all__ = [
    "BillAnswer",
    "BillImportQuery",
    "BillLineAnswer",
    "BillsQuery",
    "ComparisonAnswer",
    "ComparisonQuery",
    "RemovedBillAnswer",
    "bill_answer",
    "bill_line_answer",
    "comparison_answer",
    "mapping_of",
]

_ROWS_SHOWN = 100
_Day = Annotated[str, Field(examples=["2026-11-01"])]
_Provider = Annotated[str, Field(min_length=1, max_length=100, examples=["openai"])]


class BillImportQuery(LooseBody):
    """The export in the body. `provider` and `map` are for `csv`: `map` names the column of each field, with commas between."""

    source: BillSource
    provider: _Provider | None = None
    map: Annotated[str, Field(max_length=2000, examples=["time=Date,model=Model,cost_usd=Total"])] | None = None
    file_name: Annotated[Note, Field(max_length=200, examples=["costs-2026-11.json"])] | None = None


class BillsQuery(PageQuery):
    """The page of a list."""


class ComparisonQuery(LooseBody):
    """The bills and the days to compare; `from` is included, `to` is excluded. Without them all days that the bills cover."""

    provider: _Provider
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")
    tolerance_usd: Annotated[Decimal, Field(ge=0, le=1000, examples=["0.01"])] = Decimal(0)
    late_days: Annotated[int, Field(ge=0, le=31)] = 2
    kind: DifferenceKind | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000


class BillAnswer(Answer):
    """One import. `current` is the number of its lines that no later import has replaced."""

    import_id: UUID
    source: BillSource
    provider: str
    file_name: str | None
    lines: int
    added: int
    known: int
    replaced: int
    current: int
    cost_usd: Decimal
    start: datetime | None
    end: datetime | None
    actor: str | None
    imported_at: datetime


class BillLineAnswer(Answer):
    """One line of an import; `number` is its place in the file."""

    import_id: UUID
    number: int
    start: datetime
    end: datetime
    model: str | None
    token_type: str | None
    tokens: dict[str, int]
    cost_usd: Decimal | None
    requests: int | None
    request_id: str | None


class BillRowAnswer(Answer):
    """Where a difference was found on the bill."""

    import_id: UUID
    number: int


class UsageRowAnswer(Answer):
    """Where a difference was found in the ledger."""

    usage_key: str
    line_no: int


class DifferenceAnswer(Answer):
    """One difference on a day of UTC; `amount_usd` is what the bill has more. Of many rows the first 100 are listed."""

    kind: DifferenceKind
    side: Side | None
    day: _Day
    other_day: _Day | None
    model: str | None
    token_type: str | None
    request_id: str | None
    billed_usd: Decimal | None
    ledger_usd: Decimal | None
    amount_usd: Decimal
    billed_tokens: int | None
    ledger_tokens: int | None
    bill_row_count: int
    bill_rows: list[BillRowAnswer]
    line_count: int
    lines: list[UsageRowAnswer]


class ComparisonAnswer(Answer):
    """A bill beside the ledger. `counts` has all differences by kind; `differences` those that were asked for."""

    provider: str
    start: datetime
    end: datetime
    bill_lines: int
    ledger_lines: int
    billed_usd: Decimal
    ledger_usd: Decimal
    counts: dict[DifferenceKind, int]
    differences: list[DifferenceAnswer]


class RemovedBillAnswer(Answer):
    """The import that was removed."""

    import_id: UUID


def mapping_of(text: str | None) -> dict[str, str] | None:
    """Return the mapping of columns, or raise `InvalidError`."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not equals or not column.strip() for _, equals, column in pairs):
        raise InvalidError("map must be of the form field=Column,field=Column", param="map")
    return {name.strip(): column.strip() for name, _, column in pairs}


def bill_answer(made: BillImport) -> BillAnswer:
    """Return one import."""
    return BillAnswer.of(made)


def bill_line_answer(stored: StoredBillLine) -> BillLineAnswer:
    """Return one line."""
    return BillLineAnswer.of(stored.line, import_id=stored.import_id, tokens=dict(stored.line.tokens))


def comparison_answer(found: Comparison, *, kind: DifferenceKind | None, limit: int) -> ComparisonAnswer:
    """Return a comparison with the first differences of a kind, or of all kinds."""
    wanted = [each for each in found.differences if kind is None or each.kind is kind]
    return ComparisonAnswer.of(
        found, counts=dict(found.counts), differences=[_difference(each) for each in wanted[:limit]]
    )


def _difference(each: Difference) -> DifferenceAnswer:
    return DifferenceAnswer.of(
        each,
        day=str(each.day),
        other_day=str(each.other_day) if each.other_day is not None else None,
        bill_row_count=len(each.bill_rows),
        bill_rows=[BillRowAnswer(import_id=made, number=number) for made, number in each.bill_rows[:_ROWS_SHOWN]],
        line_count=len(each.lines),
        lines=[UsageRowAnswer(usage_key=key, line_no=number) for key, number in each.lines[:_ROWS_SHOWN]],
    )
