"""What a campaign is to do, and what came of it."""

from dataclasses import dataclass, field

__all__ = ["Outcome", "Plan", "Target"]


@dataclass(frozen=True)
class Plan:
    """How much of what; all randomness follows from `seed`.

    Attributes:
        each: least number of strikes at each failpoint, and of each kind of strike at workers.
        chunk_size: messages that one publisher sends at a time; the larger, the faster they come.
        hurry: what dead workers have left behind (leases, heartbeats) ends at once instead of after a minute.
        batch_size: messages that a worker settles at a time who will be struck; small ones are struck sooner.
        calm_workers: workers beside the others that are not struck before they have worked for a while, in large batches:
            they see to it that messages do not pile up between the crashes.
        control: how to break the workers, so that the judge has something to find.
    """

    seed: int
    messages: int
    crashes: int
    each: int = 0
    chunk_size: int = 400
    batch_size: int = 100
    calm_workers: int = 0
    workers: int = 3
    postgres_crashes: int = 0
    broker_kills: int = 0
    mishaps: int = 0
    fault_seconds: float = 3600
    heal_seconds: float = 240
    hurry: bool = False
    control: str | None = None
    name: str = "chaos"


@dataclass(frozen=True)
class Target:
    """How often something was to happen at least, and how often it did."""

    wanted: int
    reached: int

    @property
    def missed(self) -> bool:
        return self.reached < self.wanted


@dataclass
class Outcome:
    """What happened, and whether all is as it must be."""

    plan: Plan
    targets: dict[str, Target]
    counts: dict[str, int]
    strikes: dict[str, int]
    disasters: dict[str, int]
    crashes: int
    seconds: dict[str, float]
    faults: dict[str, int]
    examples: dict[str, list[str]]
    found: dict[str, int] = field(default_factory=dict[str, int])
    versions: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def missed(self) -> list[str]:
        """Name the targets that were not reached."""
        missed = {what: target for what, target in self.targets.items() if target.missed}
        return [f"{what}: {target.reached:,} of {target.wanted:,}" for what, target in missed.items()]

    @property
    def clean(self) -> bool:
        """Whether nothing was wrong and all was reached; a control has no targets, it need only be caught."""
        return not self.faults and (self.plan.control is not None or not self.missed)
