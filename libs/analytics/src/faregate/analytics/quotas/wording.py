"""Texts and webhook bodies of alerts. Pure."""

from decimal import Decimal
from typing import Any

from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.values import EVERYBODY, Alert

__all__ = ["body_of", "headline", "sentence", "subject"]


def headline(alert: Alert) -> str:
    """Return one line: it begins with the level in capitals, so that it can be searched for; a prediction includes the time."""
    if alert.notice is not None:
        return f"{'ANOMALY' if alert.about == 'anomaly' else alert.level.upper()}: {alert.notice}"
    if alert.level is Level.PREDICTED and alert.runs_out_at is not None and not alert.test:
        return f"{_use(alert)}; at this rate it runs out on {alert.runs_out_at:%Y-%m-%d %H:%M} UTC"
    return _use(alert)


def subject(alert: Alert) -> str:
    """Return the headline with the day of the alert, for mails that are read later."""
    return f"{headline(alert)} [{alert.fired_at:%Y-%m-%d}]"


def _use(alert: Alert) -> str:
    if alert.test:
        return "TEST: this only tests the alert channels of Faregate; no quota was reached"
    owner = "everybody" if alert.owner_id == EVERYBODY else alert.owner_id
    share = "" if alert.percent is None else f" ({plain(alert.percent)} %)"
    use = f"{owner} has used {plain(alert.used)} of {plain(alert.limit)} {alert.meter} this {alert.period}{share}"
    return f"{alert.level.upper()}: {use}"


def sentence(alert: Alert) -> str:
    """Return the headline and its consequences."""
    if alert.notice is not None:
        return f"{headline(alert)}."
    return f"{_use(alert)}." if alert.test else f"{_use(alert)}. {_consequence(alert)}"


def body_of(alert: Alert) -> dict[str, Any]:
    """Return the body of the webhook event `usage.alert`, or of `usage.anomaly`, `usage.budget`, `usage.objective`.

    Amounts are exact JSON numbers.
    """
    bodies = {"anomaly": _anomaly_body, "budget": _budget_body, "objective": _objective_body}
    if alert.about in bodies:
        return bodies[alert.about](alert)
    return {
        "type": "usage.alert",
        "timestamp": alert.fired_at,
        "data": {
            "id": str(alert.id),
            "quota_id": str(alert.quota_id),
            "owner_id": alert.owner_id,
            "meter": alert.meter,
            "period": alert.period.value,
            "period_start": alert.period_start,
            "period_end": alert.period_end,
            "level": alert.level.value,
            "percent": alert.percent,
            "used": alert.used,
            "limit": alert.limit,
            "hard": alert.hard,
            "runs_out_at": alert.runs_out_at,
            "message": sentence(alert),
            **({"test": True} if alert.test else {}),
        },
    }


def _anomaly_body(alert: Alert) -> dict[str, Any]:
    return {
        "type": "usage.anomaly",
        "timestamp": alert.fired_at,
        "data": {
            "id": str(alert.id),
            "owner_id": alert.owner_id,
            "measure": alert.meter,
            "period_start": alert.period_start,
            "period_end": alert.period_end,
            "actual": alert.used,
            "expected": alert.limit,
            "message": sentence(alert),
        },
    }


def _budget_body(alert: Alert) -> dict[str, Any]:
    return {
        "type": "usage.budget",
        "timestamp": alert.fired_at,
        "data": {
            "id": str(alert.id),
            "budget": alert.owner_id,
            "unit": alert.meter,
            "period": alert.period.value,
            "period_start": alert.period_start,
            "period_end": alert.period_end,
            "level": alert.level.value,
            "percent": alert.percent,
            "used": alert.used,
            "amount": alert.limit,
            "message": sentence(alert),
        },
    }


def _objective_body(alert: Alert) -> dict[str, Any]:
    return {
        "type": "usage.objective",
        "timestamp": alert.fired_at,
        "data": {
            "id": str(alert.id),
            "objective": alert.owner_id,
            "indicator": alert.meter,
            "period_start": alert.period_start,
            "period_end": alert.period_end,
            "level": alert.level.value,
            "burn_rate": alert.used,
            "threshold": alert.limit,
            "message": sentence(alert),
        },
    }


def plain(value: Decimal) -> str:
    """Return a number for people: thousands separated, no trailing zeros."""
    whole, _, fraction = f"{value:,f}".partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _consequence(alert: Alert) -> str:
    ends = f"The {alert.period} ends on {alert.period_end:%A, %d %B %Y, %H:%M} UTC."
    if alert.level is Level.EXCEEDED:
        return f"{'New uses are refused until then' if alert.hard else 'Nothing is refused'}. {ends}"
    if alert.runs_out_at is None:
        return ends
    return f"At this rate it runs out on {alert.runs_out_at:%A, %d %B %Y, %H:%M} UTC. {ends}"
