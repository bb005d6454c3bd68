"""Which files of the columnar copy are merged into one. Pure.

Files of like size are merged as soon as there are several, so that each fact is written again only a few times, and the number
of files grows with the logarithm of the facts.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from faregate.analytics.columnar.values import CopiedFile

__all__ = ["FILES_MERGED", "LARGEST_FACTS", "due_for_merge"]

FILES_MERGED = 6
"""So many files of one size class become one of the next."""

LARGEST_FACTS = 8_000_000
"""Files of more facts are left alone."""

_SMALLEST_FACTS = 1000


def due_for_merge(files: Sequence[CopiedFile]) -> Sequence[CopiedFile]:
    """Return files of one month to merge, by the time of their first fact; empty if none are due."""
    classes: dict[tuple[date, int], list[CopiedFile]] = defaultdict(list)
    for file in files:
        if file.facts <= LARGEST_FACTS:
            classes[file.month, _size_class(file.facts)].append(file)
    due = [(place, found) for place, found in classes.items() if len(found) >= FILES_MERGED]
    if not due:
        return ()
    _, smallest = min(due, key=lambda item: (item[0][1], item[0][0]))
    return sorted(smallest, key=lambda file: (file.first_at, file.file_id))[: FILES_MERGED * 2]


def _size_class(facts: int) -> int:
    """Return how many times `FILES_MERGED` fits into the facts as a factor; all small files are in one class."""
    number, size = 0, _SMALLEST_FACTS
    while facts > size:
        number, size = number + 1, size * FILES_MERGED
    return number
