"""Status of an objective with its evidence. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from faregate.analytics.insights.operations.objectives.burn import (
    LEAST_BAD,
    LEAST_REQUESTS,
    LEAST_WINDOW,
    budget_of,
)
from faregate.analytics.insights.operations.objectives.values import BurnRate, Counted, Indicator, ObjectiveSpec
from faregate.analytics.insights.operations.objectives.wording import fault_words, span_words
from faregate.analytics.insights.values import Evidence, InsightResult
from faregate.analytics.question.filters import Question

__all__ = ["status_of"]


def status_of(spec: ObjectiveSpec, question: Question, whole: Counted, burns: Sequence[BurnRate]) -> InsightResult:
    """Return the error budget and the burn rates; with fewer than `LEAST_WINDOW` requests that they are too few."""
    enough = whole.total >= LEAST_WINDOW
    evidence = _evidence(spec, question, whole, enough=enough)
    if not enough:
        return InsightResult(False, evidence, {})
    answer = {**budget_of(spec, whole, burns[-1] if burns else None), "burns": [_burn(burn) for burn in burns]}
    return InsightResult(True, evidence, answer)


def _burn(burn: BurnRate) -> Mapping[str, Any]:
    return {
        "rule": burn.rule.name,
        "level": burn.rule.level.value,
        "long": span_words(burn.rule.long),
        "short": span_words(burn.rule.short),
        "threshold": burn.threshold,
        "rate": burn.long,
        "rate_short": burn.short,
        "total": burn.counted.total,
        "bad": burn.counted.bad,
        "fires": burn.fires,
    }


def _evidence(spec: ObjectiveSpec, question: Question, whole: Counted, *, enough: bool) -> Evidence:
    return Evidence(
        method=f"requests of {spec.about} that {fault_words(spec)}, against the {100 - spec.target_percent:f} % that may"
        if enough
        else "none: not enough requests",
        sample=whole.total,
        sampled="requests" if spec.indicator is Indicator.AVAILABILITY else "timed requests",
        start=question.range.start,
        end=question.range.end,
        uncertainty=_uncertainty(spec),
        limits=tuple(_limits(question, enough=enough)),
    )


def _uncertainty(spec: ObjectiveSpec) -> str:
    if spec.indicator is Indicator.AVAILABILITY:
        return "counts are exact"
    return (
        f"counts are exact, but the threshold is at most 2 % above {spec.threshold_ms} ms: latencies are kept in bins"
    )


def _limits(question: Question, *, enough: bool) -> list[str]:
    limits = [
        "only requests that were recorded count: one that never reached an application is not seen",
        "every status from 400 on is a failure, also one that the caller caused",
        f"a rate needs {LEAST_REQUESTS} requests and {LEAST_BAD} bad ones in its long span; without, no alert is fired",
        "the window begins at a midnight of UTC, with the running day as its last",
    ]
    if not enough:
        limits.insert(0, f"needs {LEAST_WINDOW} requests in the window")
    return [*limits, *([question.omissions.note] if question.omissions.note else [])]
