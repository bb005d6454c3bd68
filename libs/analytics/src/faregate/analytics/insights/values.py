"""Values of insights: what was asked, found, and how far it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from faregate.wire import exact_json

__all__ = ["Ask", "Evidence", "Insight", "InsightKind", "InsightResult", "PersonFinding"]


class InsightKind(StrEnum):
    """What an insight is about."""

    FORECAST = "forecast"
    COHORTS = "cohorts"
    ADOPTION = "adoption"
    CHURN = "churn"
    CAPACITY = "capacity"
    INCIDENT = "incident"
    SEGMENTS = "segments"
    UPSELL = "upsell"
    RUN_OUTS = "run_outs"
    RETURNS = "returns"
    SAVINGS = "savings"
    WHAT_IF = "what_if"
    SATISFACTION = "satisfaction"


@dataclass(frozen=True, slots=True)
class Ask:
    """What was asked: equal asks have one history of kept results.

    Attributes:
        parameters: JSON values by name; those that name a person or an organisation are in `owners` instead.
        owners: user ids and `org:` ids by filter.
    """

    kind: InsightKind
    parameters: Mapping[str, Any]
    owners: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> UUID:
        """The identifier of the ask: a digest of everything in it."""
        text = exact_json.dumps([self.kind.value, sorted(self.parameters.items()), sorted(self.owners.items())])
        return UUID(bytes=sha256(text).digest()[:16])


@dataclass(frozen=True, slots=True)
class Evidence:
    """How an answer came about, and how far it holds.

    Attributes:
        method: the method, in words.
        sample: how many of `sampled` the answer rests on.
        start, end: the period of the data, half-open.
        uncertainty: what the intervals or the scores mean, in words.
        limits: what the answer does not know, in words.
    """

    method: str
    sample: int
    sampled: str
    start: datetime
    end: datetime
    uncertainty: str
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonFinding:
    """What an insight found about one user or organisation; kept apart, so that an erasure reaches it.

    Attributes:
        subject_id: the internal number; answers show the user id that belongs to it.
        rank: the place in the answer, from 1.
    """

    subject_id: int
    rank: int
    facts: Mapping[str, Any]
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class InsightResult:
    """The result of one computation, before it is kept.

    Attributes:
        enough: whether there was enough data; without it `answer` and `people` hold nothing that looks like a result.
        answer: JSON values about nobody in particular.
    """

    enough: bool
    evidence: Evidence
    answer: Mapping[str, Any]
    people: Sequence[PersonFinding] = ()


@dataclass(frozen=True, slots=True)
class Insight:
    """A kept result, with its date."""

    id: UUID
    kind: InsightKind
    made_at: datetime
    result: InsightResult
