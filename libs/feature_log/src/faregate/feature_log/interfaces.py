"""The seams of feature logs: what a host or an application plugs in."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["IFeatureNames", "NamesAsGiven"]

Names = tuple[str | None, str | None]


@runtime_checkable
class IFeatureNames(Protocol):
    """Knows features by both of their names. Logs of unknown features are kept under the names they came with."""

    async def complete_names(self, names: Sequence[Names]) -> Sequence[Names]:
        """Return each pair of id and key as the catalogue has it (as given, where it does not), in the same order."""
        ...


class NamesAsGiven:
    """`IFeatureNames` without a catalogue."""

    async def complete_names(self, names: Sequence[Names]) -> Sequence[Names]:
        return names
