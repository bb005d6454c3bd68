"""Values of anomalies: series that are watched, unusual periods, verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

__all__ = ["Anomaly", "AnomalyMeasure", "AnomalyScope", "Suspect", "Verdict", "Watched"]


class AnomalyScope(StrEnum):
    """What an anomaly is about."""

    TOTAL = "total"
    MODEL = "model"
    FEATURE = "feature"
    USER = "user"


class AnomalyMeasure(StrEnum):
    """What was unusual. `spend` is credits, `cost` is the cost of providers in USD, latency is in milliseconds."""

    SPEND = "spend"
    COST = "cost"
    ERRORS = "error_rate"
    LATENCY = "latency"
    TOKENS = "tokens_per_request"


class Verdict(StrEnum):
    """What a person said about an anomaly. What is like one that is none, or less, is not reported again."""

    CONFIRMED = "confirmed"
    NONE = "not_an_anomaly"


@dataclass(frozen=True, slots=True)
class Watched:
    """A series that is watched: all use, or that of one model, feature or user."""

    scope: AnomalyScope
    value: str | None = None
    subject_id: int | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """An unusual hour of one measure, before its reason is known.

    Attributes:
        expected: what was usual at this time.
        allowed: how far from it the past went; the mean of the last four hours went further.
    """

    watched: Watched
    measure: AnomalyMeasure
    start: datetime
    end: datetime
    actual: Decimal
    expected: Decimal
    allowed: Decimal


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A reported anomaly.

    Attributes:
        reason: `sentence`, what contributed most (`parts`), the selection of its events (`rows`), and its `evidence`.
        user_id: of an anomaly of one user.
        deliveries: (channel, status) of its alerts.
    """

    id: UUID
    suspect: Suspect
    reason: Mapping[str, Any]
    user_id: str | None
    verdict: Verdict | None
    verdict_at: datetime | None
    found_at: datetime
    deliveries: Sequence[tuple[str, str]] = ()
