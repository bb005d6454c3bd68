"""Bodies and answers of `/api/feature-usage-logs`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StrictBool

from faregate.analytics.answers.story import UseStory
from faregate.core.errors import FaregateError
from faregate.core.values.fields import AtMost, Body, Moment
from faregate.feature_log.values import FeatureLog, LogFilter
from faregate.gateway.schemas.base import Answer, PageQuery
from faregate.gateway.schemas.story import EventAnswer, UseAnswer, event_answer, use_answer
from faregate.usage.service import UsageStory

__all__ = [
    "BulkBody",
    "DeletedAnswer",
    "LogAnswer",
    "LogDetailAnswer",
    "LogQuery",
    "LoggedAnswer",
    "LogsAnswer",
    "detail_answer",
    "log_answer",
    "rejections",
]

_REJECTIONS_LISTED = 100


class LoggedAnswer(Answer):
    """One stored log; `duplicate`: it was already stored."""

    id: UUID
    duplicate: bool = False


class Rejection(Answer):
    """One item that was not stored, and why."""

    index: int
    error: Mapping[str, Any]


class LogsAnswer(Answer):
    """The outcome of an array; `ids` are in the order of the accepted items.

    `rejected` lists the first 100 items that were not stored, `rejected_unlisted` counts the others.
    """

    accepted: int
    duplicates: int
    rejected: Sequence[Rejection]
    rejected_unlisted: int = 0
    ids: Sequence[UUID] = ()


class LogAnswer(Answer):
    """One log of a list, without bodies."""

    id: UUID
    logged_at: datetime
    user_id: str
    user_email: str | None
    feature_endpoint_id: str | None
    feature_endpoint_value: str | None
    usage_key: str | None
    method: str
    code: int
    status: str
    endpoint: str | None
    type: str | None
    duration_ms: int | None
    deleted_at: datetime | None
    deleted_by: str | None


class LogDetailAnswer(LogAnswer):
    """One log with its redacted bodies; `use` holds the credits of the use of that `usage_key`, if known."""

    payload: Any
    response: Any
    params: Any
    query: Any
    use: UseAnswer | None
    events: list[EventAnswer]


class DeletedAnswer(Answer):
    """The ids of the deleted logs."""

    deleted: Sequence[UUID]


class BulkBody(Body):
    """`DELETE /api/feature-usage-logs/bulk`; `permanent` removes them permanently."""

    ids: Annotated[list[UUID], AtMost(1000, least=1)]
    permanent: StrictBool = False


class LogQuery(PageQuery):
    """Filters of logs; `from` is included, `to` is excluded; `q` is searched in feature, endpoint, type and status."""

    user_id: str | None = None
    user_email: str | None = None
    feature: str | None = Field(default=None, description="key or id")
    usage_key: str | None = None
    status: Literal["success", "failed"] | None = None
    code: Annotated[int, Field(ge=100, le=599)] | None = None
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")
    q: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    body: Annotated[str, Field(min_length=3, max_length=200)] | None = Field(
        default=None, description="text in the bodies; works only if they are not encrypted, and without an index"
    )
    deleted: bool = False

    def filter(self) -> LogFilter:
        """Return the filter."""
        return LogFilter(
            user_id=self.user_id,
            user_email=self.user_email,
            feature=self.feature,
            usage_key=self.usage_key,
            status=self.status,
            code=self.code,
            method=self.method,
            since=self.since,
            until=self.until,
            text=self.q,
            body_text=self.body,
            deleted=self.deleted,
        )


def log_answer(log: FeatureLog) -> LogAnswer:
    """Return one log without bodies."""
    return LogAnswer.of(log, **_feature(log))


def detail_answer(log: FeatureLog, use: UsageStory | None, story: UseStory) -> LogDetailAnswer:
    """Return one log with bodies, its use and the events of the use."""
    events = [event_answer(event) for event in story.events]
    return LogDetailAnswer.of(log, **_feature(log), **log.bodies, use=use_answer(use) if use else None, events=events)


def rejections(outcomes: Sequence[object]) -> dict[str, Any]:
    """Return the errors of the first 100 items that were not stored, and the number of further ones."""
    errors = [(index, error) for index, error in enumerate(outcomes) if isinstance(error, FaregateError)]
    return {
        "rejected": [_rejection(index, error) for index, error in errors[:_REJECTIONS_LISTED]],
        "rejected_unlisted": max(0, len(errors) - _REJECTIONS_LISTED),
    }


def _rejection(index: int, error: FaregateError) -> Rejection:
    """Return the error of an item that was not stored, without its values."""
    described = {"code": error.code, "detail": error.detail, "param": error.param, **error.facts}
    return Rejection(index=index, error={name: value for name, value in described.items() if value is not None})


def _feature(log: FeatureLog) -> dict[str, Any]:
    return {"feature_endpoint_id": log.feature.id, "feature_endpoint_value": log.feature.value}
