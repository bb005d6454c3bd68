"""Answers about one use: credits, usage events, feature logs."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from faregate.analytics.answers.story import StoryEvent, UseStory
from faregate.feature_log.values import FeatureLog
from faregate.gateway.schemas.base import Answer
from faregate.gateway.schemas.credits_process import LineAnswer, line_answer
from faregate.gateway.schemas.wallets import TransactionAnswer, transaction_answer
from faregate.usage.service import UsageStory

__all__ = ["EventAnswer", "StoryAnswer", "UseAnswer", "UseLogAnswer", "event_answer", "story_answer", "use_answer"]


class UseAnswer(Answer):
    """One use in credits: hold, outcome, lines, transactions."""

    usage_key: str
    user_id: str
    organization_id: str | None
    feature_key: str
    charging: str
    status: str
    hold: Decimal
    expires_at: datetime | None
    credits_consumed: Decimal
    credits_charged: Decimal
    shortfall: Decimal
    flags: list[str]
    reason: str | None
    duration_ms: int | None
    metadata: Mapping[str, Any] | None
    details: list[LineAnswer]
    transactions: list[TransactionAnswer]
    created_at: datetime
    closed_at: datetime | None
    settled_at: datetime | None


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
    return UseAnswer(**_facts(use))


def story_answer(story: UseStory, use: UsageStory) -> StoryAnswer:
    """Return all data about one use."""
    events = [event_answer(event) for event in story.events]
    return StoryAnswer(**_facts(use), events=events, feature_logs=[_log(log) for log in story.logs])


def event_answer(event: StoryEvent) -> EventAnswer:
    """Return one event."""
    return EventAnswer(**{name: getattr(event, name) for name in EventAnswer.model_fields})


def _log(log: FeatureLog) -> UseLogAnswer:
    return UseLogAnswer(**{name: getattr(log, name) for name in UseLogAnswer.model_fields})


def _facts(use: UsageStory) -> dict[str, Any]:
    charge = use.charge
    return {
        "usage_key": charge.usage_key,
        "user_id": use.user_id,
        "organization_id": use.organization_id,
        "feature_key": charge.feature_key,
        "charging": charge.rule,
        "status": charge.status,
        "hold": charge.hold,
        "expires_at": charge.expires_at,
        "credits_consumed": charge.credits_consumed,
        "credits_charged": charge.credits_charged,
        "shortfall": charge.shortfall,
        "flags": list(charge.flags),
        "reason": charge.reason,
        "duration_ms": charge.duration_ms,
        "metadata": charge.metadata,
        "details": [line_answer(line) for line in use.lines],
        "transactions": [transaction_answer(transaction) for transaction in use.transactions],
        "created_at": charge.created_at,
        "closed_at": charge.closed_at,
        "settled_at": charge.settled_at,
    }
