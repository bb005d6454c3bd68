"""Extension points of feature logs."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["IFeatureNames", "NamesAsGiven"]

Names = tuple[str | None, str | None]


@runtime_checkable
class IFeatureNames(Protocol):
    """Completes the names of features: id and key. Logs of unknown features are stored under the names they came with."""

    async def complete_names(self, names: Sequence[Names]) -> Sequence[Names]:
        """Return each pair of id and key as in the catalogue (unchanged if it is not there), in the same order."""
        ...


class NamesAsGiven:
    """`IFeatureNames` without a catalogue."""

    async def complete_names(self, names: Sequence[Names]) -> Sequence[Names]:
        return names
