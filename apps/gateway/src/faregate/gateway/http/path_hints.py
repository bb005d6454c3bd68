"""Suggestions for unknown paths."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

__all__ = ["OLDER_NAMES", "path_meant"]

_EVENTS, _EXPORT = "POST /api/usage-events", "GET /api/analytics/export"

OLDER_NAMES: Mapping[str, str] = {
    "usage_track_api": _EVENTS,
    "usage_track_storage": _EVENTS,
    "usage_track_bandwidth": _EVENTS,
    "usage_track_compute": _EVENTS,
    "usage_track_database": _EVENTS,
    "usage_track_functions": _EVENTS,
    "usage_init_batch": _EVENTS,
    "usage_batch": _EVENTS,
    "usage_batch_add": _EVENTS,
    "usage_batch_insert": _EVENTS,
    "usage_batch_flush": _EVENTS,
    "usage_cleanup_batch": _EVENTS,
    "usage_aggregate": "GET /api/analytics/timeseries",
    "usage_aggregate_hourly": "GET /api/analytics/timeseries?groupBy=hour",
    "usage_aggregate_daily": "GET /api/analytics/timeseries?groupBy=day",
    "usage_aggregate_monthly": "GET /api/analytics/timeseries?groupBy=month",
    "usage_refresh_summary": "GET /api/analytics/metrics",
    "usage_get_all": "GET /api/analytics/meters",
    "usage_get_service": "GET /api/analytics/stats",
    "usage_get_stats": "GET /api/analytics/stats",
    "usage_get_trends": "GET /api/analytics/trends",
    "usage_get_peaks": "GET /api/analytics/peaks",
    "usage_export": _EXPORT,
    "usage_export_csv": _EXPORT,
    "usage_export_json": _EXPORT,
    "usage_export_xlsx": _EXPORT,
    "usage_archive": "`faregate usage archive`",
    "usage_check_alerts": "GET /api/alerts",
    "usage_check_service_alert": "GET /api/alerts",
    "usage_trigger_alert": "GET /api/alerts",
    "usage_get_alerts": "GET /api/alerts",
    "billing_usage_records": "GET /api/analytics/export",
}
"""Function and table names of the older documents, and the call for each."""

_LIKENESS = 0.8
"""The least similarity of two paths at which one counts as a misspelling of the other."""
_LONGEST = 200
"""Longer paths are not compared: the time for a comparison grows with the square of their length."""


def path_meant(path: str, known: Iterable[str]) -> str | None:
    """Return the call that `path` probably means, as text for people; None if no call is similar.

    Args:
        path: the requested path, such as `/api/usage_get_trends` or `/api/analytics/metric`.
        known: all paths that have no parameters.
    """
    if len(path) > _LONGEST:
        return None
    last = path.rstrip("/").rpartition("/")[2].replace("-", "_").lower()
    if last in OLDER_NAMES:
        return OLDER_NAMES[last]
    near = get_close_matches(path, list(known), n=1, cutoff=_LIKENESS)
    return near[0] if near else None
