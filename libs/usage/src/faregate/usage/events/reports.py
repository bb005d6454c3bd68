"""Results of recording usage events. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

__all__ = ["IngestReport", "RecordedItems", "Rejected"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that was not accepted: its index in the call, and why."""

    index: int
    error: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Result of recording the items of a call. A duplicate is not an error: it already counts, and is not counted again.

    Attributes:
        rejected: the items that were not accepted, in order; for a stream only the first ones.
        unlisted: the number of further items that were not accepted.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: tuple[Rejected, ...] = ()
    unlisted: int = 0

    @property
    def rejections(self) -> int:
        """Number of items that were not accepted."""
        return len(self.rejected) + self.unlisted

    def shortened(self, listed: int) -> "IngestReport":
        """Return the report with the first `listed` rejected items, and the number of the others."""
        if len(self.rejected) <= listed:
            return self
        more = self.unlisted + len(self.rejected) - listed
        return replace(self, rejected=self.rejected[:listed], unlisted=more)

    @classmethod
    def sum(cls, reports: Iterable[tuple[int, "IngestReport"]]) -> "IngestReport":
        """Return the sum of reports, each with the index of its first item."""
        accepted, duplicates, unlisted = 0, 0, 0
        rejected: list[Rejected] = []
        for offset, report in sorted(reports, key=itemgetter(0)):
            accepted += report.accepted
            duplicates += report.duplicates
            unlisted += report.unlisted
            rejected += [Rejected(item.index + offset, item.error) for item in report.rejected]
        return cls(accepted, duplicates, tuple(rejected), unlisted)


@dataclass(frozen=True, slots=True)
class RecordedItems:
    """Result of recording the items of one transaction.

    Attributes:
        read: the indexes of the items that are valid events, ascending.
        new: the indexes of the events among them that had not counted before, ascending.
    """

    read: Sequence[int]
    new: Sequence[int]
    rejected: Sequence[Rejected]

    def report(self, first: int, end: int) -> IngestReport:
        """Return the result of the items from `first` up to but not including `end`."""
        read, accepted = (bisect_left(some, end) - bisect_left(some, first) for some in (self.read, self.new))
        rejected = tuple(Rejected(r.index - first, r.error) for r in self.rejected if first <= r.index < end)
        return IngestReport(accepted, read - accepted, rejected)
