"""Positions of periods as an expression over microseconds. Pure.

The starts come from the calendar (`periods_of`). Runs of periods of one length, such as the days between two changes of the clock,
are one division each.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from faregate.analytics.columnar.dialect import ColumnDialect
from faregate.analytics.columnar.values import micros

__all__ = ["period_position"]


def period_position(periods: Sequence[datetime], column: str, dialect: ColumnDialect) -> str:
    """Return the position (from 0) of the period that contains `column`, among the starts `periods` (ascending, not empty).

    What lies before the first start counts as in the first period.
    """
    starts = [micros(period) for period in periods]
    runs = _runs(starts)
    last = _position(starts, runs[-1], column, dialect)
    arms = [
        f"when {column} < {starts[after]} then {_position(starts, run, column, dialect)}"
        for run, (after, _) in pairwise(runs)
    ]
    return f"(case {' '.join(arms)} else {last} end)" if arms else f"({last})"


def _runs(starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs of periods of one length: the position of the first, and the number of periods."""
    runs: list[tuple[int, int]] = []
    first = 0
    while first < len(starts):
        end = first + 1
        length = starts[end] - starts[first] if end < len(starts) else 0
        while end < len(starts) - 1 and starts[end + 1] - starts[end] == length:
            end += 1
        runs.append((first, end - first))
        first = end
    return runs


def _position(starts: Sequence[int], run: tuple[int, int], column: str, dialect: ColumnDialect) -> str:
    first, count = run
    if count == 1:
        return str(first)
    length = starts[first + 1] - starts[first]
    return f"{first} + {dialect.quotient(f'{column} - {starts[first]}', length)}"
