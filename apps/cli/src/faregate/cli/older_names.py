"""Commands that replace function names of older documents."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

__all__ = ["OLDER_NAMES", "command_meant"]

_RECORD_MANY = "usage record --file EVENTS.ndjson"

OLDER_NAMES: Mapping[str, str] = {
    "usage_track_api": "usage record api 1 --user USER",
    "usage_track_storage": "usage record storage 1 --user USER",
    "usage_track_bandwidth": "usage record bandwidth 1 --user USER",
    "usage_track_compute": "usage record compute 1 --user USER",
    "usage_track_database": "usage record database 1 --user USER",
    "usage_track_functions": "usage record functions 1 --user USER",
    "usage_init_batch": _RECORD_MANY,
    "usage_batch": _RECORD_MANY,
    "usage_batch_add": _RECORD_MANY,
    "usage_batch_insert": _RECORD_MANY,
    "usage_batch_flush": _RECORD_MANY,
    "usage_cleanup_batch": _RECORD_MANY,
    "usage_aggregate": "usage rollup",
    "usage_aggregate_hourly": "usage peaks METER --by hour",
    "usage_aggregate_daily": "usage trends METER",
    "usage_aggregate_monthly": "usage peaks METER --by month",
    "usage_refresh_summary": "usage rollup",
    "usage_get_all": "usage totals",
    "usage_get_service": "usage stats METER",
    "usage_get_stats": "usage stats METER",
    "usage_get_trends": "usage trends METER",
    "usage_get_peaks": "usage peaks METER",
    "usage_export": "usage export csv",
    "usage_export_csv": "usage export csv",
    "usage_export_json": "usage export json",
    "usage_export_xlsx": "usage export xlsx",
    "usage_archive": "usage archive",
    "usage_check_alerts": "alerts check",
    "usage_check_service_alert": "alerts check",
    "usage_trigger_alert": "alerts check",
    "usage_get_alerts": "alerts list",
    "billing_usage_records": "usage export csv",
}
"""The arguments of `faregate` for each name; words in capitals are to be filled in."""

_LIKENESS = 0.85
"""How similar a misspelt name must be to an older name: about one letter of seven may differ."""


def command_meant(words: Sequence[str]) -> str | None:
    """Return the command that replaces the name that was typed, if it is an older name or nearly one; else None.

    The name may be written with hyphens, and as a command of `usage`: `usage-get-trends`, `usage get_trends`.
    """
    typed = "_".join(words[:2]) if words[:1] == ["usage"] else "".join(words[:1])
    name = typed.replace("-", "_").lower()
    near = get_close_matches(name, OLDER_NAMES, n=1, cutoff=_LIKENESS)
    return f"faregate {OLDER_NAMES[near[0]]}" if near else None
