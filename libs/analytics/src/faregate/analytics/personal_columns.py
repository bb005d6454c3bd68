"""Erasure rules for the text columns of rollups, quotas and insights."""

from collections.abc import Mapping

from faregate.core.personal_columns import ENUM, ERASED, NAME, OURS

__all__ = ["ANALYTICS_COLUMNS"]

_CUBE = ("service", "model", "provider", "feature", "country", "device", "status", "meter")

ANALYTICS_COLUMNS: Mapping[str, str] = {
    "alert_delivery.channel": ENUM,
    "alert_delivery.status": ENUM,
    "alert_delivery.last_error": ERASED,
    "anomaly.scope": ENUM,
    "anomaly.value": NAME,
    "anomaly.measure": ENUM,
    "anomaly.unit": ENUM,
    "anomaly.reason": "numbers and names of models and features; anomalies of a person's use are deleted with the person",
    "anomaly.verdict": ENUM,
    "anomaly.verdict_by": ERASED,
    "anomaly_delivery.channel": ENUM,
    "anomaly_delivery.status": ENUM,
    "anomaly_delivery.last_error": ERASED,
    "insight.kind": ENUM,
    "insight.parameters": "filters other than users and organisations, which are numbers in `owners`",
    "insight.evidence": "numbers and sentences of ours; results that name a person are deleted with the person",
    "insight.answer": "numbers, and names of models, features and plans; results about a person are deleted with the person",
    "insight_person.facts": "numbers, names of plans and segments, keys of uses; rows about a person are deleted with the person",
    "objective.name": NAME,
    "objective.scope": ENUM,
    "objective.value": NAME,
    "objective.indicator": ENUM,
    "objective.status": "numbers and sentences of ours about services, features and models",
    "objective_alert.name": NAME,
    "objective_alert.rule": ENUM,
    "objective_delivery.channel": ENUM,
    "objective_delivery.status": ENUM,
    "objective_delivery.last_error": ERASED,
    "quota.meter": NAME,
    "quota.period": ENUM,
    "quota.timezone": ENUM,
    "quota.emails": ERASED,
    "quota_alert.level": ENUM,
    "saved_view.actor": "a credential, or `user` together with a subject's number; views of the person are deleted",
    "saved_view.name": ERASED,
    "saved_view.state": ERASED,
    "segment_rule.name": NAME,
    "segment_rule.conditions": OURS,
    "usage_active.value": NAME,
    **{f"usage_cube.{name}": NAME for name in _CUBE},
    "usage_rollup.value": NAME,
    "usage_rollup.detail": NAME,
    "usage_user.service": NAME,
}
