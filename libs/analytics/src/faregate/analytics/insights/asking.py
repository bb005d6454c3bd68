"""Asks of questions, and the evidence of their answers."""

from collections.abc import Collection, Sequence
from typing import Any

from faregate.analytics.insights.values import Ask, Evidence, InsightKind
from faregate.analytics.question.filters import Question
from faregate.core.errors import InvalidError
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["ask_of", "evidence_of", "refuse_filters"]

_WIRE_NAMES = {"user_id": "userId", "organization_id": "organizationId"}


def ask_of(kind: InsightKind, question: Question, **parameters: Any) -> Ask:
    """Return the ask of a question's filters and time zone, without its range: the newest result is about the newest data."""
    given = dict(question.filters.given)
    owners: dict[str, str] = {}
    if (user_id := given.pop("user_id", None)) is not None:
        owners["user_id"] = user_id
    if (organization_id := given.pop("organization_id", None)) is not None:
        owners["organization_id"] = ORGANIZATION_PREFIX + organization_id
    return Ask(kind, {"timezone": question.range.timezone, "filters": given, **parameters}, owners)


def evidence_of(
    question: Question, *, method: str, sample: int, sampled: str, uncertainty: str, limits: Sequence[str]
) -> Evidence:
    """Return the evidence of an answer to a question that was asked, with a note on what is archived."""
    note = question.omissions.note
    return Evidence(
        method=method,
        sample=sample,
        sampled=sampled,
        start=question.range.start,
        end=question.range.end,
        uncertainty=uncertainty,
        limits=(*limits, *([note] if note else [])),
    )


def refuse_filters(question: Question, names: Collection[str], reason: str) -> None:
    """Raise `InvalidError` if the question has one of these filters."""
    for name in sorted({*names} & {*question.filters.given}):
        wire = _WIRE_NAMES.get(name, name)
        raise InvalidError(f"{wire} is no filter of this insight: {reason}; leave it out", param=wire)
