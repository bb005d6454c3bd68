"""Bodies and answers of `/api/usage-events`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictStr, model_validator

from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import Body, JsonObject, LooseBody, Note
from faregate.gateway.schemas.base import Answer
from faregate.usage.events.history import EventFate
from faregate.usage.events.recorder import REJECTIONS_LISTED
from faregate.usage.events.reports import IngestReport

__all__ = ["CorrectionBody", "FateAnswer", "FateQuery", "IngestAnswer", "fate_answer", "ingest_answer"]

Name = Annotated[StrictStr, Field(min_length=1, max_length=512), AfterValidator(name_checked)]


class RejectedAnswer(Answer):
    """An item that was not accepted."""

    index: int
    error: str


class IngestAnswer(Answer):
    """The outcome of the items; a duplicate was counted before and is not counted again.

    `rejected` lists the first 100 items that were not accepted, `rejected_unlisted` counts the others.
    """

    accepted: int
    duplicates: int
    rejected: Sequence[RejectedAnswer]
    rejected_unlisted: int = 0


class FateQuery(LooseBody):
    """The source and id that the event was sent with."""

    id: Name
    source: Annotated[StrictStr, Field(max_length=512), AfterValidator(name_checked)] = ""


class CorrectionBody(Body):
    """A correction: `void` stops counting the event, `replace` counts `event` in its place."""

    id: Name
    source: Annotated[StrictStr, Field(max_length=512), AfterValidator(name_checked)] = ""
    action: Literal["void", "replace"]
    event: JsonObject | None = None
    reason: Note | None = None

    @model_validator(mode="after")
    def _whole(self) -> "CorrectionBody":
        if (self.action == "replace") != (self.event is not None):
            raise ValueError("event is required for replace, and must be left out for void")
        return self


class CorrectionAnswer(Answer):
    """One correction of an event."""

    action: str
    reason: str | None
    actor: str | None
    at: datetime


class FateAnswer(Answer):
    """The status of an event: `counted`, `duplicate`, `corrected`, `voided` or `rejected`."""

    source: str
    id: str
    status: str
    received_at: datetime | None
    counted_at: datetime | None
    counted_in: Mapping[str, datetime] | None
    event: Mapping[str, Any] | None
    reason: str | None
    corrections: Sequence[CorrectionAnswer]


def ingest_answer(report: IngestReport) -> IngestAnswer:
    """Return the outcome of the items of a call."""
    short = report.shortened(REJECTIONS_LISTED)
    return IngestAnswer(
        accepted=short.accepted,
        duplicates=short.duplicates,
        rejected=[RejectedAnswer(index=item.index, error=item.error) for item in short.rejected],
        rejected_unlisted=short.unlisted,
    )


def fate_answer(fate: EventFate) -> FateAnswer:
    """Return the status of one event."""
    return FateAnswer.of(
        fate,
        corrections=[
            CorrectionAnswer(action=c.action, reason=c.reason, actor=c.actor, at=c.at) for c in fate.corrections
        ],
    )
