"""Asks of questions: what identifies a kept result."""

from typing import Any

from faregate.analytics.insights.values import Ask, InsightKind
from faregate.analytics.question.filters import Question
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["ask_of"]


def ask_of(kind: InsightKind, question: Question, **parameters: Any) -> Ask:
    """Return the ask of a question's filters and time zone, without its range: the newest result is about the newest data."""
    given = dict(question.filters.given)
    owners: dict[str, str] = {}
    if (user_id := given.pop("user_id", None)) is not None:
        owners["user_id"] = user_id
    if (organization_id := given.pop("organization_id", None)) is not None:
        owners["organization_id"] = ORGANIZATION_PREFIX + organization_id
    return Ask(kind, {"timezone": question.range.timezone, "filters": given, **parameters}, owners)
