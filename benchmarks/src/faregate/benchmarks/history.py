"""History of measured figures, by which a slower commit shows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from faregate.core.errors import InvalidError

__all__ = ["FigureChange", "FigureEntry", "changes", "keep", "read"]

_LOOKED_AT = 5
"""The last measurements that count: one alone may have been disturbed."""


@dataclass(frozen=True, slots=True)
class FigureEntry:
    """The figures of one commit; each is a rate divided by that of a reference in the same run, so that more is faster and
    figures of different machines may be compared.
    """

    commit: str
    measured_on: str
    cpu: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A figure now, beside the median of the last measurements; `before` is None for a figure that is new."""

    name: str
    before: float | None
    now: float

    @property
    def ratio(self) -> float | None:
        """The figure divided by what it was."""
        return self.now / self.before if self.before else None

    def is_slower(self, tolerance_percent: float) -> bool:
        """Return whether the figure is lower than it was by more than the tolerance."""
        return self.ratio is not None and self.ratio < 1 - tolerance_percent / 100


def changes(history: Sequence[FigureEntry], now: FigureEntry) -> list[FigureChange]:
    """Return each figure of `now` beside the median of its last five measurements."""
    return [FigureChange(name, _median(_last(history, name)), figure) for name, figure in now.figures.items()]


def read(file: Path) -> list[FigureEntry]:
    """Return the entries of a history, oldest first; a file that does not exist is an empty one.

    Raises:
        InvalidError: a line is no entry; names the line.
    """
    lines = file.read_text().splitlines() if file.exists() else []
    return [_entry(line, number) for number, line in enumerate(lines, 1)]


def keep(file: Path, entry: FigureEntry) -> None:
    """Append an entry as one line of JSON."""
    with file.open("a") as history:
        history.write(json.dumps(asdict(entry), sort_keys=True) + "\n")


def _entry(line: str, number: int) -> FigureEntry:
    try:
        found: Any = json.loads(line)
        figures = {str(name): float(value) for name, value in found["figures"].items()}
        return FigureEntry(found["commit"], found["measured_on"], found["cpu"], figures)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidError(f"line {number} of the history is no entry ({error}); remove it") from None


def _last(history: Iterable[FigureEntry], name: str) -> Sequence[float]:
    return [entry.figures[name] for entry in history if name in entry.figures][-_LOOKED_AT:]


def _median(figures: Sequence[float]) -> float | None:
    return median(figures) if figures else None
