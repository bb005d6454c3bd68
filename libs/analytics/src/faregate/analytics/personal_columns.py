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
    "budget.name": NAME,
    "budget.scope": ENUM,
    "budget.value": NAME,
    "budget.unit": ENUM,
    "budget.period": ENUM,
    "budget.timezone": ENUM,
    "budget.emails": ERASED,
    "budget_alert.name": NAME,
    "budget_alert.level": ENUM,
    "budget_delivery.channel": ENUM,
    "budget_delivery.status": ENUM,
    "budget_delivery.last_error": ERASED,
    "feedback.usage_key": "the key of a use, as in the ledger; feedback of the person is deleted",
    "feedback.feature_key": NAME,
    "feedback.tags": ERASED,
    "feedback.comment": ERASED,
    "feedback.sentiment_by": "the name of the host's model",
    "insight.kind": ENUM,
    "insight.parameters": "filters other than users and organisations, which are numbers in `owners`",
    "insight.evidence": "numbers and sentences of ours; results that name a person are deleted with the person",
    "insight.answer": "numbers, names of models, features and plans, tags of five users; results about a person are deleted",
    "insight_person.facts": "numbers, and names of plans and segments; rows about a person are deleted with the person",
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
