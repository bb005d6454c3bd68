"""Alert levels that a use has reached. Pure and exact."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from faregate.core.errors import InvalidError

__all__ = ["Level", "Thresholds", "level_of", "levels_reached", "percent_used"]


class Level(StrEnum):
    """The urgency of an alert; `predicted` means that a quota is expected to run out before its period ends."""

    PREDICTED = "predicted"
    WARNING = "warning"
    CRITICAL = "critical"
    EXCEEDED = "exceeded"

    @property
    def rank(self) -> int:
        """The rank of the level; a higher one is more urgent."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The percentages of the limit at which each level begins."""

    warning: Decimal = Decimal(75)
    critical: Decimal = Decimal(90)
    exceeded: Decimal = Decimal(100)

    def __post_init__(self) -> None:
        if not 0 < self.warning < self.critical < self.exceeded:
            raise InvalidError(
                f"alert thresholds must be above 0 and ascending: warning {self.warning} < critical {self.critical} "
                f"< exceeded {self.exceeded} is not true",
                param="thresholds",
            )

    def items(self) -> tuple[tuple[Level, Decimal], ...]:
        """Return the levels with their percentages, the least urgent first."""
        return (Level.WARNING, self.warning), (Level.CRITICAL, self.critical), (Level.EXCEEDED, self.exceeded)


def percent_used(used: Decimal, limit: Decimal) -> Decimal | None:
    """Return the used percentage of `limit`, rounded down to two places; None if the limit is 0."""
    if limit == 0:
        return None
    return Decimal(int(used * 10_000 / limit)).scaleb(-2)


def levels_reached(used: Decimal, limit: Decimal, thresholds: Thresholds) -> tuple[Level, ...]:
    """Return every level that `used` has reached, the least urgent first.

    Without use no level is reached, whatever the limit; with a limit of 0 any use reaches all levels. The comparison needs
    no division, so that exactly 75 % of any limit is a warning.
    """
    if used <= 0:
        return ()
    return tuple(level for level, percent in thresholds.items() if used * 100 >= limit * percent)


def level_of(used: Decimal, limit: Decimal, thresholds: Thresholds) -> Level | None:
    """Return the most urgent level reached, if any."""
    reached = levels_reached(used, limit, thresholds)
    return reached[-1] if reached else None
