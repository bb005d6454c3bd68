"""Uses that bill and ledger have on different days. Pure.

A use is late where one day of the bill has more, and a day near by has lines in the ledger that are exactly that much.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from faregate.analytics.bills.cells import Cell, Told, difference, fits
from faregate.analytics.bills.sums import Sums, of_bill, of_ledger
from faregate.analytics.bills.values import Difference, DifferenceKind, LedgerLine

__all__ = ["take_late"]

_NOTHING = Decimal(0)


def take_late(cells: Sequence[Cell], late_days: int) -> list[Difference]:
    """Move lines of the ledger to the day on which the bill has them, and return a difference for each move.

    `cells` are those of one model. Each call is repeatable: what was moved is no longer on another day.
    """
    found: list[Difference] = []
    for to in cells:
        near = [each for each in cells if 0 < abs((each.day - to.day).days) <= late_days]
        for source in sorted(near, key=lambda each: abs((each.day - to.day).days)):
            moved = _moved(to, source)
            if moved:
                sums = of_ledger(moved)
                billed = replace(sums, rows=[stored.row for stored in to.bill])
                found.append(difference(DifferenceKind.LATE, to, (billed, sums), other_day=source.day))
                to.ledger += moved
                source.ledger = [line for line in source.ledger if line not in moved]
    return found


def _moved(to: Cell, source: Cell) -> list[LedgerLine]:
    """Return the lines of `source` that the bill has on the day of `to`; empty if there are none."""
    over = to.over()
    if not source.ledger or not over or min(over.values()) < 0 or not any(over.values()):
        return []
    missing = {name: -amount for name, amount in source.over().items()}
    if missing and (set(missing) != set(over) or min(missing.values()) < 0):
        return []
    lines = sorted(source.ledger, key=lambda line: line.settled_at, reverse=source.day < to.day)
    bill = of_bill(to.bill)
    wanted = [over] if not missing or missing == over else [over, missing]
    for target in wanted:
        found = _exactly(bill, lines, target)
        if found and _within(fits(bill, found), over) and (not missing or _within(fits(bill, found), missing)):
            return found
    return []


def _exactly(bill: Sums, lines: Sequence[LedgerLine], target: Told) -> list[LedgerLine]:
    """Return the lines nearest to midnight, or the one line, that have what is wanted."""
    taken: list[LedgerLine] = []
    total = dict.fromkeys(target, _NOTHING)
    alone: list[LedgerLine] = []
    for line in lines:
        has = fits(bill, [line])
        if has == target and not alone:
            alone = [line]
        total = {name: amount + has.get(name, _NOTHING) for name, amount in total.items()}
        taken.append(line)
        if total == target:
            return taken
        if not _within(total, target) and alone:
            break
    return alone


def _within(amounts: Told, bounds: Told) -> bool:
    return all(amount <= bounds.get(name, _NOTHING) for name, amount in amounts.items())
