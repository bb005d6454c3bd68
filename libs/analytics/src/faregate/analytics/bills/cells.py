"""Cells of a comparison: one model on one day. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from faregate.analytics.bills.sums import INPUTS, PROMPT, Sums, alike, of_bill, of_ledger
from faregate.analytics.bills.terms import MatchingTerms
from faregate.analytics.bills.values import Difference, DifferenceKind, LedgerLine, Side, StoredBillLine

__all__ = ["Cell", "cells_of", "difference", "fits", "lines_with", "rows_with", "told"]

Told = dict[str, Decimal]
"""What the bill of a cell tells, by type: tokens, or costs where it tells no tokens."""

_NOTHING = Decimal(0)
_WHOLE = ""


@dataclass(slots=True)
class Cell:
    """The lines of both sides about one model on one day; `name` is the model as a line spells it."""

    model: str
    name: str | None
    day: date
    bill: list[StoredBillLine] = field(default_factory=list[StoredBillLine])
    ledger: list[LedgerLine] = field(default_factory=list[LedgerLine])

    def sums(self) -> tuple[Sums, Sums]:
        """Return the sums of both sides, by the same types."""
        return alike(of_bill(self.bill), of_ledger(self.ledger))

    def over(self) -> Told:
        """Return what the bill has more than the ledger, by type; below 0 what it has less."""
        bill, ledger = self.sums()
        return {name: amount - told(bill, ledger).get(name, _NOTHING) for name, amount in told(bill, bill).items()}


def cells_of(bill: Iterable[StoredBillLine], ledger: Iterable[LedgerLine], terms: MatchingTerms) -> list[Cell]:
    """Return the cells that the lines belong to, by model and day."""
    cells: dict[tuple[str, date], Cell] = {}
    for stored in bill:
        line = stored.line
        model = terms.model_of(line.model or "", line.provider)
        cells.setdefault((model, line.day), Cell(model, line.model, line.day)).bill.append(stored)
    for used in ledger:
        model = terms.model_of(used.model, used.provider)
        cells.setdefault((model, used.day), Cell(model, used.model, used.day)).ledger.append(used)
    return [cells[key] for key in sorted(cells)]


def told(bill: Sums, side: Sums) -> Told:
    """Return what `side` has of what the bill tells."""
    if bill.tokens:
        return {name: Decimal(side.tokens.get(name, 0)) for name in bill.tokens}
    return {name or _WHOLE: side.costs.get(name, _NOTHING) for name in bill.costs}


def fits(bill: Sums, lines: Sequence[LedgerLine]) -> Told:
    """Return what lines of the ledger have of what a bill tells."""
    billed, used = alike(bill, of_ledger(lines))
    return told(billed, used)


def rows_with(cell: Cell, token_type: str) -> list[StoredBillLine]:
    """Return the lines of the bill that tell of a type."""
    return [
        stored
        for stored in cell.bill
        if stored.line.token_type == token_type
        or (stored.line.token_type is None and stored.line.tokens.get(token_type))
    ]


def lines_with(cell: Cell, token_type: str) -> list[LedgerLine]:
    """Return the lines of the ledger that have tokens of a type."""
    types = INPUTS if token_type == PROMPT else (token_type,)
    return [line for line in cell.ledger if any(part.type in types for part in line.parts)]


def difference(
    kind: DifferenceKind,
    cell: Cell,
    both: tuple[Sums, Sums],
    *,
    token_type: str | None = None,
    side: Side | None = None,
    other_day: date | None = None,
) -> Difference:
    """Return a difference of a cell, with the sums and the lines of both sides."""
    bill, ledger = both
    return Difference(
        kind,
        cell.day,
        cell.name,
        side=side,
        other_day=other_day,
        token_type=token_type,
        billed_usd=bill.cost if bill.rows and bill.costs else None,
        ledger_usd=ledger.cost if ledger.rows and ledger.costs else None,
        billed_tokens=sum(bill.tokens.values()) if bill.rows and bill.tokens else None,
        ledger_tokens=sum(ledger.tokens.values()) if ledger.rows else None,
        bill_rows=tuple(bill.rows),
        lines=tuple(ledger.rows),
    )
