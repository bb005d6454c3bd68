"""Values of incidents: spans, changes, uses to give back."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from faregate.analytics.values import Measures, UsageMetrics
from faregate.core.errors import InvalidError

__all__ = ["Change", "ChargedUse", "GiveBack", "GiveBackRule", "SpanName", "SpanSums"]

_LONGEST_MS = 86_400_000


class SpanName(StrEnum):
    """The spans that an incident compares; `week_before` is the same span a week earlier."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"
    WEEK_BEFORE = "week_before"


class GiveBackRule(StrEnum):
    """Which charged uses are to be given back: those with a failed feature log, those that took long, or all."""

    FAILED = "failed"
    SLOW = "slow"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The rule with its threshold.

    Raises:
        InvalidError: the threshold is missing, or given for another rule.
    """

    rule: GiveBackRule = GiveBackRule.FAILED
    slower_than_ms: int | None = None

    def __post_init__(self) -> None:
        if (self.rule is GiveBackRule.SLOW) != (self.slower_than_ms is not None):
            raise InvalidError("slowerThanMs is required for giveBack=slow, and only for it", param="slowerThanMs")
        if self.slower_than_ms is not None and not 1 <= self.slower_than_ms <= _LONGEST_MS:
            raise InvalidError(f"slowerThanMs must be 1 to {_LONGEST_MS}", param="slowerThanMs")

    @property
    def about(self) -> str:
        """Which uses the rule finds, in words."""
        return {
            GiveBackRule.FAILED: "charged uses with a failed feature log of the same usage key",
            GiveBackRule.SLOW: f"charged uses that took longer than {self.slower_than_ms} ms",
            GiveBackRule.ALL: "all charged uses of the span",
        }[self.rule]


@dataclass(frozen=True, slots=True)
class ChargedUse:
    """One settled use of the span, with the credits that are not refunded yet."""

    subject_id: int
    usage_key: str
    credits: Decimal


@dataclass(frozen=True, slots=True)
class Change:
    """One value of one dimension in the spans."""

    dimension: str
    value: str
    sums: Mapping[SpanName, Measures]

    def of(self, span: SpanName) -> Measures:
        """Return the sums in a span; zero without use."""
        return self.sums.get(span, Measures())


@dataclass(frozen=True, slots=True)
class SpanSums:
    """The totals of the spans; a span that has not begun is missing."""

    metrics: Mapping[SpanName, UsageMetrics]

    def of(self, span: SpanName) -> Measures:
        """Return the sums of a span; zero without use."""
        found = self.metrics.get(span)
        return found.measures if found is not None else Measures()
