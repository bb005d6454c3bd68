"""Comparison of totals by model, day and type of tokens. Pure.

What one side has more is explained, in this order: a line that the bill has twice; lines of the ledger on a day near by; and
what is left, by its kind.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import Any

from faregate.analytics.bills.cells import Cell, cells_of, difference, fits, lines_with, rows_with
from faregate.analytics.bills.late import take_late
from faregate.analytics.bills.sums import PROMPT, Sums, of_bill, of_ledger, types_of
from faregate.analytics.bills.terms import MatchingTerms
from faregate.analytics.bills.values import Difference, DifferenceKind, LedgerLine, Side, StoredBillLine

__all__ = ["compare_totals"]

_NOTHING = Decimal(0)


def compare_totals(
    bill: Iterable[StoredBillLine], ledger: Iterable[LedgerLine], terms: MatchingTerms
) -> list[Difference]:
    """Return the differences of the totals."""
    found: list[Difference] = []
    for _, group in groupby(cells_of(bill, ledger, terms), key=lambda cell: cell.model):
        cells = list(group)
        if not terms.has_price(cells[0].model) and not any(cell.ledger for cell in cells):
            found += [each for cell in cells for each in _unknown(cell)]
            continue
        for cell in cells:
            found += _doubled(cell)
        found += take_late(cells, terms.late_days)
        for cell in cells:
            found += [*_lost_line(cell), *_differences(cell, terms)]
    return found


def _unknown(cell: Cell) -> list[Difference]:
    sums = of_bill(cell.bill)
    if not sums.cost and not any(sums.tokens.values()):
        return []
    return [difference(DifferenceKind.UNKNOWN_MODEL, cell, (sums, Sums()))]


def _doubled(cell: Cell) -> list[Difference]:
    """Take lines out of the cell that the bill has twice, as far as the bill exceeds the ledger by them."""
    bill, ledger = cell.sums()
    tokens = {name: count - ledger.tokens.get(name, 0) for name, count in bill.tokens.items()}
    costs = {name: cost - ledger.costs.get(name, _NOTHING) for name, cost in bill.costs.items()}
    first: set[Any] = set()
    found: list[Difference] = []
    for stored in list(cell.bill):
        line = stored.line
        same = (line.start, line.end, line.token_type, line.cost_usd, line.detail, frozenset(line.tokens.items()))
        alone = of_bill([stored]).folded(prompt=PROMPT in tokens, all_costs=None in costs)
        if same in first and _is_too_much(alone, tokens, costs):
            cell.bill.remove(stored)
            tokens = {name: over - alone.tokens.get(name, 0) for name, over in tokens.items()}
            costs = {name: over - alone.costs.get(name, _NOTHING) for name, over in costs.items()}
            both = of_bill([stored]), Sums()
            found.append(difference(DifferenceKind.DOUBLED, cell, both, token_type=line.token_type, side=Side.BILL))
        first.add(same)
    return found


def _is_too_much(alone: Sums, tokens: Mapping[str, int], costs: Mapping[str | None, Decimal]) -> bool:
    """Return whether the bill exceeds the ledger by at least this line, in all that the line tells."""
    if any(alone.tokens.values()):
        return all(tokens.get(name, 0) >= count for name, count in alone.tokens.items())
    return alone.cost > 0 and all(costs.get(name, _NOTHING) >= cost for name, cost in alone.costs.items())


def _lost_line(cell: Cell) -> list[Difference]:
    """Take out of the cell the one line of the ledger that the bill lacks, if exactly one explains what the bill has less."""
    missing = {name: -amount for name, amount in cell.over().items()}
    if not missing or min(missing.values()) < 0 or not any(missing.values()):
        return []
    bill = of_bill(cell.bill)
    alone = [line for line in cell.ledger if fits(bill, [line]) == missing]
    if len(cell.ledger) < 2 or not alone:
        return []
    cell.ledger.remove(alone[0])
    return [difference(DifferenceKind.LOST, cell, (Sums(), of_ledger(alone[:1])), side=Side.BILL)]


def _differences(cell: Cell, terms: MatchingTerms) -> list[Difference]:
    bill, ledger = cell.sums()
    if not cell.ledger or not cell.bill:
        side = Side.BILL if cell.ledger else Side.LEDGER
        return [difference(DifferenceKind.LOST, cell, (bill, ledger), side=side)] if _is_any(bill, ledger) else []
    found = [each for name in types_of(bill, ledger) for each in _token_differences(cell, name, bill, ledger)]
    if not ledger.is_complete and bill.cost - ledger.cost > terms.tolerance_usd:
        unpriced = of_ledger(line for line in cell.ledger if line.cost_usd is None)
        return [*found, difference(DifferenceKind.UNKNOWN_MODEL, cell, (bill, unpriced))]
    if None in bill.costs:
        return _with_whole_cost(found, cell, (bill, ledger), terms)
    return found + [
        each
        for name in types_of(bill, ledger)
        if bill.costs and bill.tokens.get(name, 0) == (ledger.tokens.get(name, 0) if name in bill.tokens else 0)
        for each in _cost_differences(cell, name, (bill, ledger), terms)
    ]


def _is_any(bill: Sums, ledger: Sums) -> bool:
    return bool(bill.cost or ledger.cost or any(bill.tokens.values()) or any(ledger.tokens.values()))


def _token_differences(cell: Cell, name: str, bill: Sums, ledger: Sums) -> list[Difference]:
    if name not in bill.tokens or bill.tokens[name] == ledger.tokens.get(name, 0):
        return []
    both = _only(cell, name, bill, ledger)
    if bill.tokens[name] > ledger.tokens.get(name, 0):
        return [difference(DifferenceKind.UNSEEN_TOKENS, cell, both, token_type=name)]
    return [difference(DifferenceKind.LOST, cell, both, token_type=name, side=Side.BILL)]


def _with_whole_cost(
    found: list[Difference], cell: Cell, both: tuple[Sums, Sums], terms: MatchingTerms
) -> list[Difference]:
    """Compare the one cost of all types; where tokens differ, the first difference holds it."""
    bill, ledger = both
    over = bill.cost - ledger.cost
    if found:
        return [replace(found[0], billed_usd=bill.cost, ledger_usd=ledger.cost), *found[1:]]
    if abs(over) <= terms.tolerance_usd:
        return []
    kind, side = _by_cost(both, is_measured=bool(bill.tokens))
    return [difference(kind, cell, both, side=side)]


def _cost_differences(cell: Cell, name: str, both: tuple[Sums, Sums], terms: MatchingTerms) -> list[Difference]:
    """Compare the cost of one type, whose tokens are equal or not told."""
    bill, ledger = _only(cell, name, *both)
    if abs(bill.cost - ledger.cost) <= terms.tolerance_usd:
        return []
    kind, side = _by_cost((bill, ledger), is_measured=name in both[0].tokens)
    return [difference(kind, cell, (bill, ledger), token_type=name, side=side)]


def _by_cost(both: tuple[Sums, Sums], *, is_measured: bool) -> tuple[DifferenceKind, Side | None]:
    """Tell by costs alone: a type of tokens that one side lacks, or else another price."""
    bill, ledger = both
    if is_measured or (bill.costs and ledger.costs):
        return DifferenceKind.MISPRICED, None
    return (DifferenceKind.LOST, Side.BILL) if ledger.costs else (DifferenceKind.UNSEEN_TOKENS, None)


def _only(cell: Cell, name: str, bill: Sums, ledger: Sums) -> tuple[Sums, Sums]:
    """Return what both sides have of one type, with the lines that have it."""
    billed, used = rows_with(cell, name), lines_with(cell, name)
    return (
        Sums(_picked(bill.tokens, name), _picked(bill.costs, name), [each.row for each in billed]),
        Sums(_picked(ledger.tokens, name), _picked(ledger.costs, name), [line.row for line in used]),
    )


def _picked(amounts: Mapping[Any, Any], name: str) -> dict[Any, Any]:
    return {name: amounts[name]} if name in amounts else {}
