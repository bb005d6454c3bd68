"""Evidence of the status of a budget. Pure."""

from collections.abc import Sequence

from faregate.analytics.insights.asking import evidence_of
from faregate.analytics.insights.values import Evidence
from faregate.analytics.question.filters import Question

__all__ = ["budget_evidence"]

_WITH = "use so far is exact; `low` and `high` add up the 80 % intervals of the single periods, so that they hold more than 80 %"
_WITHOUT = "use so far is exact, and the burn is its pace, without seasons"


def budget_evidence(
    asked: Question, period: str, *, amount: str, facts: int, outlook: bool, limits: Sequence[str]
) -> Evidence:
    """Return the evidence of a status, with an `outlook` or without."""
    ahead = ", and a forecast of its rest" if outlook else ""
    return evidence_of(
        asked,
        method=f"{amount} of the facts of this {period} so far{ahead}",
        sample=facts,
        sampled="facts",
        uncertainty=_WITH if outlook else _WITHOUT,
        limits=limits,
    )
