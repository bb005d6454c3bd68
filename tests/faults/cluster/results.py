"""Result of a cluster trial: what was seen of each fault, the counts, and whether it passed."""

from collections import Counter
from dataclasses import dataclass, field

from faults.cluster.faults import Fault
from faults.cluster.judge import LOSSES, Verdict

__all__ = ["BACK_SECONDS", "CONTROLS", "UNCONFIRMED", "UNREPLICATED", "Result", "Window"]

UNREPLICATED = "postgresql, asynchronous commits"
UNCONFIRMED = "rabbitmq, no confirms"
CONTROLS = frozenset({UNREPLICATED, UNCONFIRMED})
"""Trials that must lose something."""

BACK_SECONDS = 30


@dataclass
class Window:
    """What was seen of one fault.

    Attributes:
        silences: longest time without a success, by way; stalls of the machine do not count.
        stalled_seconds: for how long the machine gave the trial no processor.
        lag_seconds: the longest that a confirmed message waited for its settlement.
        back_seconds: from the mending until messages were settled within two seconds again.
        refusals: answers other than success, by way and status.
        restarted: whether the node came back to its cluster only after a restart by hand.
    """

    fault: Fault
    machine: str
    began: float
    mended: float = 0
    whole: float = 0
    ended: float = 0
    silences: dict[str, float] = field(default_factory=dict[str, float])
    stalled_seconds: float = 0
    lag_seconds: float = 0
    back_seconds: float = 0
    refusals: Counter[str] = field(default_factory=Counter[str])
    restarted: bool = False

    @property
    def is_late(self) -> bool:
        """Whether some way had no success for longer than the limit, although the cluster could serve."""
        return self.fault.quorum and max(self.silences.values(), default=0) > BACK_SECONDS


@dataclass
class Result:
    """Windows, counts and verdict of one trial."""

    name: str
    windows: list[Window]
    counts: dict[str, int]
    verdict: Verdict
    seconds: float

    @property
    def clean(self) -> bool:
        return not self.verdict.faults

    @property
    def lost(self) -> int:
        """How many things that were acknowledged are not there."""
        return sum(count for kind, count in self.verdict.faults.items() if kind in LOSSES)

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong and nothing late; a control must lose something."""
        if self.name in CONTROLS:
            return self.lost > 0
        return self.clean and not any(window.is_late for window in self.windows)
