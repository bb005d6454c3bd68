"""Texts of objectives and their alerts. Pure."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.operations.objectives.burn import RULES
from faregate.analytics.insights.operations.objectives.values import Indicator, ObjectiveSpec
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import Alert
from faregate.analytics.quotas.wording import plain

__all__ = ["alert_of", "alert_sentence", "fault_words", "span_words"]

_RULES = {rule.name: rule for rule in RULES}


def span_words(span: timedelta) -> str:
    """Return a length of time in words: `1 hour`, `30 minutes`, `3 days`."""
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if span >= length and not span % length:
            count = span // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{span // timedelta(seconds=1)} seconds"


def fault_words(spec: ObjectiveSpec) -> str:
    """Return what bad requests did."""
    return "failed" if spec.indicator is Indicator.AVAILABILITY else f"took longer than {spec.threshold_ms} ms"


def alert_sentence(spec: ObjectiveSpec, *, rule: str, rate: Decimal, total: int, bad: int) -> str:
    """Return what an alert reports: how many requests were bad, and how long the budget lasts at this rate."""
    percent = (100 * Decimal(bad) / total).quantize(Decimal("0.01"))
    lasts = (spec.window_days / rate).quantize(Decimal("0.1"))
    return (
        f"objective {spec.name}: {plain(Decimal(bad))} of {plain(Decimal(total))} requests of {spec.about} ({plain(percent)} %) "
        f"{fault_words(spec)} in the last {span_words(_RULES[rule].long)}; at this rate the error budget of "
        f"{span_words(spec.window)} is used up in {plain(lasts)} days"
    )


def alert_of(spec: ObjectiveSpec, row: Any) -> Alert:
    """Return the alert of a stored one, as the channels of quota alerts deliver it."""
    rule = _RULES[row.rule]
    return Alert(
        id=row.alert_id,
        quota_id=row.alert_id,
        owner_id=spec.name,
        meter=spec.indicator.value,
        period=QuotaPeriod.HOUR,
        period_start=row.fired_at - rule.long,
        period_end=row.fired_at,
        level=rule.level,
        percent=None,
        used=row.rate,
        limit=row.threshold,
        hard=False,
        superseded=False,
        runs_out_at=None,
        emails=(),
        fired_at=row.fired_at,
        notice=alert_sentence(spec, rule=row.rule, rate=row.rate, total=row.total, bad=row.bad),
        about="objective",
    )
