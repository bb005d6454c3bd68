"""Answers about one use: credits, usage events, feature logs."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from faregate.analytics.answers.story import StoryEvent, UseStory
from faregate.gateway.schemas.base import Answer
from faregate.gateway.schemas.credits_process import LineAnswer, line_answer
from faregate.gateway.schemas.usage import UseHeadAnswer
from faregate.gateway.schemas.wallets import transaction_answer
from faregate.usage.service import UsageStory

__all__ = ["EventAnswer", "StoryAnswer", "UseAnswer", "UseLogAnswer", "event_answer", "story_answer", "use_answer"]


class UseAnswer(UseHeadAnswer):
    """One use in credits: hold, outcome, lines, transactions."""

    details: list[LineAnswer]


class EventAnswer(Answer):
    """One counted usage event of a use."""

    time: datetime
    kind: str
    service: str
    feature_key: str | None
    model: str | None
    provider: str | None
    meter: str | None
    quantity: Decimal | None
    input_tokens: int
    output_tokens: int
    credits: Decimal
    latency_ms: int | None
    status: int | None
    source: str


class UseLogAnswer(Answer):
    """One feature log of a use; bodies and e-mail address are in `/api/feature-usage-logs/{id}`."""

    id: UUID
    logged_at: datetime
    method: str
    code: int
    status: str
    endpoint: str | None
    type: str | None
    duration_ms: int | None


class StoryAnswer(UseAnswer):
    """All data about one use."""

    events: list[EventAnswer]
    feature_logs: list[UseLogAnswer]


def use_answer(use: UsageStory) -> UseAnswer:
    """Return one use in credits."""
    return UseAnswer.of(use.charge, **_facts(use))


def story_answer(story: UseStory, use: UsageStory) -> StoryAnswer:
    """Return all data about one use."""
    events = [event_answer(event) for event in story.events]
    logs = [UseLogAnswer.of(log) for log in story.logs]
    return StoryAnswer.of(use.charge, **_facts(use), events=events, feature_logs=logs)


def event_answer(event: StoryEvent) -> EventAnswer:
    """Return one event."""
    return EventAnswer.of(event)


def _facts(use: UsageStory) -> dict[str, Any]:
    """Return the fields that the charge does not have under the same name."""
    return {
        "user_id": use.user_id,
        "organization_id": use.organization_id,
        "charging": use.charge.rule,
        "flags": list(use.charge.flags),
        "details": [line_answer(line) for line in use.lines],
        "transactions": [transaction_answer(transaction) for transaction in use.transactions],
    }
