"""Archived facts that are left out of an answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from faregate.core.db.partitions import Month
from faregate.core.errors import InvalidError

__all__ = ["Omissions"]


@dataclass(slots=True)
class Omissions:
    """Records the facts that are left out of the answers to one question.

    Sums are kept longer than the facts that they were made of. Answers that need more than sums (several filters, one
    user, exact percentiles, statistics) are read from the facts, and are incomplete if those are archived.

    Attributes:
        refused: raise instead of leaving anything out.
        archived_before: facts before this moment were left out; None if the answer is complete.
    """

    refused: bool = False
    archived_before: datetime | None = None

    def add(self, months: Iterable[Month]) -> None:
        """Record archived months whose facts an answer needs.

        Raises:
            InvalidError: `refused` is set, and there are such months.
        """
        ends = [month.end for month in months]
        if not ends:
            return
        self.archived_before = max([*ends, *([self.archived_before] if self.archived_before else [])])
        if self.refused:
            raise InvalidError(
                f"{self.note}; choose a later start, use fewer filters, or restore them", param="startDate"
            )

    @property
    def note(self) -> str | None:
        """The note for people; None if the answer is complete."""
        if self.archived_before is None:
            return None
        return f"single facts before {self.archived_before:%Y-%m-%d} are archived and not in this answer"
