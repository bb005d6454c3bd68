"""Plan and outcome of a campaign."""

from dataclasses import dataclass, field

__all__ = ["Outcome", "Plan", "Target"]


@dataclass(frozen=True)
class Plan:
    """Amounts and seed of a campaign; all random choices follow from `seed`.

    Attributes:
        each: lowest number of strikes at each failpoint, and of each kind of strike at workers.
        chunk_size: messages that one publisher sends at a time; larger chunks are published faster.
        hurry: leases and heartbeats of dead workers end at once instead of after a minute.
        batch_size: messages that a struck worker settles at a time; small batches reach the strike sooner.
        calm_workers: further workers that are struck only after a while and settle large batches, so that messages do not
            accumulate between crashes.
        control: the defect of the workers that the judge must detect; None for sound workers.
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
    """Lowest wanted count of an event, and the count reached."""

    wanted: int
    reached: int

    @property
    def missed(self) -> bool:
        return self.reached < self.wanted


@dataclass
class Outcome:
    """Counts, faults and targets at the end of a campaign."""

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
        """Whether there was no fault and every target was reached; a negative control has no targets."""
        return not self.faults and (self.plan.control is not None or not self.missed)
