"""The queues by name (a public contract), and how often a message is tried."""

from faregate.wire.exact_json import mended

__all__ = [
    "MESSAGE_ID_HEADER",
    "PUBLIC_QUEUES",
    "RETRY_DELAYS_SECONDS",
    "SETTLE_MULTIMODEL_QUEUE",
    "SETTLE_QUEUE",
    "SPENDER_HEADER",
    "kept_reason",
]

SETTLE_MULTIMODEL_QUEUE = "credits_process_end_multimodel_queue"
SETTLE_QUEUE = "credits_process_end_queue"
FEATURE_LOG_QUEUE = "feature_usage_queue"
USAGE_EVENTS_QUEUE = "usage_events_queue"

PUBLIC_QUEUES = (SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE, FEATURE_LOG_QUEUE, USAGE_EVENTS_QUEUE)

RETRY_DELAYS_SECONDS = (5, 30, 300, 3600)
"""How long a message waits before each further attempt; after the last one it is dead-lettered."""

DELIVERY_LIMIT = 20
"""Deliveries that ended without a decision (the consumer died) before a message is taken for poison."""

SPENDER_HEADER = "spender"
"""Names the credential that asked for a settlement and those that it descends from, separated by spaces, so that their
spending limits count when the queue settles it."""

MESSAGE_ID_HEADER = "x-message-id"
"""Names a message through all its copies and transports, where the transport's own id names one copy."""

_REASON_LIMIT = 2_000


def kept_reason(reason: str) -> str:
    """Return why a message was set aside as either transport can keep it: readable, and no longer than a header."""
    short = mended(reason)
    return short if len(short) <= _REASON_LIMIT else f"{short[:_REASON_LIMIT]}…"
