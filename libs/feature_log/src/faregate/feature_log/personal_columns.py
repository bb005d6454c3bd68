"""Erasure rules for the text columns of feature logs."""

from collections.abc import Mapping

from faregate.core.personal_columns import ENUM, ERASED, NAME, OURS

__all__ = ["LOG_COLUMNS"]

LOG_COLUMNS: Mapping[str, str] = {
    "feature_log.method": ENUM,
    "feature_log.usage_key": "the key of a use, as in the ledger",
    "feature_log.endpoint": ERASED,
    "feature_log.email_index": ERASED,
    "feature_log.deleted_by": "a credential, or a subject's number",
    "feature_log.key_id": OURS,
    "feature_log.email": ERASED,
    **{f"feature_log.{name}": ERASED for name in ("payload", "response", "params", "query")},
    "feature_log_retention.feature_key": NAME,
    "feature_log_route.feature_key": NAME,
    "feature_log_route.feature_id": NAME,
    "feature_log_route.endpoint": ERASED,
    "feature_log_route.type": ERASED,
}
"""Bodies of the person's own logs are erased; mentions in others' bodies are removed when their retention ends."""
