"""Erasure rules for the text columns of rollups and quotas."""

from collections.abc import Mapping

from faregate.core.personal_columns import ENUM, ERASED, NAME

__all__ = ["ANALYTICS_COLUMNS"]

_CUBE = ("service", "model", "provider", "feature", "country", "device", "status", "meter")

ANALYTICS_COLUMNS: Mapping[str, str] = {
    "alert_delivery.channel": ENUM,
    "alert_delivery.status": ENUM,
    "alert_delivery.last_error": ERASED,
    "quota.meter": NAME,
    "quota.period": ENUM,
    "quota.timezone": ENUM,
    "quota.emails": ERASED,
    "quota_alert.level": ENUM,
    "saved_view.actor": "a credential, or `user` together with a subject's number; views of the person are deleted",
    "saved_view.name": ERASED,
    "saved_view.state": ERASED,
    "usage_active.value": NAME,
    **{f"usage_cube.{name}": NAME for name in _CUBE},
    "usage_rollup.value": NAME,
    "usage_rollup.detail": NAME,
    "usage_user.service": NAME,
}
