"""Facts that an answer had to leave out, since they are archived."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from faregate.core.db.partitions import Month
from faregate.core.errors import InvalidError

__all__ = ["Omissions"]


@dataclass(slots=True)
class Omissions:
    """Notes what is left out of the answers to one question.

    Sums that are kept outlive the facts that they were made of. What they do not know (several filters, one user, exact
    percentiles, statistics) is read from the facts, and is incomplete where those are archived.

    Attributes:
        refused: raise instead of leaving anything out.
        archived_before: facts before this moment were left out; None where the answer is complete.
    """

    refused: bool = False
    archived_before: datetime | None = None

    def add(self, months: Iterable[Month]) -> None:
        """Note months whose facts an answer needed and cannot have.

        Raises:
            InvalidError: `refused`, and there are any.
        """
        ends = [month.end for month in months]
        if not ends:
            return
        self.archived_before = max([*ends, *([self.archived_before] if self.archived_before else [])])
        if self.refused:
            raise InvalidError(f"{self.note}; begin later, ask with fewer filters, or restore them", param="startDate")

    @property
    def note(self) -> str | None:
        """What people are told; None where the answer is complete."""
        if self.archived_before is None:
            return None
        return f"single facts before {self.archived_before:%Y-%m-%d} are archived and not in this answer"
